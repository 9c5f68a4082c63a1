//! The one way a value becomes bytes: sorted keys, no spaces, one line, no floats.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::model::snapshot::Population;

/// Why a value has no canonical form.
#[derive(Debug)]
pub struct NotCanonical(String);

impl fmt::Display for NotCanonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no canonical form: {}", self.0)
    }
}

impl std::error::Error for NotCanonical {}

impl NotCanonical {
    /// A value that cannot be written because of `cause`.
    pub(super) fn new(cause: impl Into<String>) -> Self {
        Self(cause.into())
    }
}

/// The canonical line of `value`, with one trailing newline.
///
/// # Errors
/// When it holds a float, which has no one spelling, or a map key that is no text.
pub fn json(value: &impl Serialize) -> Result<Vec<u8>, NotCanonical> {
    let value = serde_json::to_value(value).map_err(|error| NotCanonical(error.to_string()))?;
    let mut out = Vec::with_capacity(256);
    write(&value, &mut out)?;
    out.push(b'\n');
    Ok(out)
}

/// The canonical line of `populations`, part by part: all of it at once is many times what they are in memory.
///
/// # Errors
/// As [`json`].
pub fn populations(populations: &[Population], mut sink: impl FnMut(&[u8])) -> Result<(), NotCanonical> {
    let mut put = |before: &str, line: &[u8]| {
        sink(before.as_bytes());
        sink(line.strip_suffix(b"\n").unwrap_or(line));
    };
    for (at, Population { source, scope, entity, completeness, resources }) in populations.iter().enumerate() {
        put(if at == 0 { "[{\"completeness\":" } else { ",{\"completeness\":" }, &json(completeness)?);
        put(",\"entity\":", &json(entity)?);
        put(",\"resources\":[", b"");
        for (at, resource) in resources.iter().enumerate() {
            put(if at == 0 { "" } else { "," }, &json(resource)?);
        }
        put("],\"scope\":", &json(scope)?);
        put(",\"source\":", &json(source)?);
        put("}", b"");
    }
    put(if populations.is_empty() { "[]\n" } else { "]\n" }, b"");
    Ok(())
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), NotCanonical> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) if number.is_f64() => return Err(NotCanonical(format!("`{number}` is a float"))),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => write_text(text, out)?,
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            // Sorted here: the order of `Map` depends on a feature any crate of the build can turn on.
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (at, (key, item)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_text(key, out)?;
                out.push(b':');
                write(item, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), NotCanonical> {
    serde_json::to_writer(out, text).map_err(|error| NotCanonical(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{Completeness, Fact, Resource};

    #[test]
    fn keys_are_sorted_at_every_depth_and_nothing_is_spaced() {
        let value: Value = serde_json::from_str(r#"{"b": [1, {"z": null, "a": "x\n"}], "a": true}"#).unwrap();
        assert_eq!(json(&value).unwrap(), b"{\"a\":true,\"b\":[1,{\"a\":\"x\\n\",\"z\":null}]}\n");
    }

    #[test]
    fn populations_part_by_part_are_the_same_line() {
        let population = |scope: &str, ids: &[&str]| Population {
            source: "main".into(),
            scope: scope.to_owned(),
            entity: "Aws::Secret".into(),
            completeness: Completeness::Complete,
            resources: ids
                .iter()
                .map(|id| Resource::of((*id).into(), &[("n", Fact::Text("x\n")), ("o", Fact::Long(1))]))
                .collect::<Vec<_>>()
                .into(),
        };
        for all in [vec![], vec![population("a", &[])], vec![population("a", &["x", "y"]), population("b", &["z"])]] {
            let mut parts = Vec::new();
            populations(&all, |bytes| parts.extend_from_slice(bytes)).unwrap();
            assert_eq!(String::from_utf8(parts), String::from_utf8(json(&all).unwrap()));
        }
    }

    #[test]
    fn a_float_is_refused() {
        assert!(json(&serde_json::json!({"share": 0.5})).is_err());
        assert_eq!(json(&u64::MAX).unwrap(), b"18446744073709551615\n");
    }
}
