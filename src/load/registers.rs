//! Checks on where is written, once, what rotations decided.

use super::checks::Repo;
use super::managed::source;
use super::near;
use super::text::{Doc, Item, error};
use crate::model::diagnostic::Diagnostic;
use crate::model::id::SourceId;

/// Registers are in one place at most, of an AWS account that is in scope.
pub fn registers(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let Some(Item { doc, raw }) = &repo.settings else { return };
    let (s3, dynamodb) = (&raw.registers.s3, &raw.registers.dynamodb);
    if s3.is_some() && dynamodb.is_some() {
        let help = "give one of `s3` and `dynamodb`, or none for git".to_owned();
        out.push(error("slm::not-one-kind", doc.key(&["registers"]), "`registers` has 2 kinds", Some(help)));
    }
    if let Some(s3) = s3 {
        account(repo, doc, "s3", &s3.source, &s3.region, out);
        named(doc, "s3", "bucket", &s3.bucket, is_bucket(&s3.bucket), "use 3 to 63 of `a-z 0-9 . -`, as S3 does", out);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=".contains(&byte);
        let tidy = s3.prefix.len() <= 512 && s3.prefix.bytes().all(plain) && !s3.prefix.starts_with('/');
        named(doc, "s3", "prefix", &s3.prefix, tidy, "use `A-Z a-z 0-9 - _ . = /`, no `/` in front", out);
    }
    if let Some(table) = dynamodb {
        account(repo, doc, "dynamodb", &table.source, &table.region, out);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fine = (3..=255).contains(&table.table.len()) && table.table.bytes().all(plain);
        named(doc, "dynamodb", "table", &table.table, fine, "use 3 to 255 of `A-Z a-z 0-9 - _ .`, as DynamoDB does", out);
    }
}

fn is_bucket(name: &str) -> bool {
    let end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let ends = end(name.bytes().next()) && end(name.bytes().last());
    (3..=63).contains(&name.len()) && name.bytes().all(plain) && ends && !name.contains("..")
}

fn named(doc: &Doc<'_>, kind: &str, key: &str, name: &str, fine: bool, help: &str, out: &mut Vec<Diagnostic>) {
    if !fine {
        let message = format!("`{name}` cannot be a {key}");
        out.push(error("slm::bad-registers", doc.at(&["registers", kind, key]), message, Some(help.to_owned())));
    }
}

fn account(repo: &Repo<'_>, doc: &Doc<'_>, kind: &str, id: &SourceId, region: &str, out: &mut Vec<Diagnostic>) {
    let Some(found) = source(repo, doc, &["registers", kind, "source"], id.as_str(), out) else { return };
    let Some(aws) = &found.aws else {
        let help = "use a source of kind `aws`".to_owned();
        let place = doc.at(&["registers", kind, "source"]);
        out.push(error("slm::wrong-source-kind", place, format!("source `{id}` is not an AWS account"), Some(help)));
        return;
    };
    if !aws.regions.iter().any(|known| known == region) {
        let regions = || aws.regions.iter().map(String::as_str);
        let help = near::did_you_mean(region, regions()).or_else(|| Some(format!("its regions are {}", near::list(regions()))));
        let message = format!("region `{region}` is not in scope of source `{id}`");
        out.push(error("slm::unknown-region", doc.at(&["registers", kind, "region"]), message, help));
    }
}
