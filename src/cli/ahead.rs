//! Plans, and looks ahead of the rotations planned: what only the sources know is asked of them, and the plan made again with the answers.

use super::pipeline::{Judged, Session, block_on};
use super::{Trouble, wire};
use crate::model::id::CredentialId;
use crate::model::plan::Plan;
use crate::plan::needs;

/// What a plan is made for.
pub(super) struct For<'a> {
    /// Credentials a person asked to rotate now.
    pub forced: &'a [CredentialId],
    /// The only credentials whose rotations matter; all when empty.
    pub wanted: &'a [CredentialId],
    /// True when this process applies it.
    pub applies: bool,
}

/// The plan after a look ahead. What is held by it gives room to others, so that it may take more than one.
pub(super) fn plan(session: &Session, judged: &mut Judged, of: &For<'_>) -> Result<Plan, Trouble> {
    loop {
        let made = session.plan(judged, of.forced)?;
        let input = session.input(judged, of.forced);
        let mut open = needs::open(&made, &input);
        open.retain(|id| of.wanted.is_empty() || of.wanted.contains(id));
        let known = open.iter().filter_map(|id| session.catalog.credentials.get(id));
        let needs: Vec<_> = known.map(|credential| (credential.id.clone(), needs::needs(&input, credential))).collect();
        if needs.is_empty() {
            return Ok(made);
        }
        let (catalog, sessions) = (&session.catalog, &session.sessions);
        let asker = wire::Asker { catalog, sessions, snapshot: &judged.snapshot, applies: of.applies };
        let mut facts = judged.facts.clone();
        block_on(asker.ask(&needs, &mut facts))?;
        judged.facts = facts;
    }
}
