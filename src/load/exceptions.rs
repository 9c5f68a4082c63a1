//! Checks on exceptions: for one resource, with a reason, approved by another person, short, and not renewed for ever.

use std::collections::BTreeMap;

use super::checks::Repo;
use super::text::{Doc, Item, error, warning};
use super::{near, raw};
use crate::model::diagnostic::Diagnostic;
use crate::model::time::{Limit, Timestamp};

/// Longest life of an exception from one approval.
const LONGEST: Limit = Limit::days(90);
/// Renewals after which it is the rule and not the exception: three approvals are most of a year.
const RENEWALS: usize = 2;

/// Everything that is wrong with exceptions and that their text shows.
pub fn exceptions(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let known = repo.control_ids();
    let mut same = BTreeMap::<(&str, &str), Vec<&Item<'_, raw::Exception>>>::new();
    for item in &repo.exceptions {
        let Item { doc, raw } = item;
        if !known.contains(raw.control.as_str()) {
            let help = near::did_you_mean(&raw.control, known.iter().copied());
            out.push(error("slm::unknown-control", doc.at(&["control"]), format!("unknown control `{}`", raw.control), help));
        }
        explained(doc, raw, out);
        one_resource(doc, raw, out);
        approved(doc, raw, out);
        in_time(doc, raw, repo.at, out);
        renewed(doc, raw, out);
        same.entry((&raw.control, &raw.resource)).or_default().push(item);
    }
    same.values().for_each(|all| twice(all, out));
}

/// Whoever reads it must learn why, what stands in for the control, where it was discussed and who asked.
fn explained(doc: &Doc<'_>, raw: &raw::Exception, out: &mut Vec<Diagnostic>) {
    let words = [
        ("reason", &raw.reason, "say why the control cannot be met now"),
        ("compensating", &raw.compensating, "say what stands in for the control meanwhile"),
        ("ticket", &raw.ticket, "name the ticket it was discussed in"),
        ("requester", &raw.requester, "name the person who asked for it"),
    ];
    for (key, _, help) in words.iter().filter(|(_, text, _)| text.trim().is_empty()) {
        let message = format!("`{key}` of the exception is empty");
        out.push(error("slm::exception-unexplained", doc.at(&[key]), message, Some((*help).to_owned())));
    }
}

/// A pattern would lift the control for what nobody looked at.
fn one_resource(doc: &Doc<'_>, raw: &raw::Exception, out: &mut Vec<Diagnostic>) {
    if raw.resource.trim().is_empty() || raw.resource.contains(['*', '?']) {
        let help = "name one resource as `slm explain` shows it; each further one is an exception of its own".to_owned();
        let message = format!("`{}` is not one resource", raw.resource);
        out.push(error("slm::exception-too-broad", doc.at(&["resource"]), message, Some(help)));
    }
}

fn approved(doc: &Doc<'_>, raw: &raw::Exception, out: &mut Vec<Diagnostic>) {
    let (requester, approver) = (raw.requester.trim(), raw.approver.trim());
    if approver.is_empty() {
        let help = "name the person who approved it, other than the requester".to_owned();
        out.push(error("slm::unapproved", doc.at(&["approver"]), "exception is not approved", Some(help)));
    } else if requester.to_lowercase() == approver.to_lowercase() {
        let message = format!("`{approver}` approved their own request");
        let help = "ask another person to approve it".to_owned();
        out.push(error("slm::self-approved", doc.at(&["approver"]), message, Some(help)));
    }
}

fn in_time(doc: &Doc<'_>, raw: &raw::Exception, at: Timestamp, out: &mut Vec<Diagnostic>) {
    if raw.expires <= raw.approved {
        let message = format!("expires `{}`, not after it was approved `{}`", raw.expires, raw.approved);
        out.push(error("slm::expires-before-approved", doc.at(&["expires"]), message, None));
    } else if raw.expires > LONGEST.after(raw.approved) {
        let message = format!("exception lasts longer than `{LONGEST}`");
        let help = format!("let it expire by `{}` and renew it then", LONGEST.after(raw.approved));
        out.push(error("slm::exception-too-long", doc.at(&["expires"]), message, Some(help)));
    }
    if raw.approved > at {
        let message =
            format!("exception is approved as of `{}`, which is still to come, and permits nothing until then", raw.approved);
        out.push(warning("slm::exception-ahead", doc.at(&["approved"]), message, None));
    }
    if raw.expires <= at {
        let message = format!("exception expired `{}` and permits nothing", raw.expires);
        let help = "delete it, or have it approved again".to_owned();
        out.push(warning("slm::expired-exception", doc.at(&["expires"]), message, Some(help)));
    }
}

/// Earlier approvals are in order, and not too many.
fn renewed(doc: &Doc<'_>, raw: &raw::Exception, out: &mut Vec<Diagnostic>) {
    let all: Vec<Timestamp> = raw.earlier.iter().copied().chain([raw.approved]).collect();
    if let Some(at) = all.windows(2).position(|two| two[0] >= two[1]) {
        let message = format!("approved `{}`, not before the next time `{}`", all[at], all[at + 1]);
        let help = "list earlier approvals from the first to the last".to_owned();
        out.push(error("slm::bad-renewals", doc.at(&["earlier", &at.to_string()]), message, Some(help)));
    } else if raw.earlier.len() >= RENEWALS {
        let days = (raw.expires.as_second() - all[0].as_second()) / Limit::DAY;
        let message = format!("exception was renewed {} times and lasts {days} days in all", raw.earlier.len());
        let help = "meet the control, or change it: what is renewed again and again is no exception".to_owned();
        out.push(warning("slm::exception-renewed", doc.at(&["earlier"]), message, Some(help)));
    }
}

/// Two for the same would make each look shorter than both are.
fn twice(all: &[&Item<'_, raw::Exception>], out: &mut Vec<Diagnostic>) {
    let mut all = all.to_vec();
    all.sort_by_key(|item| (item.raw.approved, item.doc.path));
    for two in all.windows(2) {
        let [first, second] = two else { continue };
        let message = format!("`{}` lifts `{}` for the same resource already", first.doc.path, second.raw.control);
        let help = format!("renew that one: move its `approved`, `{}`, to `earlier`", first.raw.approved);
        out.push(error("slm::exception-twice", second.doc.at(&["resource"]), message, Some(help)));
    }
}
