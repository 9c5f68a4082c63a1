//! Cedar text cut into tokens, only as far as needed to find where policies stand and how deep they nest.

use std::ops::Range;

/// Weight above which a policy is not given to Cedar. Its parser recurses: some 45 brackets overflow a stack of 2 MiB in a debug
/// build. Worse, its validator gives up when the stack runs low, at some 90 operators, and then calls a wrong policy valid.
/// What people write weighs 10 to 40.
const HEAVIEST: usize = 72;
/// What one level of brackets weighs against one operator.
const BRACKET: usize = 4;

/// A word, one character of punctuation, or a string with its quotes; comments and white space are left out.
pub fn tokens(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at;
            let byte = *bytes.get(at)?;
            at += 1;
            match byte {
                b'/' if bytes.get(at) == Some(&b'/') => {
                    at =
                        bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(bytes.len(), |length| at + length);
                    continue;
                }
                b'"' => {
                    while bytes.get(at).is_some_and(|byte| *byte != b'"') {
                        at += if bytes[at] == b'\\' { 2 } else { 1 };
                    }
                    at = (at + 1).min(bytes.len());
                }
                byte if byte.is_ascii_whitespace() => continue,
                byte if word(byte) => at += bytes[at..].iter().take_while(|byte| word(**byte)).count(),
                _ => {}
            }
            return Some(start..at);
        }
    })
}

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Where each policy of a file that parsed stands: Cedar has `;` only at the end of a policy, in strings and in comments.
pub fn policies(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut start) = (Vec::new(), None);
    for token in tokens(text) {
        let begin = *start.get_or_insert(token.start);
        if text.get(token.clone()) == Some(";") {
            found.push(begin..token.end);
            start = None;
        }
    }
    found
}

/// The first token at which a policy, or a declaration of the schema, becomes too heavy to be parsed safely.
pub fn too_heavy(text: &str, schema: bool) -> Option<Range<usize>> {
    let (mut depth, mut operators, mut accesses) = (0_usize, 0, 0);
    for token in tokens(text) {
        match text.get(token.clone()).unwrap_or_default() {
            "(" | "[" | "{" => depth += 1,
            "<" if schema => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            ">" if schema => depth = depth.saturating_sub(1),
            ";" if schema => {}
            ";" => (depth, operators, accesses) = (0, 0, 0),
            "." => accesses += 1,
            "," => accesses = 0,
            // `&&` and `||` are two tokens each, so everything else counts double.
            "&" | "|" if !schema => (operators, accesses) = (operators + 1, 0),
            "+" | "-" | "*" | "!" | "if" if !schema => (operators, accesses) = (operators + 2, 0),
            _ => {}
        }
        if depth * BRACKET + operators / 2 + accesses > HEAVIEST {
            return Some(token);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_found_between_comments_and_strings() {
        let text =
            "// a; b\n@id(\"x;\\\"y\")\npermit (principal, action, resource);\n\nforbid (principal, action, resource); // end;";
        let found: Vec<_> = policies(text).into_iter().map(|span| &text[span]).collect();
        assert_eq!(found, ["@id(\"x;\\\"y\")\npermit (principal, action, resource);", "forbid (principal, action, resource);"]);
    }

    #[test]
    fn brackets_and_operators_of_one_policy_have_a_limit() {
        assert_eq!(too_heavy(&"(".repeat(18), false), None);
        assert_eq!(too_heavy(&"(".repeat(19), false), Some(18..19));
        assert_eq!(too_heavy(&"a && b;".repeat(500), false), None);
        assert!(too_heavy(&"a && ".repeat(73), false).is_some());
        assert!(too_heavy(&".a".repeat(73), false).is_some());
        assert_eq!(too_heavy(&format!("\"{}\" // {}", "(".repeat(99), "[".repeat(99)), false), None);
        assert!(too_heavy(&"Set<".repeat(19), true).is_some());
    }
}
