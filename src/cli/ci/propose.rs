//! Makes the proposal of a commit: check, what the edit means, and the plan, of the world as it is or as it was recorded.

use std::collections::{BTreeMap, BTreeSet};

use super::super::past::{self, When};
use super::super::{Exit, Global, Trouble, ahead, pipeline, plan as plan_verb};
use super::edit::Edit;
use crate::evaluate::evaluate;
use crate::host::clock::SystemClock;
use crate::host::history::History;
use crate::model::assessment::{Assessment, Status};
use crate::model::id::ControlId;
use crate::model::plan::Plan;
use crate::model::preflight::Facts;
use crate::model::proposal::{PROPOSAL_FORMAT, Proposal, Sight};
use crate::plan::{Input, plan};
use crate::report::annotations;
use crate::world::Clock as _;

/// What a proposal is made of.
pub(super) struct Of<'a> {
    pub repository: &'a str,
    pub environment: &'a str,
    /// The commit that is proposed.
    pub head: &'a str,
    pub run: Option<u64>,
    /// What the edit means.
    pub edit: Edit,
    /// True when nothing is asked of any source: the last run of the locker stands for the world.
    pub recorded: bool,
}

/// What was looked at.
struct Look {
    sight: Sight,
    exits: Vec<Exit>,
    standing: BTreeMap<ControlId, BTreeMap<Status, u64>>,
    unseen: Vec<String>,
    plan: Option<Plan>,
}

/// The proposal, and how it ended.
pub(super) fn propose(of: Of<'_>, global: &Global) -> Result<(Proposal, Exit), Trouble> {
    let checked = pipeline::load(pipeline::files_and_terraform(global, None)?);
    let complaints = annotations::complaints(&checked.diagnostics, &checked.files);
    let look = match (&checked.catalog, of.recorded) {
        (None, _) => {
            Look { sight: Sight::Nothing, exits: vec![Exit::Invalid], standing: BTreeMap::new(), unseen: Vec::new(), plan: None }
        }
        (Some(_), false) => live(global)?,
        (Some(_), true) => recorded(global)?,
    };
    let Look { sight, mut exits, standing, unseen, plan } = look;
    exits.extend((!of.edit.changes.is_empty()).then_some(Exit::Changes));
    let exit = exits.into_iter().max().unwrap_or(Exit::Clean);
    let proposal = Proposal {
        format: PROPOSAL_FORMAT,
        repository: of.repository.to_owned(),
        environment: of.environment.to_owned(),
        head: of.head.to_owned(),
        run: of.run,
        sight,
        exit: exit.code(),
        complaints,
        edit: of.edit.summary,
        changes: of.edit.changes,
        standing,
        unseen,
        plan,
    };
    Ok((proposal, exit))
}

/// The world as it is.
fn live(global: &Global) -> Result<Look, Trouble> {
    let session = pipeline::open(global, "plan", None)?;
    let mut judged = pipeline::block_on(session.judge(global))??;
    let made = ahead::plan(&session, global, &mut judged, &ahead::For { forced: &[], wanted: &[], applies: false })?;
    let plan = ahead::with_usage(&session, global, &mut judged, (&[], made))?;
    let mut exits = pipeline::exits(&judged);
    exits.extend(plan_verb::plan_exits(&plan));
    let unseen = pipeline::blind_spots(&judged, session.catalog.controls.len());
    Ok(Look {
        sight: Sight::Live,
        exits,
        standing: standing(&judged.assessment),
        unseen: unseen.lines().map(|line| line.trim_end_matches('.').to_owned()).collect(),
        plan: Some(plan),
    })
}

/// The world as the last run of the locker saw it, judged by what is proposed. No source is reached and no secret read.
fn recorded(global: &Global) -> Result<Look, Trouble> {
    let session = pipeline::open(global, "plan", None)?;
    let branch = &session.catalog.settings.locker.branch;
    let history = match History::open(&global.root, branch) {
        Ok(history) => history,
        Err(error) => return Ok(nothing(format!("no recorded run: {error}"))),
    };
    let past = match past::at(&history, branch, When::Instant(SystemClock.now())) {
        Ok(past) => past,
        Err(trouble) if trouble.exit == Exit::Incomplete => return Ok(nothing(trouble.error.to_string())),
        Err(trouble) => return Err(trouble),
    };
    let snapshot = past.snapshot()?;
    let at = past.file.judged.unwrap_or(past.note.at);
    let assessment = evaluate(&session.catalog, &session.rules, &snapshot, at);
    let made = plan(&Input {
        catalog: &session.catalog,
        rules: &session.rules,
        snapshot: &snapshot,
        assessment: &assessment,
        config: session.config.clone(),
        digest: String::new(),
        forced: &[],
        facts: &Facts::default(),
    });
    let mut exits = plan_verb::plan_exits(&made);
    exits.extend((!assessment.gaps.is_empty()).then_some(Exit::Incomplete));
    let gaps = assessment.gaps.len();
    let unseen = (gaps > 0).then(|| format!("{gaps} of {} controls have no evidence", session.catalog.controls.len()));
    Ok(Look {
        sight: Sight::Recorded { run: past.note.id.to_string(), at },
        exits,
        standing: standing(&assessment),
        unseen: unseen.into_iter().collect(),
        plan: Some(made),
    })
}

/// There is no recorded run to stand for the world.
fn nothing(why: String) -> Look {
    Look { sight: Sight::Nothing, exits: vec![Exit::Incomplete], standing: BTreeMap::new(), unseen: vec![why], plan: None }
}

/// Controls that do not hold everywhere. Those without evidence are told as one number.
fn standing(assessment: &Assessment) -> BTreeMap<ControlId, BTreeMap<Status, u64>> {
    let mut all: BTreeMap<ControlId, BTreeMap<Status, u64>> = BTreeMap::new();
    let breached = |status: Status| matches!(status, Status::NonCompliant | Status::Excepted);
    let wanted: BTreeSet<&ControlId> =
        assessment.decisions.reasons().filter(|(_, status, _)| breached(*status)).map(|(control, _, _)| control).collect();
    for (control, status, _) in assessment.decisions.reasons().filter(|(control, _, _)| wanted.contains(control)) {
        *all.entry(control.clone()).or_default().entry(status).or_default() += 1;
    }
    all
}
