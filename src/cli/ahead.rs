//! Plans, and looks ahead of the rotations planned: what only the sources know is asked of them, and the plan made again with the answers.

use super::pipeline::{Judged, Session, block_on};
use super::{Global, Trouble, wire};
use crate::model::id::CredentialId;
use crate::model::plan::{ActionKind, Plan};
use crate::plan::outlook::learns;
use crate::plan::{broken, needs, usage};
use crate::report::words::count;

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
pub(super) fn plan(session: &Session, global: &Global, judged: &mut Judged, of: &For<'_>) -> Result<Plan, Trouble> {
    health(session, global, judged)?;
    loop {
        let made = session.plan(judged, of.forced)?;
        let input = session.input(judged, of.forced);
        let mut open = needs::open(&made, &input);
        open.retain(|id| of.wanted.is_empty() || of.wanted.contains(id));
        let known = open.iter().filter_map(|id| session.catalog.credentials.get(id));
        let needs: Vec<_> = known.map(|credential| (credential.id.clone(), needs::needs(&input, credential))).collect();
        if needs.is_empty() {
            return learnt(session, global, judged, (of.forced, made));
        }
        let (catalog, sessions) = (&session.catalog, &session.sessions);
        let asker = wire::Asker { catalog, sessions, snapshot: &judged.snapshot, applies: of.applies };
        let mut facts = judged.facts.clone();
        let _progress = global.progress(format!("looking ahead of {}", count(needs.len() as u64, "rotation")), 0);
        block_on(asker.ask(&needs, &mut facts))?;
        judged.facts = facts;
    }
}

/// `made` with how long what it ends must be unused, where that is learnt from its uses.
pub(super) fn learnt(
    session: &Session,
    global: &Global,
    judged: &mut Judged,
    (forced, made): (&[CredentialId], Plan),
) -> Result<Plan, Trouble> {
    let ended = made.actions.iter().filter(|action| matches!(action.kind, ActionKind::Finish { .. }));
    let learns = |id: &&CredentialId| session.catalog.credentials.get(*id).is_some_and(learns);
    let known = |id: &&CredentialId| !judged.facts.uses.contains_key(*id);
    let open: Vec<CredentialId> =
        ended.filter_map(|action| action.kind.credential()).filter(learns).filter(known).cloned().collect();
    if open.is_empty() || !uses(session, global, judged, &open)? {
        return Ok(made);
    }
    session.plan(judged, forced)
}

/// `made` of `forced` credentials, with who uses what it ends and replaces. But for what is learnt, nothing is decided by it.
pub(super) fn with_usage(
    session: &Session,
    global: &Global,
    judged: &mut Judged,
    (forced, made): (&[CredentialId], Plan),
) -> Result<Plan, Trouble> {
    let open = usage::open(&made, &session.input(judged, forced));
    if !uses(session, global, judged, &open)? {
        return Ok(made);
    }
    session.plan(judged, forced)
}

/// Asks who uses the credentials `ids`; false when no log tells of any.
pub(super) fn uses(session: &Session, global: &Global, judged: &mut Judged, ids: &[CredentialId]) -> Result<bool, Trouble> {
    let input = session.input(judged, &[]);
    let known = ids.iter().filter_map(|id| session.catalog.credentials.get(id));
    let wanted: Vec<_> = known.filter_map(|one| Some((one.id.clone(), usage::wanted(&input, one)?))).collect();
    let mut facts = judged.facts.clone();
    let (catalog, sessions) = (&session.catalog, &session.sessions);
    let asker = wire::Asker { catalog, sessions, snapshot: &judged.snapshot, applies: false };
    let _progress = global.progress(format!("asking who uses {}", count(wanted.len() as u64, "credential")), 0);
    block_on(asker.uses(&wanted, session.at, &mut facts))?;
    judged.facts = facts;
    Ok(!wanted.is_empty())
}

/// Looks whether consumers are well, where the value they used before is disabled and could still come back.
pub(super) fn health(session: &Session, global: &Global, judged: &mut Judged) -> Result<(), Trouble> {
    let mut facts = judged.facts.clone();
    let input = session.input(judged, &[]);
    let wanted = broken::watched(&input);
    if wanted.is_empty() {
        return Ok(());
    }
    let _progress = global.progress(format!("looking at {}", count(wanted.len() as u64, "consumer")), 0);
    block_on(wire::health(&wanted, &global.root, &mut facts))?;
    judged.facts = facts;
    Ok(())
}
