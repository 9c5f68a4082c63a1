//! What a person stored: it is tried before anybody is given it, and that it was let in is written down once.

use crate::model::catalog::Credential;
use crate::model::id::{RegisterName, VersionId};
use crate::model::names;
use crate::model::outcome::{Event, Fate, Outcome};
use crate::model::plan::ActionKind;
use crate::model::rotator::ByHand;
use crate::world::{Clock, Registers, Rotator, SecretStore, Trial, WorldError};

/// A credential that a person rotates, and the world around it.
pub struct Stored<'a> {
    /// Which.
    pub credential: &'a Credential,
    /// Where its value lives.
    pub store: &'a dyn SecretStore,
    /// Tries it.
    pub rotator: &'a dyn Rotator,
    /// Where is written that it was let in.
    pub registers: &'a dyn Registers,
}

impl Stored<'_> {
    /// Carries out `action`: has `generation` tried when it is in force.
    pub async fn verify(&self, action: &ActionKind, generation: &VersionId, clock: &dyn Clock) -> Outcome {
        let fate = self.tried(generation, clock).await.unwrap_or_else(|error| Fate::Failed(error.to_string()));
        let event = || Event {
            at: clock.now(),
            credential: self.credential.id.clone(),
            rotation: names::rotation(&self.credential.id, Some(generation)),
            step: "verified".to_owned(),
            version: Some(generation.clone()),
            consumer: String::new(),
            readings: None,
        };
        let events = if fate == Fate::Done { vec![event()] } else { Vec::new() };
        Outcome { action: action.clone(), fate, events }
    }

    async fn tried(&self, generation: &VersionId, clock: &dyn Clock) -> Result<Fate, WorldError> {
        let secret = &self.credential.secret;
        let view = self.store.describe(secret).await?;
        if view.current() != Some(generation) {
            return Ok(Fate::Stale(format!("version {generation} of `{}` is not the one in force", secret.name)));
        }
        if self.is_verified(generation).await? {
            return Ok(Fate::AlreadySo);
        }
        let value = self.store.read(secret, generation).await?;
        match self.rotator.verify(&value).await? {
            Trial::Refused(why) => {
                let owner = &self.credential.owner;
                Ok(Fate::Blocked(format!("the value in force is refused ({why}); {owner} has to store one that works")))
            }
            Trial::Elsewhere(why) | Trial::Useless(why) => {
                let owner = &self.credential.owner;
                Ok(Fate::Blocked(format!("the value in force was not seen to work ({why}); {owner} has to store one that does")))
            }
            Trial::Accepted => {
                let rotation = names::rotation(&self.credential.id, Some(generation));
                let at = view.now.unwrap_or_else(|| clock.now());
                self.registers.write_once(&rotation, &self.name(generation), &at.to_string()).await?;
                Ok(Fate::Done)
            }
        }
    }

    fn name(&self, generation: &VersionId) -> RegisterName {
        names::mark(&self.credential.secret, generation, "verified")
    }

    async fn is_verified(&self, generation: &VersionId) -> Result<bool, WorldError> {
        let (rotation, name) = (names::rotation(&self.credential.id, Some(generation)), self.name(generation));
        Ok(self.registers.read(&rotation, std::slice::from_ref(&name)).await?.contains_key(&name))
    }

    /// Why `generation` is brought to nobody yet, if so: it has to be tried and was not let in.
    pub async fn withheld(&self, generation: &VersionId) -> Option<Fate> {
        match self.credential.rotator.by_hand() {
            Some(ByHand::Manual(manual)) if manual.verify.is_some() => match self.is_verified(generation).await {
                Ok(true) => None,
                Ok(false) => Some(Fate::Waiting("until its value was seen to work".to_owned())),
                Err(error) => Some(Fate::Failed(error.to_string())),
            },
            _ => None,
        }
    }
}
