//! One action with everything it needs of the world, ready to be driven.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Global, derived, pipeline, wire};
use crate::apply::engine::drive;
use crate::apply::fenced::{Fenced, Left};
use crate::apply::job::{Budget, Job};
use crate::apply::managed;
use crate::apply::stored::Stored;
use crate::host::clock::SystemClock;
use crate::model::catalog::Credential;
use crate::model::id::ConsumerId;
use crate::model::outcome::{Fate, Outcome};
use crate::model::plan::{Action, ActionKind, Reason};
use crate::plan::guard;
use crate::report;
use crate::world::{Clock as _, Consumer, Registers, SecretStore, Target};

/// One action, ready to be driven.
pub(super) struct Ready<'a> {
    action: &'a ActionKind,
    /// Whose it is, with the gate that the plan decided on.
    pub credential: Credential,
    store: Box<dyn SecretStore>,
    kind: wire::Kind,
    registers: Arc<dyn Registers>,
    consumers: Vec<(ConsumerId, Box<dyn Consumer>)>,
    /// True while the lease lasts.
    fence: Box<dyn Fn() -> bool + Send + Sync>,
    begun: Arc<Mutex<Instant>>,
    retire_held: Option<String>,
    leak: bool,
}

/// Makes `action` ready; the outcome when there is nothing to drive.
pub(super) async fn make<'a>(
    session: &'a pipeline::Session,
    global: &Global,
    action: &'a Action,
    leak: bool,
) -> Result<Ready<'a>, Box<Outcome>> {
    // An earlier run was told so, and was cut off.
    let leak = leak || matches!(action.reason, Reason::InWrongHands { .. });
    let say = |fate| Box::new(Outcome { action: action.kind.clone(), fate, events: Vec::new() });
    let Some(credential) = action.kind.credential() else {
        return Err(say(asked(&action.kind)));
    };
    let Some(declared) = session.catalog.credentials.get(credential) else {
        return Err(say(Fate::Stale("the credential is not declared any more".to_owned())));
    };
    let planned = planned(declared, action);
    let credential = &planned;
    // A saved plan may be older than a freeze.
    if !leak
        && let Some(because) = guard::shut(&session.catalog.settings, credential, &action.kind, &action.reason, SystemClock.now())
    {
        return Err(say(Fate::Waiting(report::words::held(&because))));
    }
    let name = session_name(&action.kind);
    let access = wire::Access::Apply(&name);
    let reach = wire::Reach { catalog: &session.catalog, root: &global.root, access, sessions: &session.sessions };
    let store = wire::store(&reach, credential).await.map_err(|error| say(Fate::Failed(error.to_string())))?;
    let begun = Arc::new(Mutex::new(Instant::now()));
    let left = left(credential, &begun, 1);
    // However slow consumers are, half of it is left to end in what is in wrong hands.
    let theirs = if leak { self::left(credential, &begun, 2) } else { Arc::clone(&left) };
    let fenced = |(id, consumer)| -> (ConsumerId, Box<dyn Consumer>) { (id, Box::new(Fenced::new(Arc::from(consumer), &theirs))) };
    let consumers = wire::consumers_of(&reach, credential).await.into_iter().map(fenced).collect();
    let kind = wire::kind(&session.catalog, credential, &global.root, &session.sessions, &name).await;
    let mut kind = kind.map_err(|error| say(Fate::Failed(error.to_string())))?;
    kind.target = kind.target.map(|target| -> Arc<dyn Target> { Arc::new(Fenced::new(target, &left)) });
    let registers = wire::registers(&reach).await;
    let stored = Stored { credential, store: store.as_ref(), rotator: kind.rotator.as_ref(), registers: registers.as_ref() };
    match &action.kind {
        ActionKind::Verify { generation, .. } => {
            return Err(Box::new(stored.verify(&action.kind, generation, &SystemClock).await));
        }
        ActionKind::Deliver { generation, .. } => {
            if let Some(fate) = stored.withheld(generation).await {
                return Err(say(fate));
            }
        }
        _ => {}
    }
    // Nothing of a value that nobody validates is ended: the next one waits for nobody's permission to end it.
    let retires = !credential.rotator.capabilities().staged();
    let retire_held = match may_retire(session, credential).filter(|_| retires) {
        _ if leak => None,
        None => derived::holds(&reach, credential, &action.kind, store.as_ref()).await,
        held => held,
    };
    let fence = Box::new(move || !left().is_zero());
    let action = &action.kind;
    Ok(Ready { action, credential: planned, store, kind, registers, consumers, fence, begun, retire_held, leak })
}

