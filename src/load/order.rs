//! Checks on the order between credentials: what a value is made of exists, and none is made of itself.

use std::collections::BTreeSet;

use super::checks::Repo;
use super::near;
use super::text::{Item, error, stem};
use crate::model::diagnostic::Diagnostic;

/// What is wrong with `after` of each credential.
pub fn order(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let broken = repo.broken.iter().filter(|path| path.starts_with("credentials/"));
    let known: BTreeSet<&str> = repo.credentials.iter().map(|item| item.doc.stem).chain(broken.map(|path| stem(path))).collect();
    for Item { doc, raw } in &repo.credentials {
        if !raw.after.is_empty() && (raw.rotator.manual.is_some() || raw.rotator.observe.is_some()) {
            let help = "write in the steps what it follows; slm asks a person by its age alone".to_owned();
            let message = "slm does not rotate this, and so not after something".to_owned();
            out.push(error("slm::impossible-order", doc.at(&["after"]), message, Some(help)));
        }
        for (index, name) in raw.after.iter().enumerate() {
            let place = || doc.at(&["after", &index.to_string()]);
            if !known.contains(name.as_str()) {
                let help = near::did_you_mean(name, known.iter().copied());
                out.push(error("slm::unknown-credential", place(), format!("unknown credential `{name}`"), help));
            } else if let Some(way) = way(repo, name, doc.stem) {
                let way: Vec<String> = [doc.stem].into_iter().chain(way).map(|id| format!("`{id}`")).collect();
                let help = "leave out the one whose value is not made of the other".to_owned();
                let message = format!("a value cannot be made of itself: {}", way.join(" after "));
                out.push(error("slm::circular-order", place(), message, Some(help)));
            }
        }
    }
}

/// The shortest way from the credential `from` by `after` to `to`, both included; none when there is no way.
fn way<'r>(repo: &'r Repo<'_>, from: &'r str, to: &str) -> Option<Vec<&'r str>> {
    let after = |id: &str| {
        let found = repo.credentials.iter().find(|item| item.doc.stem == id);
        found.into_iter().flat_map(|item| item.raw.after.iter().map(String::as_str))
    };
    let mut seen = BTreeSet::from([from]);
    let mut ways = vec![vec![from]];
    while !ways.is_empty() {
        if let Some(found) = ways.iter().find(|way| way.last() == Some(&to)) {
            return Some(found.clone());
        }
        let further = ways.iter().flat_map(|way| way.last().into_iter().flat_map(|last| after(last)).map(move |next| (way, next)));
        let further: Vec<Vec<&str>> =
            further.filter(|(_, next)| seen.insert(next)).map(|(way, next)| way.iter().copied().chain([next]).collect()).collect();
        ways = further;
    }
    None
}
