//! What is written once: verdicts, fates, and the instants of what was seen.

use super::decide::{Mark, Mutation};
use super::effect::{Told, permanent};
use super::engine::Engine;
use super::job::Goal;
use super::look::Basis;
use super::observation::Last;
use crate::model::catalog::SecretRef;
use crate::model::id::{RegisterName, VersionId};
use crate::model::names;
use crate::world::{ErrorClass, Overlap, Trial, WorldError};

impl Engine<'_> {
    /// Performs a mutation that writes a register.
    pub(super) async fn write(&self, goal: &Goal<'_>, mutation: &Mutation, basis: &Basis) -> Result<Told, WorldError> {
        match mutation {
            Mutation::Judge { slot } => self.judge(goal, slot, basis).await,
            Mutation::Reject { slot, why } => self.reject(goal, slot, why, basis).await,
            Mutation::Fate(ending) => self.settle(goal, basis, names::fate, ending.as_str()).await,
            Mutation::NoReturn => self.settle(goal, basis, names::last, Last::DELETE).await,
            Mutation::Leak(version) => self.leak(goal, version, basis).await,
            Mutation::Prove => self.prove(goal, basis).await,
            Mutation::Mark(mark) => self.mark(goal, *mark, basis).await,
            _ => Ok(Vec::new()),
        }
    }

    async fn leak(&self, goal: &Goal<'_>, version: &VersionId, basis: &Basis) -> Result<Told, WorldError> {
        let (rotation, name) = (goal.namespace(Some(version)), names::leak(goal.secret, version));
        self.job.registers.write_once(&rotation, &name, &basis.now.to_string()).await?;
        Ok(vec![("leaked", Some(version.clone()))])
    }

    /// Decides `what` in the register that `name` gives; fails when something else was decided before.
    async fn settle(
        &self,
        goal: &Goal<'_>,
        basis: &Basis,
        name: fn(&SecretRef, &VersionId) -> RegisterName,
        what: &'static str,
    ) -> Result<Told, WorldError> {
        let generation = generation(basis)?;
        let written = self.once(goal, basis, &name(goal.secret, generation), what).await?;
        if written == what {
            return Ok(vec![(what, Some(generation.clone()))]);
        }
        let operation = format!("decide `{what}` for version {generation}");
        Err(WorldError { class: ErrorClass::Conflict, operation, cause: format!("`{written}` was decided before") })
    }

    /// Shows the value of `slot` to its target, several times, and writes down what came of it.
    async fn judge(&self, goal: &Goal<'_>, slot: &VersionId, basis: &Basis) -> Result<Told, WorldError> {
        let job = self.job;
        let value = job.store.read(goal.secret, slot).await?;
        let key = job.rotator.identify(&value);
        // In place, nobody else can log in until the value is promoted: once must do.
        let trials = if job.rotator.capabilities().overlap == Overlap::Single { 1 } else { job.budget.trials.max(1) };
        for trial in 0..trials {
            if trial > 0 && !job.budget.between.is_zero() {
                tokio::time::sleep(job.budget.between).await;
            }
            let trial = job.rotator.verify(&value).await?;
            if let Trial::Elsewhere(why) = &trial {
                // Rejected, it would live on where nobody here lists it.
                return Err(permanent(&format!("use version {slot}"), &format!("{why}; end it there, or declare that")));
            }
            if let Trial::Refused(why) | Trial::Useless(why) = trial {
                // A new credential is not known everywhere at once: refused is not yet bad.
                let created = match (job.target, &key) {
                    (Some(target), Some(key)) if job.budget.settle > 0 => {
                        let listing = target.list().await?;
                        let view = listing.keys.into_iter().find(|view| view.id == *key && view.active);
                        view.and_then(|view| view.created).map(|created| (created, listing.now))
                    }
                    _ => None,
                };
                if created.is_some_and(|(created, now)| now.as_second() - created.as_second() < job.budget.settle) {
                    let operation = format!("use version {slot}");
                    return Err(WorldError { class: ErrorClass::Transient, operation, cause: why });
                }
                let declined = self.known.declined.as_ref().filter(|(declined, _)| declined == slot);
                return self.reject(goal, slot, declined.map_or(&why, |(_, declined)| declined), basis).await;
            }
        }
        self.note_place(goal, slot).await?;
        let written = self.once(goal, basis, &self.verdict_of(goal, slot, basis)?, "approve").await?;
        Ok(vec![(if written == "approve" { "approved" } else { "rejected" }, Some(slot.clone()))])
    }

    async fn reject(&self, goal: &Goal<'_>, slot: &VersionId, why: &str, basis: &Basis) -> Result<Told, WorldError> {
        let text = format!("reject {} {why}", basis.now);
        let written = self.once(goal, basis, &self.verdict_of(goal, slot, basis)?, &text).await?;
        Ok(vec![(if written == "approve" { "approved" } else { "rejected" }, Some(slot.clone()))])
    }

    fn verdict_of(&self, goal: &Goal<'_>, slot: &VersionId, basis: &Basis) -> Result<RegisterName, WorldError> {
        let generation = basis.generation.as_ref();
        let n = names::attempt(goal.secret, generation, slot);
        let n = n.ok_or_else(|| permanent("write a verdict", "it is about no attempt of ours"))?;
        Ok(names::verdict(goal.secret, generation, n))
    }

    /// Shows the value before this generation to its target: it must be refused.
    async fn prove(&self, goal: &Goal<'_>, basis: &Basis) -> Result<Told, WorldError> {
        let parent = basis.parent.as_ref().ok_or_else(|| permanent("try the old value", "nothing was before"))?;
        let value = self.job.store.read(goal.secret, parent).await?;
        let operation = format!("see version {parent} refused");
        let unseen = |cause: String| WorldError { class: ErrorClass::Transient, operation: operation.clone(), cause };
        match self.job.rotator.verify(&value).await? {
            Trial::Refused(why) => {
                if !self.is_let_in(goal, basis).await? {
                    let cause =
                        format!("it is ({why}), but so is the version in force, and whatever stands in the way may do that");
                    return Err(unseen(cause));
                }
                match self.doubt(goal, parent, basis).await? {
                    None => self.mark(goal, Mark::Refused, basis).await,
                    Some(doubt) => Err(permanent(&operation, &doubt)),
                }
            }
            Trial::Accepted => Err(unseen("it is still let in".to_owned())),
            Trial::Useless(why) => Err(unseen(format!("{why}, and that is no refusal"))),
            Trial::Elsewhere(why) => Err(permanent(&operation, &format!("{why}; end it there"))),
        }
    }

    /// True when the value in force is let in at this moment, where a refusal may come from something before the target; of other
    /// kinds it is not asked.
    async fn is_let_in(&self, goal: &Goal<'_>, basis: &Basis) -> Result<bool, WorldError> {
        if !self.job.rotator.refused_on_the_way() {
            return Ok(true);
        }
        let value = self.job.store.read(goal.secret, generation(basis)?).await?;
        Ok(self.job.rotator.verify(&value).await? == Trial::Accepted)
    }

    /// Why a refusal of the value of `parent` proves nothing, if so: it was let in elsewhere, or was never seen to be let in here.
    async fn doubt(&self, goal: &Goal<'_>, parent: &VersionId, basis: &Basis) -> Result<Option<String>, WorldError> {
        let Some(here) = self.job.rotator.place() else { return Ok(None) };
        if self.job.credential.policy.ended_elsewhere.contains(parent) {
            return Ok(None);
        }
        let kept = self.register(goal, parent, &names::place(parent)).await?;
        let there = match kept {
            Some(there) if there == here => return Ok(None),
            Some(there) => format!("it was let in by {there}, and {here} is declared now"),
            // What was listed here was let in here; in place there was nothing beside it.
            None if self.job.rotator.capabilities().overlap == Overlap::Single => return Ok(None),
            None => {
                let generation = generation(basis)?;
                let fate = self.register(goal, generation, &names::fate(goal.secret, generation)).await?;
                if fate.is_some() {
                    return Ok(None);
                }
                format!("{here} was never seen to let it in")
            }
        };
        Ok(Some(format!("{there}; end it where it was let in, then add {parent} to `ended-elsewhere` of `[policy]`")))
    }

    /// What is written in one register about `generation`.
    async fn register(&self, goal: &Goal<'_>, generation: &VersionId, name: &RegisterName) -> Result<Option<String>, WorldError> {
        let mut read = self.job.registers.read(&goal.namespace(Some(generation)), std::slice::from_ref(name)).await?;
        Ok(read.remove(name))
    }

    /// The value of `version` was seen to be let in where values are declared to be: by that a later refusal is told from one of
    /// another place.
    pub(super) async fn note_place(&self, goal: &Goal<'_>, version: &VersionId) -> Result<(), WorldError> {
        let Some(place) = self.job.rotator.place() else { return Ok(()) };
        self.job.registers.write_once(&goal.namespace(Some(version)), &names::place(version), &place).await.map(drop)
    }

    /// The same of the value in force, which is about to be replaced: where nobody kept it, that its target lists it tells as much.
    pub(super) async fn note_seen(&self, goal: &Goal<'_>, basis: &Basis) -> Result<(), WorldError> {
        match basis.generation.as_ref().filter(|_| basis.listed) {
            Some(generation) => self.note_place(goal, generation).await,
            None => Ok(()),
        }
    }

    async fn mark(&self, goal: &Goal<'_>, mark: Mark, basis: &Basis) -> Result<Told, WorldError> {
        let generation = generation(basis)?;
        let name = names::mark(goal.secret, generation, mark.as_str());
        self.once(goal, basis, &name, &basis.now.to_string()).await?;
        // The end of a drive tells what is done.
        Ok(if mark == Mark::Refused { vec![(mark.as_str(), basis.parent.clone())] } else { Vec::new() })
    }

    /// What the value of `to` says of what comes after it is kept before it is in force, so that a plan need not read it.
    pub(super) async fn note_stage(&self, goal: &Goal<'_>, to: &VersionId) -> Result<(), WorldError> {
        if !self.job.rotator.capabilities().staged() {
            return Ok(());
        }
        let value = self.job.store.read(goal.secret, to).await?;
        let Some(stage) = self.job.credential.rotator.stage(&value) else { return Ok(()) };
        let name = names::mark(goal.secret, to, names::STAGE);
        self.job.registers.write_once(&goal.namespace(Some(to)), &name, &stage).await.map(drop)
    }

    async fn once(&self, goal: &Goal<'_>, basis: &Basis, name: &RegisterName, value: &str) -> Result<String, WorldError> {
        self.job.registers.write_once(&goal.namespace(basis.generation.as_ref()), name, value).await
    }
}

fn generation(basis: &Basis) -> Result<&VersionId, WorldError> {
    basis.generation.as_ref().ok_or_else(|| permanent("write it down", "no version is in force"))
}
