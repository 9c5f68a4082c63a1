//! Asks sources who uses credentials.

use std::collections::BTreeMap;

use super::Asker;
use super::READ_SESSION;
use crate::collectors::usage::{before, keys, last_used};
use crate::model::id::{CredentialId, SourceId};
use crate::model::preflight::Facts;
use crate::model::time::Timestamp;
use crate::model::usage::{Asked, Calls, HISTORY, OldKey};
use crate::plan::usage::Wanted;
use crate::transport::cloudtrail::{By, History};

/// Credentials that one run looks up at most: two lookups a second is all that AWS lets an account have.
const CREDENTIALS: usize = 10;

/// Why the log of an account and region is asked no more.
type Refused = BTreeMap<(SourceId, String), Vec<String>>;

impl Asker<'_> {
    /// Asks what is `wanted` and adds the answers to `facts`, at `now` and before.
    pub(in crate::cli) async fn uses(&self, wanted: &[(CredentialId, Wanted)], now: Timestamp, facts: &mut Facts) {
        let mut refused = Refused::default();
        let from = Timestamp::from_second(now.as_second() - HISTORY.as_seconds()).unwrap_or(Timestamp::MIN);
        for (at, (id, wanted)) in wanted.iter().enumerate() {
            let asked = if at < CREDENTIALS {
                self.asked(wanted, from, &mut refused, facts).await
            } else {
                let why = format!("CloudTrail: one run looks up {CREDENTIALS} credentials; `slm status {id}` looks up this one");
                let reads = Calls { unseen: vec![why.clone()], ..Calls::default() };
                Asked { keys: wanted.keys.as_ref().map(|_| Err(why)), reads: wanted.secret.as_ref().map(|_| reads) }
            };
            facts.uses.insert(id.clone(), asked);
        }
    }

    async fn asked(&self, wanted: &Wanted, from: Timestamp, refused: &mut Refused, facts: &mut Facts) -> Asked {
        let mut asked = Asked::default();
        if let Some((source, user, made)) = &wanted.keys {
            asked.keys = Some(self.old_keys(source, user, (*made, from), refused, facts).await);
        }
        if let Some((source, region, name, arn)) = &wanted.secret {
            asked.reads = Some(self.calls((source, region), By::Secret(name, arn), from, refused, facts).await);
        }
        asked
    }

    /// The keys of `user` that are older than the one held by a version written at `made`, and what they signed since `from`.
    async fn old_keys(
        &self,
        source: &SourceId,
        user: &str,
        (made, from): (Timestamp, Timestamp),
        refused: &mut Refused,
        facts: &mut Facts,
    ) -> Result<Vec<OldKey>, String> {
        let Some(account) = self.account(source) else { return Err(format!("source `{source}` is not an AWS account")) };
        let first = account.regions.first().map_or("us-east-1", String::as_str);
        let config = self.sessions.get(account, first, account.read_role.as_deref(), READ_SESSION).await;
        facts.requests += 1;
        let all = keys(&config, user).await?;
        let mut old = Vec::new();
        for key in before(&all, made) {
            facts.requests += 1;
            let used = last_used(&config, &key.id).await;
            let mut regions = account.regions.clone();
            let elsewhere = used.as_ref().ok().and_then(|used| used.as_ref()?.2.clone());
            regions.extend(elsewhere.filter(|region| !account.regions.contains(region)));
            let mut calls = Calls::default();
            for region in &regions {
                let found = self.calls((source, region), By::Key(&key.id), from, refused, facts).await;
                calls.calls.extend(found.calls);
                calls.cut.extend(found.cut);
                calls.unseen.extend(found.unseen);
            }
            let last_used = match used {
                Ok(used) => used.map(|(at, by, _)| (at, by)),
                Err(why) => {
                    calls.unseen.push(why);
                    None
                }
            };
            let skip = key.id.chars().count().saturating_sub(4);
            old.push(OldKey { tail: key.id.chars().skip(skip).collect(), created: key.created, last_used, calls });
        }
        Ok(old)
    }

    /// What `place` logged; a place that refused once is not asked again.
    async fn calls(
        &self,
        (source, region): (&SourceId, &String),
        by: By<'_>,
        from: Timestamp,
        refused: &mut Refused,
        facts: &mut Facts,
    ) -> Calls {
        let Some(account) = self.account(source) else { return Calls::default() };
        let place = (source.clone(), region.clone());
        if let Some(unseen) = refused.get(&place) {
            return Calls { unseen: unseen.clone(), ..Calls::default() };
        }
        let config = self.sessions.get(account, region, account.read_role.as_deref(), READ_SESSION).await;
        let history = History::new(&config, region, self.sessions.lookups(account, region));
        let found = history.calls(by, from).await;
        facts.requests += history.requests();
        if !found.unseen.is_empty() {
            refused.insert(place, found.unseen.clone());
        }
        found
    }
}
