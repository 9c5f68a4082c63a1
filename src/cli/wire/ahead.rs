//! Asks sources ahead of the rotations of a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::READ_SESSION;
use crate::collectors::preflight::Ahead;
use crate::model::catalog::{AwsSource, Catalog, SourceKind};
use crate::model::id::{CredentialId, SourceId};
use crate::model::preflight::{Facts, Simulated, Step};
use crate::model::snapshot::Snapshot;
use crate::plan::needs::Needs;
use crate::transport::aws::{Sessions, expiry};

/// Who asks, and what is known already.
pub(in crate::cli) struct Asker<'a> {
    pub catalog: &'a Catalog,
    pub sessions: &'a Sessions,
    pub snapshot: &'a Snapshot,
    /// True when this very process applies what it plans.
    pub applies: bool,
}

impl Asker<'_> {
    /// Asks what `needs` name and adds the answers to `facts`: once for each account and service, and once for each key.
    pub(in crate::cli) async fn ask(&self, needs: &[(CredentialId, Needs)], facts: &mut Facts) {
        facts.asked.extend(needs.iter().map(|(id, _)| id.clone()));
        let mut steps: BTreeMap<&SourceId, BTreeSet<Step>> = BTreeMap::new();
        for (source, step) in needs.iter().flat_map(|(_, needs)| &needs.steps) {
            steps.entry(source).or_default().insert(step.clone());
        }
        facts.applies = self.applies;
        for (source, steps) in steps {
            self.session(source, facts).await;
            self.simulate(source, steps, facts).await;
        }
        for (source, region, key) in needs.iter().flat_map(|(_, needs)| &needs.keys) {
            let named = (region.clone(), key.clone());
            if let Some(account) = self.account(source).filter(|_| !facts.keys.contains_key(&named)) {
                let config = self.sessions.get(account, region, account.read_role.as_deref(), READ_SESSION).await;
                let ahead = Ahead::new(&config);
                facts.keys.insert(named, ahead.key(key).await);
                facts.requests += ahead.requests();
            }
        }
        for (id, needs) in needs {
            if let Some((source, user)) = &needs.crowded {
                self.count(id, source, user, facts).await;
            }
        }
        self.rights(needs.iter().map(|(id, _)| id), facts).await;
        self.github_rights(needs.iter().flat_map(|(_, needs)| &needs.places), facts).await;
    }

    pub(super) fn account(&self, source: &SourceId) -> Option<&AwsSource> {
        match self.catalog.settings.sources.get(source) {
            Some(SourceKind::Aws(account)) => Some(account),
            _ => None,
        }
    }

    /// When what slm signs in with ends: a role that it assumes lasts no longer than that lets it be assumed again.
    async fn session(&self, source: &SourceId, facts: &mut Facts) {
        let Some(account) = self.account(source).filter(|_| !facts.sessions.contains_key(source)) else { return };
        let region = account.regions.first().map_or("us-east-1", String::as_str);
        let config = self.sessions.get(account, region, None, READ_SESSION).await;
        facts.sessions.insert(source.clone(), expiry(&config).await);
    }

    async fn simulate(&self, source: &SourceId, steps: BTreeSet<Step>, facts: &mut Facts) {
        let Some(account) = self.account(source) else { return };
        let before = match facts.permissions.remove(source) {
            Some(Ok(simulated)) => simulated.steps,
            Some(Err(why)) => {
                facts.permissions.insert(source.clone(), Err(why));
                return;
            }
            None => BTreeMap::new(),
        };
        let found = match self.principal(source, account) {
            Ok(principal) => {
                let region = account.regions.first().map_or("us-east-1", String::as_str);
                let config = self.sessions.get(account, region, account.read_role.as_deref(), READ_SESSION).await;
                let ahead = Ahead::new(&config);
                let found = ahead.simulate(&principal, &steps).await;
                facts.requests += ahead.requests();
                found.map(|found| Simulated { principal, steps: before.into_iter().chain(found).collect() })
            }
            Err(why) => Err(why),
        };
        facts.permissions.insert(source.clone(), found);
    }

    async fn count(&self, id: &CredentialId, source: &SourceId, user: &str, facts: &mut Facts) {
        let Some(account) = self.account(source) else { return };
        let region = account.regions.first().map_or("us-east-1", String::as_str);
        let config = self.sessions.get(account, region, account.read_role.as_deref(), READ_SESSION).await;
        let ahead = Ahead::new(&config);
        facts.counts.insert(id.clone(), ahead.access_keys(user).await);
        facts.requests += ahead.requests();
    }

    /// Whose policies count in the account of `source`: the role that applies, or this process when it applies as it reads.
    fn principal(&self, source: &SourceId, account: &AwsSource) -> Result<String, String> {
        if let Some(role) = &account.apply_role {
            return Ok(role.clone());
        }
        if !self.applies || account.read_role.is_some() {
            return Err("no `apply-role` in `slm.toml` says who applies".to_owned());
        }
        let caller = self.snapshot.receipts.iter().find(|receipt| receipt.source == *source).and_then(|it| it.caller.as_deref());
        let caller = caller.ok_or_else(|| "it is not known who calls".to_owned())?;
        self.behind(source, caller).ok_or_else(|| format!("nobody can simulate `{caller}`"))
    }

    /// The user or role that `caller` is a session of.
    fn behind(&self, source: &SourceId, caller: &str) -> Option<String> {
        let parts: Vec<&str> = caller.splitn(6, ':').collect();
        let [_, partition, service, _, account, what] = parts[..] else { return None };
        match (service, what.split('/').collect::<Vec<_>>()[..].as_ref()) {
            ("iam", ["user", ..]) => Some(caller.to_owned()),
            ("sts", ["assumed-role", name, _]) => {
                let of =
                    |one: &&crate::model::snapshot::Population| one.entity.as_str() == "Aws::Principal" && one.source == *source;
                let all = self.snapshot.populations.iter().filter(of).flat_map(|population| population.resources.iter());
                let is_it = |id: &str| id.contains(":role/") && id.rsplit('/').next() == Some(name);
                let known = all.map(|one| one.id.as_str()).find(|id| is_it(id)).map(str::to_owned);
                Some(known.unwrap_or_else(|| format!("arn:{partition}:iam::{account}:role/{name}")))
            }
            _ => None,
        }
    }
}
