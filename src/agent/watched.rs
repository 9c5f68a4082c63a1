//! One secret: what its source has in force comes into its files, and into use, or is gone back from.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use zeroize::Zeroizing;

use super::act::Application;
use super::files::{Files, Stamp};
use crate::model::catalog::SecretRef;
use crate::model::id::VersionId;
use crate::model::marker;
use crate::model::secret::Secret;
use crate::world::{ErrorClass, PENDING, SecretStore, SecretView, WorldError};

/// How long a version is kept that slm wanted tried and did not put in force.
const TRIAL: Duration = Duration::from_hours(1);

/// What others may know of a secret.
#[derive(Default)]
pub(super) struct Known {
    /// What its files are.
    pub(super) stamp: Stamp,
    /// The value of the stored version.
    pub(super) value: Option<Arc<Secret>>,
    /// When its source last answered.
    pub(super) seen: Option<Instant>,
    /// What is in the way.
    pub(super) trouble: Option<String>,
    /// The source does not answer.
    pub(super) down: bool,
}

/// Shared by the loop of a secret and who answers about it.
pub(super) type Board = Arc<Mutex<Known>>;

/// What a look at a secret showed.
pub(super) struct Look {
    /// Its source does not answer.
    pub(super) down: bool,
    /// What is to be tried; nothing when its files are what is in force.
    pub(super) next: Result<Option<Trial>, WorldError>,
}

/// A version that the application is to run.
pub(super) struct Trial {
    pub(super) version: VersionId,
    texts: Vec<Zeroizing<String>>,
    /// What the files are before it.
    stamp: Stamp,
}

impl Trial {
    /// True when nothing was before it that could be gone back to.
    fn is_first(&self) -> bool {
        self.stamp.running.is_none() && self.stamp.stored.is_some()
    }
}

/// One secret.
pub(super) struct Watched {
    pub(super) secret: SecretRef,
    pub(super) store: Box<dyn SecretStore>,
    pub(super) files: Files,
    pub(super) application: Application,
    pub(super) board: Board,
    held: Option<(VersionId, Arc<Secret>)>,
    told: Option<(VersionId, Instant)>,
    loaded: Option<VersionId>,
}

impl Watched {
    /// A secret of which nothing is known yet.
    pub(super) fn new(secret: SecretRef, store: Box<dyn SecretStore>, files: Files, application: Application) -> Self {
        Self { secret, store, files, application, board: Board::default(), held: None, told: None, loaded: None }
    }

    /// Has `version` tried at the next pass, although it may not be in force yet, or was refused before.
    pub(super) fn tell(&mut self, version: VersionId) -> Result<(), WorldError> {
        self.told = Some((version.clone(), Instant::now()));
        self.again(Some(&version))
    }

    /// Has what was refused tried again: `version`, or whichever it was.
    pub(super) fn again(&mut self, version: Option<&VersionId>) -> Result<(), WorldError> {
        let stamp = self.files.stamp()?;
        if stamp.refused.is_some() && (version.is_none() || stamp.refused.as_ref() == version) {
            self.files.note(&Stamp { refused: None, ..stamp })?;
        }
        Ok(())
    }

    /// What is to be done for the files to be what is in force.
    pub(super) async fn look(&mut self) -> Look {
        match self.store.describe(&self.secret).await {
            Ok(view) => Look { down: false, next: self.next(&view).await },
            Err(error) => Look { down: true, next: Err(error) },
        }
    }

    /// Writes on the board what came of a look, and gives it back.
    pub(super) async fn conclude(&mut self, down: bool, done: Result<(), WorldError>) -> Result<(), WorldError> {
        let stamp = self.files.stamp()?;
        // A proof is of what is stored; that is another version when one was refused.
        let value = match &stamp.stored {
            Some(stored) if down => self.held.as_ref().filter(|(id, _)| id == stored).map(|(_, value)| Arc::clone(value)),
            Some(stored) => self.value(stored).await.ok(),
            None => None,
        };
        let mut known = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = if down { known.seen } else { Some(Instant::now()) };
        let trouble = done.as_ref().err().map(ToString::to_string);
        *known = Known { stamp, value, seen, trouble, down };
        done
    }

