//! What is kept of an answer to `ListSecrets`: everything but what may hold anything.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::aws::Kept;
use crate::model::receipt::Redacted;
use crate::transport::aws::{OWNER_TAG, ROTATED_TAG};

/// Tags whose values are kept; all others may hold anything.
const TAGS: [&str; 4] = ["owner", "tier", ROTATED_TAG, OWNER_TAG];

/// The parts of a page that may hold anything, where they stand in it.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(rename = "SecretList", borrow)]
    list: Option<Vec<Listed<'a>>>,
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(rename = "Description", borrow)]
    description: Option<&'a RawValue>,
    #[serde(rename = "Tags", borrow)]
    tags: Option<Vec<Tag<'a>>>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "Key", borrow, default)]
    key: Cow<'a, str>,
    #[serde(rename = "Value", borrow)]
    value: Option<&'a RawValue>,
}

/// `body` without descriptions and without the values of tags other than [`TAGS`], and the pointers of what was removed, `*` for
/// any index. What is kept is kept byte by byte; a body that is no page is not kept at all.
pub(super) fn redact(body: &[u8]) -> Kept<'_> {
    let page: Page<'_> = serde_json::from_slice(body).ok()?;
    let mut removed = Redacted::new();
    let mut cuts = Vec::new();
    for secret in page.list.iter().flatten() {
        if let Some(value) = secret.description {
            *removed.entry("/SecretList/*/Description".to_owned()).or_default() += 1;
            cuts.push(member(body, value)?);
        }
        for value in secret.tags.iter().flatten().filter(|tag| !TAGS.contains(&&*tag.key)).filter_map(|tag| tag.value) {
            *removed.entry("/SecretList/*/Tags/*/Value".to_owned()).or_default() += 1;
            cuts.push(member(body, value)?);
        }
    }
    if cuts.is_empty() {
        return Some((Cow::Borrowed(body), removed));
    }
    cuts.sort_unstable_by_key(|cut| cut.start);
    let mut kept = Vec::with_capacity(body.len());
    let mut at = 0;
    for cut in cuts {
        kept.extend_from_slice(body.get(at..cut.start)?);
        at = cut.end;
    }
    kept.extend_from_slice(body.get(at..)?);
    Some((Cow::Owned(kept), removed))
}

/// Where the member of an object that ends in `value` stands in `body`: its name, the value and one comma. `value` is a part of
/// `body`, and its name has no quote in it.
fn member(body: &[u8], value: &RawValue) -> Option<Range<usize>> {
    let first = (value.get().as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let before = |end: usize| body.get(..end)?.iter().rposition(|byte| !blank(byte));
    let colon = before(first).filter(|at| body[*at] == b':')?;
    let closing = before(colon).filter(|at| body[*at] == b'"')?;
    let opening = body[..closing].iter().rposition(|byte| *byte == b'"')?;
    let last = first + value.get().len();
    let next = last + body.get(last..)?.iter().position(|byte| !blank(byte))?;
    if body[next] == b',' {
        return Some(opening..next + 1);
    }
    let previous = before(opening)?;
    Some(if body[previous] == b',' { previous..last } else { opening..last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_anything_is_removed_and_named() {
        let body =
            br#"{"SecretList":[{"Name":"a","Description":"x1","Tags":[{"Key":"owner","Value":"ops"},{"Key":"k","Value":"x2"}]}]}"#;
        let (kept, redacted) = redact(body).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&kept),
            r#"{"SecretList":[{"Name":"a","Tags":[{"Key":"owner","Value":"ops"},{"Key":"k"}]}]}"#
        );
        assert_eq!(redacted, Redacted::from([("/SecretList/*/Description".into(), 1), ("/SecretList/*/Tags/*/Value".into(), 1)]));
    }

    #[test]
    fn what_stays_of_a_page_stays_byte_by_byte() {
        for (body, wanted) in [
            (r#"{ "SecretList" : [] }"#, r#"{ "SecretList" : [] }"#),
            (r#"{"SecretList":[{"Description":"\"}, x"}]}"#, r#"{"SecretList":[{}]}"#),
            (r#"{"SecretList":[{"CreatedDate":1.70E9 , "Description" : "x" }]}"#, r#"{"SecretList":[{"CreatedDate":1.70E9  }]}"#),
            (r#"{"SecretList":[{ "Description" :{"a":[1]}, "Name":"é"}]}"#, r#"{"SecretList":[{  "Name":"é"}]}"#),
            (
                r#"{"SecretList":[{"Tags":[{"Value":"x","Key":"k"},{"Value":"x"}]}]}"#,
                r#"{"SecretList":[{"Tags":[{"Key":"k"},{}]}]}"#,
            ),
            (r#"{"SecretList":[{"Tags":null,"D\u0065scription":"x"}]}"#, r#"{"SecretList":[{"Tags":null}]}"#),
        ] {
            assert_eq!(String::from_utf8_lossy(&redact(body.as_bytes()).unwrap().0), wanted);
        }
    }

    #[test]
    fn what_is_no_page_is_not_kept() {
        for body in ["", "{", r#"{"SecretList":[{"Description":"x","Description":"y"}]}"#, r#"{"SecretList":"x"}"#] {
            assert!(redact(body.as_bytes()).is_none(), "{body}");
        }
    }
}
