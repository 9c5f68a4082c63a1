//! `slm rotate`: rotate credentials now, due or not.

use super::by_hand::{self, Asked};
use super::carry::{Haste, Work};
use super::{Exit, Global, Said, Trouble, ahead, carry, pipeline};
use crate::host::clock::SystemClock;
use crate::model::id::{CredentialId, RuleId};
use crate::model::plan::{Action, ActionKind, Held, HeldBecause, Plan, Reason};
use crate::plan::guard::{self, Share};
use crate::plan::leak;
use crate::report::words;
use crate::world::Clock as _;

/// Arguments of `slm rotate`.
#[derive(clap::Args)]
pub struct Args {
    /// Credentials to rotate
    #[arg(required = true, value_name = "CREDENTIAL")]
    credentials: Vec<String>,
    /// The present value is in wrong hands: end it as soon as there is a new one, whoever still uses it
    #[arg(long)]
    leak: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, "rotate", None)?;
    let wanted = super::plan::known(&session, &args.credentials)?;
    by_hand::refuse(&session, &wanted, if args.leak { Asked::Leak } else { Asked::Rotate })?;
    let mut judged = pipeline::block_on(session.judge(global))??;
    let permitted = if args.leak { may_leak(&session, &judged, &wanted)? } else { Vec::new() };
    let forced = if args.leak { not_under_way(&session, &judged, &wanted) } else { wanted.clone() };
    let made = ahead::plan(&session, global, &mut judged, &ahead::For { forced: &forced, wanted: &wanted, applies: true })?;
    let mut plan = only(made, |kind| kind.credential().is_some_and(|id| wanted.contains(id)));
    if args.leak {
        thaw(&mut plan, &permitted);
    }
    let haste = if args.leak { Haste::Leaked } else { Haste::Usual };
    carry::out(&session, global, &Work { plan: &plan, haste, requests: judged.requests() })
}

/// Those of `wanted` whose end as leaked was not begun by an earlier run, which is gone on with instead.
fn not_under_way(session: &pipeline::Session, judged: &pipeline::Judged, wanted: &[CredentialId]) -> Vec<CredentialId> {
    let input = session.input(judged, &[]);
    let begun =
        |id: &&CredentialId| session.catalog.credentials.get(*id).is_some_and(|credential| leak::is_under_way(&input, credential));
    wanted.iter().filter(|id| !begun(id)).cloned().collect()
}

/// A freeze does not keep a value in wrong hands alive, nor does what leaves a new one usable.
fn thaw(plan: &mut Plan, permitted: &[RuleId]) {
    // What a sign of a leak asks for is what is done.
    plan.held.retain(|held| !matches!(held.reason, Reason::Leaked { .. }));
    let passes = |held: &mut Held| match &held.because {
        HeldBecause::Frozen { .. } | HeldBecause::Early { .. } => true,
        HeldBecause::Preflight(obstacles) => !obstacles.iter().any(|obstacle| obstacle.code.holds_a_leak()),
        _ => false,
    };
    for held in plan.held.extract_if(.., passes) {
        let permitted_by = permitted.to_vec();
        plan.actions.push(Action {
            kind: held.kind,
            reason: held.reason,
            controls: Vec::new(),
            criteria: Vec::new(),
            permitted_by,
            outlook: held.outlook,
        });
    }
}

/// The rules that permit to end a value while it is in use; the guards are asked for it by a name of its own.
fn may_leak(session: &pipeline::Session, judged: &pipeline::Judged, wanted: &[CredentialId]) -> Result<Vec<RuleId>, Trouble> {
    let mut permitted = Vec::new();
    for credential in wanted.iter().filter_map(|id| session.catalog.credentials.get(id)) {
        let share = Share { incomplete: guard::unseen(&judged.snapshot, credential), ..Share::default() };
        match guard::guard(&session.rules, credential, "rotate_leak", share, SystemClock.now()) {
            Ok(rules) => permitted.extend(rules),
            Err(because) => {
                let error = format!("`{}` may not be rotated as leaked: {}", credential.id, words::held(&because));
                return Err(Trouble { exit: Exit::Held, error: error.into() });
            }
        }
    }
    permitted.sort();
    permitted.dedup();
    Ok(permitted)
}

/// `plan` with those actions alone that are `wanted`.
pub(super) fn only(mut plan: Plan, wanted: impl Fn(&ActionKind) -> bool) -> Plan {
    let unwanted = |action: &Action| action.kind.credential().filter(|_| !wanted(&action.kind)).map(ToString::to_string);
    let left_out: Vec<String> = plan.actions.iter().filter_map(unwanted).collect();
    plan.preflight.retain(|looked| !left_out.contains(&looked.about));
    plan.actions.retain(|action| wanted(&action.kind));
    plan.held.retain(|held| wanted(&held.kind));
    for one in &mut plan.together {
        one.credentials.retain(|id| !left_out.contains(&id.to_string()));
    }
    plan.together.retain(|one| one.credentials.len() > 1);
    plan
}