    async fn next(&mut self, view: &SecretView) -> Result<Option<Trial>, WorldError> {
        let target = self.target(view)?;
        let stamp = self.files.stamp()?;
        if stamp.refused.as_ref() == Some(&target) && stamp.trying.is_none() {
            // What it went back to is kept as it is, and the refusal goes on being said.
            let cause = format!("its application was not well with version {target}, and keeps the one before");
            let refused = self.failed(ErrorClass::Denied, &cause);
            let Some(before) = stamp.running.clone() else { return Err(refused) };
            let Ok(texts) = self.texts(&before).await else { return Err(refused) };
            let mend = Trial { version: before, texts, stamp };
            return if self.files.hold(&mend.texts) { Err(refused) } else { Ok(Some(mend)) };
        }
        let texts = self.texts(&target).await?;
        if stamp.settled(&target) && self.files.hold(&texts) {
            return self.files.settle().map(|()| None);
        }
        Ok(Some(Trial { version: target, texts, stamp }))
    }

    /// What is in force, or what slm wants tried before.
    fn target(&mut self, view: &SecretView) -> Result<VersionId, WorldError> {
        if let Some((version, at)) = &self.told {
            if at.elapsed() < TRIAL && view.labelled(PENDING) == Some(version) {
                return Ok(version.clone());
            }
            self.told = None;
        }
        view.current().cloned().ok_or_else(|| self.failed(ErrorClass::NotFound, "no version of it is in force"))
    }

    async fn value(&mut self, version: &VersionId) -> Result<Arc<Secret>, WorldError> {
        if let Some((held, value)) = &self.held
            && held == version
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(self.store.read(&self.secret, version).await?);
        if !marker::may_be_a_credential(&value) {
            return Err(self.failed(ErrorClass::NotFound, "the version in force holds no value"));
        }
        self.held = Some((version.clone(), Arc::clone(&value)));
        Ok(value)
    }

    async fn texts(&mut self, version: &VersionId) -> Result<Vec<Zeroizing<String>>, WorldError> {
        let value = self.value(version).await?;
        self.files.render(version, &value)
    }

    /// Renders the files of `trial`, of which the application is not told yet.
    pub(super) fn render(&mut self, trial: &Trial) -> Result<(), WorldError> {
        let Trial { version, texts, stamp } = trial;
        if trial.is_first() && self.files.hold(texts) && stamp.stored.as_ref() == Some(version) {
            return Ok(());
        }
        self.files.note(&Stamp { trying: Some(version.clone()), ..stamp.clone() })?;
        self.files.replace(texts, !trial.is_first())?;
        self.loaded = None;
        tracing::info!(secret = %self.secret.name, %version, "rendered");
        Ok(())
    }

    /// Puts the files back of which it is not known whether the application is well with them; the stamp says that they are on trial.
    pub(super) fn withdraw(&mut self) -> Result<(), WorldError> {
        self.loaded = None;
        self.files.restore().map(drop)
    }

    /// The application was seen well with `trial`.
    pub(super) fn adopt(&self, trial: Trial) -> Result<(), WorldError> {
        let id = Some(trial.version.clone());
        // Mending what it runs is no judgement on another version.
        let refused = trial.stamp.refused.filter(|_| trial.stamp.running == id);
        self.files.note(&Stamp { stored: id.clone(), running: id, refused, trying: None })?;
        tracing::info!(secret = %self.secret.name, version = %trial.version, "taken into use");
        self.files.settle()
    }

    /// Has the application run `trial`, and goes back to what was before when it is not well with it. The first version has nothing
    /// before it: it stays, and its application, which may not have been started yet, is looked at again.
    pub(super) async fn alone(&mut self, trial: Trial) -> Result<(), WorldError> {
        self.render(&trial)?;
        let cause = match self.take_into_use(&trial.version).await {
            Ok(()) => return self.adopt(trial),
            Err(cause) => cause,
        };
        let (is_first, Trial { version, stamp, .. }) = (trial.is_first(), trial);
        if !is_first && self.files.restore()? {
            self.loaded = None;
            tracing::warn!(secret = %self.secret.name, %version, "{cause}; the files before are back");
            if let Err(cause) = self.application.reload().await {
                tracing::warn!(secret = %self.secret.name, "after going back {cause}");
            }
            self.files.note(&Stamp { refused: Some(version), trying: None, ..stamp })?;
            return Err(self.failed(ErrorClass::Denied, &format!("{cause}; it keeps the version before")));
        }
        self.files.note(&Stamp { stored: Some(version), ..Stamp::default() })?;
        Err(self.failed(ErrorClass::Transient, &cause))
    }

    async fn take_into_use(&mut self, version: &VersionId) -> Result<(), String> {
        if self.loaded.as_ref() != Some(version) {
            self.application.reload().await?;
            self.loaded = Some(version.clone());
        }
        self.application.healthy().await
    }

    fn failed(&self, class: ErrorClass, cause: &str) -> WorldError {
        let operation = format!("take `{}` into use", self.secret.name);
        WorldError { class, operation, cause: cause.to_owned() }
    }
}