/// `declared` with what the plan decided of its gate. A plan that decided nothing waits as long as it may have to.
fn planned(declared: &Credential, action: &Action) -> Credential {
    let mut planned = declared.clone();
    let decided = action.outlook.as_ref().and_then(|outlook| outlook.quiet.as_ref());
    planned.gate.quiet = decided.map_or(declared.gate.longest_quiet(), |quiet| quiet.limit).into();
    planned
}

/// What is left of the lease on `credential` that was `begun`, or of such a part of it, by a monotonic clock.
fn left(credential: &Credential, begun: &Arc<Mutex<Instant>>, part: u32) -> Left {
    let lease = Duration::from_secs(u64::try_from(credential.policy.lease.as_seconds()).unwrap_or(0)) / part;
    let begun = Arc::clone(begun);
    Arc::new(move || lease.saturating_sub(begun.lock().unwrap_or_else(PoisonError::into_inner).elapsed()))
}

impl Ready<'_> {
    /// What it needs of the world.
    pub(super) fn job(&self) -> Job<'_> {
        Job {
            action: self.action,
            credential: &self.credential,
            store: self.store.as_ref(),
            rotator: self.kind.rotator.as_ref(),
            target: self.kind.target.as_deref(),
            registers: self.registers.as_ref(),
            consumers: &self.consumers,
            fence: &*self.fence,
            retire_held: self.retire_held.clone(),
            leak: self.leak,
            budget: Budget::default(),
        }
    }

    /// Its lease begins now.
    pub(super) fn renew(&self) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Drives it by itself.
    pub(super) async fn drive(&self, session: &pipeline::Session, stop: &AtomicBool) -> Outcome {
        let job = self.job();
        if self.credential.rotator.aws_managed().is_none() || !matches!(self.action, ActionKind::Rotate { .. }) {
            return drive(&job, &SystemClock, stop).await;
        }
        match wire::keeper(&session.catalog, &self.credential, &session.sessions, &session_name(self.action)).await {
            Ok(keeper) => managed::drive(&job, keeper.as_ref(), &SystemClock, stop).await,
            Err(error) => Outcome { action: self.action.clone(), fate: Fate::Failed(error.to_string()), events: Vec::new() },
        }
    }
}

/// What becomes of an action that touches no credential.
fn asked(kind: &ActionKind) -> Fate {
    match kind {
        ActionKind::Escalate { owner, .. } | ActionKind::EscalateCredential { owner, .. } => Fate::Waiting(format!("for {owner}")),
        ActionKind::Adopt { .. } => Fate::Waiting("for a file under credentials/".to_owned()),
        // Collecting again is what the look after the run does; people are asked by what this run prints and records.
        _ => Fate::Done,
    }
}

/// Names the rotation in the logs of the sources: `slm-9f2c41d07ab3`.
fn session_name(kind: &ActionKind) -> String {
    match kind {
        ActionKind::Rotate { rotation, .. } | ActionKind::Finish { rotation, .. } => format!("slm-{rotation}"),
        _ => "slm-apply".to_owned(),
    }
}

/// Why the guards do not permit to end what `credential` left behind, if so; asked again here, for the plan may be old. What the plan
/// did not see it holds; here the engine reads the secret itself before it ends anything, and no list of its store.
fn may_retire(session: &pipeline::Session, credential: &Credential) -> Option<String> {
    let at = SystemClock.now();
    let freezes = session.catalog.settings.limits.freeze.iter().chain(&credential.policy.freeze);
    if let Some(until) = freezes.filter_map(|freeze| freeze.ends(at)).max() {
        return Some(format!("a freeze lasts until {until}"));
    }
    guard::guard(&session.rules, credential, "retire", guard::Share::default(), at)
        .err()
        .map(|because| report::words::held(&because))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::made;
    use crate::model::time::Limit;

    #[test]
    fn of_a_lease_consumers_have_half_when_the_value_before_is_in_wrong_hands() {
        let mut credential = made::credential("db");
        credential.policy.lease = Limit::seconds(600);
        let Some(earlier) = Instant::now().checked_sub(Duration::from_secs(200)) else { panic!("the machine has just begun") };
        let begun = Arc::new(Mutex::new(earlier));
        let seconds = |part| left(&credential, &begun, part)().as_secs();
        assert!((390..=400).contains(&seconds(1)) && (90..=100).contains(&seconds(2)), "{} {}", seconds(1), seconds(2));
        *begun.lock().unwrap() = Instant::now().checked_sub(Duration::from_secs(301)).unwrap();
        assert!(left(&credential, &begun, 2)().is_zero() && !left(&credential, &begun, 1)().is_zero());
    }
}
