//! Keeps an issue open for each thing that only a person can do, once a run is recorded. Whatever becomes of that, the run is recorded.

use super::notify::Notified;
use super::{Global, Trouble, pipeline, wire};
use crate::model::assessment::Gap;
use crate::model::catalog::{Catalog, ControlKind};
use crate::model::notify::IssuesSettings;
use crate::model::outcome::Outcome;
use crate::report::tasks::{Task, mark, tasks};
use crate::transport::github_issues::{Done, Issues, Wanted};

/// Has every repository that settings name show what is left to people after a run that saw `after` and came to `outcomes`.
pub(super) fn after_run(
    session: &pipeline::Session,
    global: &Global,
    after: &pipeline::Judged,
    outcomes: &[Outcome],
) -> Vec<Notified> {
    let all = &session.catalog.settings.issues;
    let told =
        |settings: &IssuesSettings| keep(session, global, after, (outcomes, settings)).map_err(|trouble| trouble.error.to_string());
    all.iter().map(|(name, settings)| Notified::of(name, told(settings))).collect()
}

fn keep(
    session: &pipeline::Session,
    global: &Global,
    after: &pipeline::Judged,
    (outcomes, settings): (&[Outcome], &IssuesSettings),
) -> Result<usize, Trouble> {
    let reach =
        wire::Reach { catalog: &session.catalog, root: &global.root, access: wire::Access::Read, sessions: &session.sessions };
    let issues = pipeline::block_on(wire::issues(&reach, settings))??;
    let wanted = tasks(&session.plan(after, &[])?, outcomes, &settings.environment);
    let done = reconcile(&issues, &settings.environment, wanted, (&session.catalog, after))?;
    Ok(usize::try_from(done.opened + done.edited + done.closed)?)
}

/// Has the open issues of `environment` be those `wanted`. What was not seen may still be to be done, so that nothing is closed then; a control
/// that waits for a collector, or for a signature, makes no issue and keeps none open.
pub(super) fn reconcile(
    issues: &Issues,
    environment: &str,
    wanted: Vec<Task>,
    (catalog, seen): (&Catalog, &pipeline::Judged),
) -> Result<Done, Trouble> {
    let wanted: Vec<Wanted> =
        wanted.into_iter().map(|task| Wanted { marker: task.marker, title: task.title, body: task.body }).collect();
    let waits = |gap: &Gap| {
        let control = catalog.controls.get(&gap.control);
        control.is_some_and(|control| control.needs.is_some() || control.kind == ControlKind::Attestation)
    };
    let closes = seen.snapshot.is_whole() && seen.assessment.gaps.iter().all(waits);
    Ok(pipeline::block_on(issues.reconcile(&mark(environment), &wanted, closes))??)
}
