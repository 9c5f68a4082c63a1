//! What anchors said of checkpoints, as it is kept in the locker below `anchors/`, and what it proves of a chain that was followed.
//!
//! A token over the checkpoint of a run comes after the commit of that run. It is kept on a branch beside the evidence at once, and is
//! an artefact of the next run, so that it is in the log itself: that commit cannot have been made before the token was.

use std::collections::BTreeMap;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::canonical::{self, NotCanonical};
use super::leaf::hex;
use super::log::{Verifier, open};
use super::timestamp::{self, Stamp};
use super::verify::{Finding, Remark, Sealed};
use crate::model::time::Timestamp;

/// The folder of what anchors said.
pub const FOLDER: &str = "anchors/";
/// How far the clock of an authority and ours may be apart.
const SKEW_SECONDS: i64 = 300;
/// Longer than it takes from a commit to the token over it.
const LATE_SECONDS: i64 = 86_400;

/// Where the token of `anchor` over the checkpoint `note` of `size` entries is kept, by the day it was received. Two checkpoints of one
/// size, which there must not be, do not share a name: a token is never written over.
#[must_use]
pub fn token_path(anchor: &str, size: u64, note: &[u8], received: Timestamp) -> String {
    format!("{FOLDER}{anchor}/{}/{size}-{}.tsr", day(received), &hex(&Sha256::digest(note))[..8])
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y/%m/%d").to_string()
}

/// Where is kept what became of the checkpoint of `run` at each anchor, by the day it was received.
#[must_use]
pub fn attempt_path(run: &str, received: Timestamp) -> String {
    format!("{FOLDER}{}/{run}.json", day(received))
}

/// What became of one checkpoint at each anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Of this file.
    pub format: u32,
    /// The run that it is the checkpoint of.
    pub run: String,
    /// Its commit.
    pub commit: String,
    /// Entries that it covers.
    pub entries: u64,
    /// By anchor, in the order of the settings.
    pub anchors: Vec<Tried>,
    /// The line of the signature over [`Attempt::text`] by the key that signed the checkpoint, as below a note; none where nobody signs, and in
    /// what an older slm wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl Attempt {
    /// What of it is signed, in the log `origin`: no text of a checkpoint or of a key is like it.
    ///
    /// # Errors
    /// When it has no canonical form.
    pub fn text(&self, origin: &str) -> Result<String, NotCanonical> {
        let unsigned = canonical::json(&Self { signature: None, ..self.clone() })?;
        Ok(format!("{origin}\nattempt\n{}", String::from_utf8_lossy(&unsigned)))
    }

    /// Whether `key` of the log `origin` signed it.
    #[must_use]
    pub fn is_signed_by(&self, origin: &str, key: &Verifier) -> bool {
        let (Some(signature), Ok(text)) = (&self.signature, self.text(origin)) else { return false };
        let opened = open(format!("{text}\n{signature}\n").as_bytes(), std::slice::from_ref(key));
        opened.is_ok_and(|opened| opened.text == text)
    }
}

/// What became of it at one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The anchor.
    pub id: String,
    /// `git`, `s3` or `rfc3161`, or `s3-sink` or `dynamodb-sink`.
    pub kind: String,
    /// What became of it.
    pub fate: Kept,
}

/// What became of a checkpoint at an anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// It keeps it, or vouched for it.
    Kept,
    /// It does not, for this reason.
    Failed(String),
    /// It keeps another in its place.
    Differs(String),
}

/// A file below `anchors/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Its path.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The date of the commit that logged it; none when none did yet.
    pub logged: Option<Timestamp>,
}

/// What one authority vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The anchor.
    pub anchor: String,
    /// Who it is.
    pub authority: String,
    /// Tokens of it that hold.
    pub tokens: u64,
    /// The most entries that one of them covers.
    pub entries: u64,
    /// They existed before this instant.
    pub at: Timestamp,
}

/// What is proven by what anchors said, and what it contradicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// By anchor.
    pub vouched: Vec<Vouched>,
    /// What does not hold.
    pub findings: Vec<Finding>,
    /// What is worth knowing.
    pub remarks: Vec<Remark>,
    /// What could not be looked at.
    pub unproven: Vec<Remark>,
}

/// A token by its place.
struct Token<'a> {
    size: u64,
    file: &'a Filed,
}

/// A log as anchors were shown it.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// How many entries it has by now.
    pub entries: u64,
    /// Its checkpoints, the shortest first.
    pub sealed: &'a [Sealed],
}

/// Compares `files` with the log that is `shown`. `trusted` gives the authorities that vouch for the tokens of an anchor, or why they are not to be had.
#[must_use]
pub fn judge(shown: Shown<'_>, files: &[Filed], trusted: impl Fn(&str) -> Result<Vec<CertificateDer<'static>>, String>) -> Judged {
    let mut judged = Judged::default();
    let mut by_anchor = BTreeMap::<&str, Vec<Token<'_>>>::new();
    for file in files {
        if let Some((anchor, size)) = place(&file.path) {
            by_anchor.entry(anchor).or_default().push(Token { size, file });
        }
    }
    for (anchor, tokens) in by_anchor {
        let roots = match trusted(anchor) {
            Ok(roots) => roots,
            Err(why) => {
                let what = format!("tokens of `{anchor}`, {}, are not looked at: {why}", tokens.len());
                judged.unproven.push(Remark { code: "slm::evidence-unjudged-token", what });
                continue;
            }
        };
        let mut held = Vec::new();
        for token in &tokens {
            match of_one(shown, anchor, token, &roots) {
                Ok(stamp) => held.push((token.size, stamp)),
                Err(finding) => judged.findings.push(finding),
            }
        }
        judged.remarks.extend(late(shown, anchor, &held));
        if let Some((entries, stamp)) = held.iter().max_by_key(|(size, stamp)| (*size, std::cmp::Reverse(stamp.at))) {
            judged.vouched.push(Vouched {
                anchor: anchor.to_owned(),
                authority: stamp.authority.clone(),
                tokens: held.len() as u64,
                entries: *entries,
                at: stamp.at,
            });
        }
    }
    judged.remarks.extend(failed(files));
    judged
}

