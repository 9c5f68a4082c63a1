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
        account(repo, doc, &["registers", "s3"], &s3.source, &s3.region, out);
        named(doc, "s3", "bucket", &s3.bucket, is_bucket(&s3.bucket), "use 3 to 63 of `a-z 0-9 . -`, as S3 does", out);
        named(doc, "s3", "prefix", &s3.prefix, is_prefix(&s3.prefix), "use `A-Z a-z 0-9 - _ . = /`, no `/` in front", out);
    }
    if let Some(table) = dynamodb {
        account(repo, doc, &["registers", "dynamodb"], &table.source, &table.region, out);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fine = (3..=255).contains(&table.table.len()) && table.table.bytes().all(plain);
        named(doc, "dynamodb", "table", &table.table, fine, "use 3 to 255 of `A-Z a-z 0-9 - _ .`, as DynamoDB does", out);
    }
}

/// True when keys of objects may begin with `text`.
pub(super) fn is_prefix(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=".contains(&byte);
    text.len() <= 512 && text.bytes().all(plain) && !text.starts_with('/')
}

/// True when a bucket can have this name.
pub(super) fn is_bucket(name: &str) -> bool {
    let end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let ends = end(name.bytes().next()) && end(name.bytes().last());
    let address = name.parse::<core::net::Ipv4Addr>().is_ok();
    (3..=63).contains(&name.len()) && name.bytes().all(plain) && ends && !name.contains("..") && !address
}

fn named(doc: &Doc<'_>, kind: &str, key: &str, name: &str, fine: bool, help: &str, out: &mut Vec<Diagnostic>) {
    if !fine {
        let message = format!("`{name}` cannot be a {key}");
        out.push(error("slm::bad-registers", doc.at(&["registers", kind, key]), message, Some(help.to_owned())));
    }
}

/// What is wrong with `id` and `region`, which stand below `at`, as an AWS account in scope.
pub(super) fn account(repo: &Repo<'_>, doc: &Doc<'_>, at: &[&str], id: &SourceId, region: &str, out: &mut Vec<Diagnostic>) {
    let below = |key: &'static str| [at, &[key]].concat();
    let Some(found) = source(repo, doc, &below("source"), id.as_str(), out) else { return };
    let Some(aws) = &found.aws else {
        let help = "use a source of kind `aws`".to_owned();
        let message = format!("source `{id}` is not an AWS account");
        out.push(error("slm::wrong-source-kind", doc.at(&below("source")), message, Some(help)));
        return;
    };
    if !aws.regions.iter().any(|known| known == region) {
        let regions = || aws.regions.iter().map(String::as_str);
        let help = near::did_you_mean(region, regions()).or_else(|| Some(format!("its regions are {}", near::list(regions()))));
        let message = format!("region `{region}` is not in scope of source `{id}`");
        out.push(error("slm::unknown-region", doc.at(&below("region")), message, help));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{World, world};

    const S3: &str = "s3 = { source = \"prod\", region = \"eu-west-1\", bucket = \"acme-slm\" }";
    const DYNAMODB: &str = "dynamodb = { source = \"prod\", region = \"eu-west-1\", table = \"slm-registers\" }";

    /// Registers as `lines` say.
    fn with(lines: &[&str]) -> World {
        world().with("slm.toml", "[source.prod]", &format!("[registers]\n{}\n\n[source.prod]", lines.join("\n")))
    }

    /// Registers as `line` says, the first `from` in it replaced by `to`.
    fn changed(line: &str, from: &str, to: &str) -> World {
        assert!(line.contains(from), "{from}");
        with(&[&line.replacen(from, to, 1)])
    }

    #[test]
    fn git_a_bucket_or_a_table_is_a_place_for_registers_and_two_are_not() {
        for lines in [&[][..], &[S3], &[DYNAMODB]] {
            assert_eq!(with(lines).found(), [], "{lines:?}");
        }
        with(&[S3, DYNAMODB]).says("slm::not-one-kind", "registers", "give one of `s3` and `dynamodb`, or none for git");
    }

    #[test]
    fn a_key_of_registers_that_is_unknown_or_missing_is_pointed_at() {
        with(&[&S3.replace("s3 =", "s4 =")]).says("slm::unknown-key", "s4", "did you mean `s3`?");
        changed(S3, "bucket", "buckt").mentions("slm::unknown-key", "buckt", "did you mean `bucket`?");
        changed(DYNAMODB, "table", "tabel").mentions("slm::unknown-key", "tabel", "did you mean `table`?");
        for (line, without, key) in [
            (S3, "source = \"prod\", ", "`source`: The AWS source that owns the bucket"),
            (S3, "region = \"eu-west-1\", ", "`region`: The region of the bucket"),
            (S3, ", bucket = \"acme-slm\"", "`bucket`: Its name"),
            (DYNAMODB, "source = \"prod\", ", "`source`: The AWS source that owns the table"),
            (DYNAMODB, "region = \"eu-west-1\", ", "`region`: The region of the table"),
            (DYNAMODB, ", table = \"slm-registers\"", "`table`: Its name"),
        ] {
            let kind = if line == S3 { "s3" } else { "dynamodb" };
            changed(line, without, "").says("slm::missing-key", kind, key);
        }
    }

    #[test]
    fn registers_are_in_a_region_in_scope_of_a_source_of_aws() {
        for line in [S3, DYNAMODB] {
            changed(line, "prod", "prd").says("slm::unknown-source", "\"prd\"", "did you mean `prod`?");
            changed(line, "prod", "org").says("slm::wrong-source-kind", "\"org\"", "use a source of kind `aws`");
            changed(line, "eu-west-1", "eu-west-2").says("slm::unknown-region", "\"eu-west-2\"", "did you mean `eu-west-1`?");
            changed(line, "eu-west-1", "").says("slm::unknown-region", "\"\"", "its regions are `eu-west-1`");
        }
    }

    #[test]
    fn names_that_s3_or_dynamodb_would_refuse_are_refused() {
        for bucket in ["", "ab", "Acme-slm", "acme_slm", "-acme", "acme.", "acme..slm", "192.168.5.4", &"a".repeat(64)] {
            changed(S3, "acme-slm", bucket).says("slm::bad-registers", &format!("\"{bucket}\""), "3 to 63");
        }
        for table in ["", "ab", "slm registers", "slm/registers", &"a".repeat(256)] {
            changed(DYNAMODB, "slm-registers", table).says("slm::bad-registers", &format!("\"{table}\""), "3 to 255");
        }
        for prefix in ["/slm/", "slm registers/", "é/", &"a".repeat(513)] {
            let line = S3.replace(" }", &format!(", prefix = \"{prefix}\" }}"));
            with(&[&line]).says("slm::bad-registers", &format!("\"{prefix}\""), "no `/` in front");
        }
        for (line, name, fine) in [
            (S3, "acme-slm", "a.b-c.0"),
            (S3, "acme-slm", &"a".repeat(63)),
            (S3, "acme-slm\"", "acme-slm\", prefix = \"\""),
            (S3, "acme-slm\"", "acme-slm\", prefix = \"team=a/slm_1.x/\""),
            (DYNAMODB, "slm-registers", "Slm_registers.1"),
            (DYNAMODB, "slm-registers", &"a".repeat(255)),
        ] {
            assert_eq!(changed(line, name, fine).found(), [], "{fine}");
        }
    }
}
