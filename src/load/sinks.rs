//! Checks on the places that mirror the evidence.

use super::anchors::is_id;
use super::checks::Repo;
use super::registers::{account, is_bucket, is_prefix};
use super::text::{Item, error};
use crate::model::diagnostic::Diagnostic;
use crate::model::locker::SinkSettings;
use crate::model::time::Limit;

/// Each sink has a name that no other sink or anchor has, is of one kind, and could keep something.
pub fn sinks(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let Some(Item { doc, raw }) = &repo.settings else { return };
    let mut taken: Vec<&String> = raw.locker.anchor.iter().map(|anchor| &anchor.id).collect();
    for (index, sink) in raw.locker.sink.iter().enumerate() {
        let index = index.to_string();
        let at = ["locker", "sink", &index];
        let place = |keys: &[&str]| doc.at(&[&at[..], keys].concat());
        let SinkSettings { id, s3, dynamodb } = sink;
        if !is_id(id) {
            let help = "use 1 to 40 of `a-z 0-9 -`, a letter first".to_owned();
            out.push(error("slm::bad-sink", place(&["id"]), format!("`{id}` cannot name a sink"), Some(help)));
        }
        if taken.contains(&id) {
            out.push(error("slm::duplicate-id", place(&["id"]), format!("sink or anchor `{id}` is declared twice"), None));
        }
        taken.push(id);
        let kinds = [s3.is_some(), dynamodb.is_some()].into_iter().filter(|given| *given).count();
        if kinds != 1 {
            let help = "give one of `s3` and `dynamodb`".to_owned();
            out.push(error("slm::not-one-kind", place(&["id"]), format!("sink `{id}` has {kinds} kinds"), Some(help)));
        }
        if let Some(s3) = s3 {
            account(repo, doc, &[&at[..], &["s3"]].concat(), &s3.source, &s3.region, out);
            let fine = is_bucket(&s3.bucket) && is_prefix(&s3.prefix);
            if !fine {
                let help = "use a name as S3 has it, and a prefix of `A-Z a-z 0-9 - _ . = /` without `/` in front".to_owned();
                let message = format!("`{}` and `{}` cannot be a bucket and a prefix", s3.bucket, s3.prefix);
                out.push(error("slm::bad-sink", place(&["s3", "bucket"]), message, Some(help)));
            }
            if s3.retention < Limit::days(1) {
                let help = "Object Lock counts in days; six years are `2190d`".to_owned();
                let message = format!("a retention of `{}` keeps nothing", s3.retention);
                out.push(error("slm::bad-limit", place(&["s3", "retention"]), message, Some(help)));
            }
        }
        if let Some(table) = dynamodb {
            account(repo, doc, &[&at[..], &["dynamodb"]].concat(), &table.source, &table.region, out);
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if !((3..=255).contains(&table.table.len()) && table.table.bytes().all(plain)) {
                let help = "use 3 to 255 of `A-Z a-z 0-9 - _ .`, as DynamoDB does".to_owned();
                let message = format!("`{}` cannot be a table", table.table);
                out.push(error("slm::bad-sink", place(&["dynamodb", "table"]), message, Some(help)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{World, world};

    const S3: &str = "[[locker.sink]]\nid = \"copy\"\ns3 = { source = \"prod\", region = \"eu-west-1\", bucket = \"acme-copy\", \
                      retention = \"2190d\" }\n";
    const TABLE: &str =
        "[[locker.sink]]\nid = \"table\"\ndynamodb = { source = \"prod\", region = \"eu-west-1\", table = \"evidence\" }\n";

    fn with(lines: &str) -> World {
        world().with("slm.toml", "[source.prod]", &format!("{lines}\n[source.prod]"))
    }

    #[test]
    fn sinks_of_both_kinds_stand_side_by_side_and_have_names_of_their_own() {
        assert_eq!(with(&format!("{S3}{TABLE}")).found(), []);
        with(&format!("{S3}{S3}")).says("slm::duplicate-id", "\"copy\"", "");
        let anchor = "[[locker.anchor]]\nid = \"copy\"\ngit = { remote = \"file:///srv/m.git\" }\n";
        with(&format!("{anchor}{S3}")).says("slm::duplicate-id", "\"copy\"", "");
        with("[[locker.sink]]\nid = \"x\"\n").says("slm::not-one-kind", "\"x\"", "give one of `s3` and `dynamodb`");
        with(&S3.replace("copy\"\n", "Copy\"\n")).says("slm::bad-sink", "\"Copy\"", "a letter first");
    }

    #[test]
    fn a_sink_that_could_keep_nothing_is_refused() {
        with(&S3.replace("acme-copy", "A")).says("slm::bad-sink", "\"A\"", "as S3 has it");
        with(&S3.replace("2190d", "1h")).says("slm::bad-limit", "\"1h\"", "`2190d`");
        with(&S3.replace("eu-west-1", "eu-west-2")).says("slm::unknown-region", "\"eu-west-2\"", "did you mean `eu-west-1`?");
        with(&TABLE.replace("evidence", "a/b")).says("slm::bad-sink", "\"a/b\"", "3 to 255");
        with(&TABLE.replace("prod", "org")).says("slm::wrong-source-kind", "\"org\"", "use a source of kind `aws`");
    }
}
