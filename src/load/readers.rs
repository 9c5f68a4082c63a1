//! Checks on consumers that read a secret by themselves: who they read it as, when they read it again, and whether that can be seen.

use super::checks::Repo;
use super::raw_managed::Consumer;
use super::text::{Doc, error};
use crate::model::diagnostic::Diagnostic;
use crate::model::rotator::Overlap;

/// What is wrong with who reads for `consumer`.
pub(super) fn one(repo: &Repo<'_>, doc: &Doc<'_>, index: &str, consumer: &Consumer, out: &mut Vec<Diagnostic>) {
    for principal in consumer.principals.iter().filter(|principal| account_of(principal).is_none()) {
        let help = "write `arn:aws:iam::ACCOUNT:role/NAME`, or `user/NAME`; a session is known by its role".to_owned();
        let place = doc.at(&["consumer", index, "principals"]);
        out.push(error("slm::bad-principal", place, format!("`{principal}` is not the ARN of a role or user"), Some(help)));
    }
    let Some(reader) = &consumer.self_refreshing else { return };
    if consumer.max_staleness.is_none() {
        let help = "add `max-staleness`: how long it may go on with what it read".to_owned();
        let place = doc.at(&["consumer", index, "self-refreshing"]);
        out.push(error("slm::staleness-missing", place, "nobody knows when it reads again", Some(help)));
    }
    if reader.acknowledged_by.is_some() {
        acknowledged(repo, doc, index, consumer, out);
    }
}

/// The account in `arn:PARTITION:iam::ACCOUNT:role/…` or `user/…`.
fn account_of(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let named = |what: &str| ["role/", "user/"].iter().any(|kind| what.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
    match parts[..] {
        ["arn", _, "iam", "", account, what] if account.len() == 12 && named(what) => Some(account),
        _ => None,
    }
}

/// `CloudTrail` can see its principals read, and something waits for that.
fn acknowledged(repo: &Repo<'_>, doc: &Doc<'_>, index: &str, consumer: &Consumer, out: &mut Vec<Diagnostic>) {
    let place = || doc.at(&["consumer", index, "self-refreshing", "acknowledged-by"]);
    if consumer.principals.is_empty() {
        let help = "add `principals`, the ARNs of the roles and users it reads as".to_owned();
        out.push(error("slm::unknown-reader", place(), "nobody is known to read for it", Some(help)));
    }
    let Some(raw) = repo.credentials.iter().find(|item| item.doc.stem == doc.stem).map(|item| &item.raw) else { return };
    if let Some(kind) = raw.rotator.kind() {
        let can = kind.capabilities();
        let ends = can.staged() || (can.validated() && can.overlap != Overlap::Single && kind.by_hand().is_none());
        if !ends || kind.aws_managed().is_some() {
            let message = format!("no value of kind `{}` is ended later, so that nothing waits for its readers", kind.kind());
            let help = "delete `acknowledged-by`; `max-staleness` is all that counts here".to_owned();
            out.push(error("slm::needless-acknowledgement", place(), message, Some(help)));
        }
    }
    let settings = repo.settings.as_ref().map(|settings| &settings.raw);
    let Some(source) = settings.and_then(|settings| settings.source.get(&raw.secret.source)) else { return };
    let Some(aws) = &source.aws else {
        let message = format!("source `{}` is not an AWS account, and `CloudTrail` logs nothing of it", raw.secret.source);
        let help = "delete `acknowledged-by`, or keep the secret in a source of kind `aws`".to_owned();
        return out.push(error("slm::wrong-source-kind", place(), message, Some(help)));
    };
    let elsewhere = |arn: &&String| account_of(arn).is_some_and(|account| account != aws.account);
    for principal in consumer.principals.iter().filter(elsewhere) {
        let message = format!("`{principal}` is of another account than `{}`, whose log does not name it", raw.secret.source);
        let help = "let it read as a role of that account, or delete `acknowledged-by`".to_owned();
        out.push(error("slm::unseen-reader", doc.at(&["consumer", index, "principals"]), message, Some(help)));
    }
}