/// The anchor and the size of a token at `path`.
#[must_use]
pub fn place(path: &str) -> Option<(&str, u64)> {
    let (anchor, rest) = path.strip_prefix(FOLDER)?.strip_suffix(".tsr")?.split_once('/')?;
    let name = rest.rsplit('/').next()?;
    Some((anchor, name.split('-').next()?.parse().ok()?))
}

/// The run that `path` says of what became of its checkpoint at each anchor.
#[must_use]
pub fn attempted(path: &str) -> Option<&str> {
    path.strip_prefix(FOLDER)?.strip_suffix(".json")?.rsplit('/').next()
}

/// What is wrong with the token `file` over a checkpoint of the log that is `shown`, if anything; what is no token is not looked at.
#[must_use]
pub fn wrong(shown: Shown<'_>, file: &Filed, roots: &[CertificateDer<'_>]) -> Option<String> {
    let (anchor, size) = place(&file.path)?;
    of_one(shown, anchor, &Token { size, file }, roots).err().map(|finding| finding.what)
}

fn of_one(shown: Shown<'_>, anchor: &str, token: &Token<'_>, roots: &[CertificateDer<'_>]) -> Result<Stamp, Finding> {
    let Token { size, file } = token;
    let stamp = timestamp::open(&file.bytes, roots)
        .map_err(|error| Finding::of_all("slm::evidence-bad-token", format!("`{}` proves nothing: {error}", file.path)))?;
    let at = stamp.at;
    let Shown { entries, sealed } = shown;
    if *size > entries {
        let what = format!("the log has {entries} entries, and had {size} when `{anchor}` saw it at {at}");
        return Err(Finding::of_all("slm::evidence-truncated", what));
    }
    let sealed = sealed.binary_search_by_key(size, |sealed| sealed.size).ok().and_then(|at| sealed.get(at));
    let Some(sealed) = sealed.filter(|sealed| sealed.sha256 == stamp.imprint) else {
        let what = format!("the log is not the one whose {size} entries `{anchor}` saw at {at}");
        return Err(Finding::of_all("slm::evidence-forked", what));
    };
    let after = |one: Timestamp, two: Timestamp| one.as_second() - two.as_second() > SKEW_SECONDS;
    if after(sealed.received, at) {
        let what = format!("the checkpoint of {size} entries is dated {}, and `{anchor}` saw it at {at} already", sealed.received);
        return Err(Finding::of_all("slm::evidence-bad-date", what));
    }
    if let Some(logged) = file.logged.filter(|logged| after(at, *logged)) {
        let what = format!("a commit dated {logged} holds `{}`, which is of {at}: it was dated back", file.path);
        return Err(Finding::of_all("slm::evidence-bad-date", what));
    }
    Ok(stamp)
}

/// Checkpoints that nobody vouched for until long after they say that they were made.
fn late(shown: Shown<'_>, anchor: &str, held: &[(u64, Stamp)]) -> Option<Remark> {
    let mut tokens: Vec<(u64, Timestamp)> = held.iter().map(|(size, stamp)| (*size, stamp.at)).collect();
    tokens.sort_unstable();
    let mut first: Option<Timestamp> = None;
    let (mut many, mut worst) = (0_u64, None::<(i64, Timestamp, Timestamp)>);
    for sealed in shown.sealed.iter().rev() {
        // The earliest of those that cover it.
        while let Some((_, at)) = tokens.pop_if(|(size, _)| *size >= sealed.size) {
            first = Some(first.map_or(at, |first| first.min(at)));
        }
        let Some(first) = first else { continue };
        let waited = first.as_second() - sealed.received.as_second();
        if waited > LATE_SECONDS {
            many += 1;
            worst = worst.max(Some((waited, sealed.received, first)));
        }
    }
    let (_, received, seen) = worst?;
    let what = format!(
        "{many} of {} checkpoints are older than a day by their own dates when `{anchor}` first saw them, as the one dated {received} \
         at {seen}: until then their dates rest on whoever holds the key",
        shown.sealed.len()
    );
    Some(Remark { code: "slm::evidence-stamped-late", what })
}

/// How often each anchor failed, and how the last time.
fn failed(files: &[Filed]) -> Vec<Remark> {
    let attempts = files.iter().filter(|file| file.path.ends_with(".json"));
    let mut attempts: Vec<Attempt> = attempts.filter_map(|file| serde_json::from_slice(&file.bytes).ok()).collect();
    attempts.sort_by_key(|attempt| attempt.entries);
    attempts.dedup();
    let mut all = BTreeMap::<String, (u64, u64, String)>::new();
    for attempt in attempts {
        for Tried { id, fate, .. } in attempt.anchors {
            let (tried, failed, last) = all.entry(id).or_default();
            *tried += 1;
            if let Kept::Failed(why) | Kept::Differs(why) = fate {
                *failed += 1;
                *last = format!("the last time after run `{}`: {why}", attempt.run);
            }
        }
    }
    let told = all.into_iter().filter(|(_, (_, failed, _))| *failed > 0);
    told.map(|(id, (tried, failed, last))| Remark {
        code: "slm::evidence-anchor-failed",
        what: format!("`{id}` did not keep {failed} of {tried} runs, {last}"),
    })
    .collect()
}

#[cfg(test)]
#[path = "anchored_tests.rs"]
mod tests;
