//! Guards of two texts, asked about the same credentials.

use std::collections::BTreeSet;

use super::controls::proof;
use super::{Proofs, Text};
use crate::model::catalog::Credential;
use crate::model::difference::{GuardChange, Guarded};
use crate::model::id::{CredentialId, RuleId};
use crate::model::plan::{ActionKind, Plan};
use crate::model::time::Timestamp;
use crate::plan::guard::{Share, guard};

/// The entity type of what is guarded.
const GUARD: &str = "Slm::Action::";
/// Shares of the managed credentials, in percent, that a run is asked to have rotated before: around the quarters, where limits are.
const SHARES: [u8; 10] = [0, 1, 10, 25, 26, 50, 51, 75, 76, 100];

/// Guards whose policies are other, and what they answer otherwise.
pub(super) fn guards(base: &Text<'_>, head: &Text<'_>, proofs: &Proofs, plan: Option<&Plan>, at: Timestamp) -> Vec<GuardChange> {
    let actions: BTreeSet<&str> = base.rules.actions().chain(head.rules.actions()).filter(|name| name.starts_with(GUARD)).collect();
    let one = |action: &str| {
        let proof = proof(base, head, action, &[], proofs)?;
        let verb = action.trim_start_matches(GUARD).trim_matches('"');
        let asked = Asked { base, head, verb, at, plan };
        Some(GuardChange { action: verb.to_owned(), proof, permits: asked.opened(), holds: asked.turned().opened() })
    };
    actions.into_iter().filter_map(one).collect()
}

struct Asked<'a, 't> {
    base: &'a Text<'t>,
    head: &'a Text<'t>,
    verb: &'a str,
    at: Timestamp,
    plan: Option<&'a Plan>,
}

impl Asked<'_, '_> {
    fn turned(&self) -> Self {
        Self { base: self.head, head: self.base, ..*self }
    }

    /// Credentials that the head permits something for and the base does not.
    fn opened(&self) -> Vec<Guarded> {
        let all = self.head.catalog.credentials.iter().chain(&self.base.catalog.credentials);
        let mut seen = BTreeSet::new();
        let known: Vec<&Credential> = all.filter(|(id, _)| seen.insert(*id)).map(|(_, one)| one).collect();
        let mut opened: Vec<Guarded> =
            known.into_iter().flat_map(|one| [false, true].map(|incomplete| self.of(one, incomplete))).flatten().collect();
        opened.sort();
        opened
    }

    /// The shares at which `credential` is let through now and was not.
    fn of(&self, credential: &Credential, incomplete: bool) -> Option<Guarded> {
        let mut shares = Vec::new();
        let mut rules: BTreeSet<RuleId> = BTreeSet::new();
        for share in SHARES {
            let asked = Share { rotations: u64::from(share), managed: 100, incomplete };
            let answer = |text: &Text<'_>| guard(text.rules, credential, self.verb, asked, self.at);
            if let Ok(by) = answer(self.head)
                && answer(self.base).is_err()
            {
                shares.push(share);
                rules.extend(by);
            }
        }
        let share = (*shares.first()?, *shares.last()?);
        let planned = self.plan.is_some_and(|plan| planned(plan, self.verb, &credential.id));
        Some(Guarded { credential: credential.id.clone(), incomplete, share, rules: rules.into_iter().collect(), planned })
    }
}

/// True when `plan` does this or holds it.
fn planned(plan: &Plan, verb: &str, credential: &CredentialId) -> bool {
    let verb_of = |kind: &ActionKind| match kind {
        ActionKind::Rotate { .. } => "rotate",
        ActionKind::Deliver { .. } => "deliver",
        ActionKind::Finish { .. } => "retire",
        _ => "",
    };
    let kinds = plan.actions.iter().map(|action| &action.kind).chain(plan.held.iter().map(|held| &held.kind));
    kinds.into_iter().any(|kind| verb_of(kind) == verb && kind.credential() == Some(credential))
}
