//! Where is written, once, what rotations decided: git, or a service with a conditional write.

use schemars::JsonSchema;
use serde::Deserialize;

use super::id::SourceId;

/// `[registers]` of `slm.toml`; git when it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RegistersSettings {
    /// Objects of an S3 bucket, each put with `If-None-Match`; at most one of this and `dynamodb`.
    pub s3: Option<S3Registers>,
    /// Items of a DynamoDB table, each put on the condition that there is none; at most one of this and `s3`.
    pub dynamodb: Option<DynamodbRegisters>,
}

/// Registers in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct S3Registers {
    /// The AWS source that owns the bucket.
    pub source: SourceId,
    /// The region of the bucket.
    pub region: String,
    /// Its name.
    pub bucket: String,
    /// What the keys begin with; `slm/registers/` when absent.
    #[serde(default = "prefix")]
    pub prefix: String,
}

fn prefix() -> String {
    "slm/registers/".to_owned()
}

/// Registers in a table with the text keys `rotation` (partition) and `name` (sort).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DynamodbRegisters {
    /// The AWS source that owns the table.
    pub source: SourceId,
    /// The region of the table.
    pub region: String,
    /// Its name.
    pub table: String,
}

/// `name` in characters that a git ref and an object key take: `A-Z a-z 0-9 - _`, every other byte as `%` and two hex digits.
#[must_use]
pub fn plain(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            _ => out.extend(['%', hex(byte >> 4), hex(byte & 15)]),
        }
    }
    out
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_stay_different_and_those_we_make_stay_as_they_are() {
        let names = ["fate-6b1f", "a/b", "a%2Fb", "a b", "a.lock", "..", "é", "@{", "A", "a"];
        let plain: std::collections::BTreeSet<String> = names.iter().map(|name| plain(name)).collect();
        assert_eq!(plain.len(), names.len());
        assert!(plain.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_%".contains(&byte))));
        assert!(plain.contains("fate-6b1f") && plain.contains("a%2Fb") && plain.contains("a%252Fb"));
    }
}
