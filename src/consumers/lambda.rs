//! A function of AWS Lambda: a variable of its environment is set to the version, which starts new execution environments, and the
//! update is awaited. The value is nowhere in it: the function reads it where it lives.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput as Read;
use aws_sdk_lambda::types::Environment;

use super::lambda_alias::Alias;
use super::lambda_update::{Update, update};
use super::several::Several;
use super::{plain, reply};
use crate::model::catalog::LambdaConsumer;
use crate::model::id::VersionId;
use crate::model::secret::Secret;
use crate::transport::aws::Failure;
use crate::world::{Consumer, ConsumerView, ErrorClass, Member, Shared, WorldError};

/// One function.
pub struct Function {
    pub(super) client: Client,
    pub(super) config: LambdaConsumer,
    /// Variables that name versions of other credentials.
    pub(super) beside: Vec<String>,
    /// Pause between two looks at an update.
    pub(super) pause: Duration,
}

impl Function {
    /// The function of `config`, reached by `aws`.
    #[must_use]
    pub fn new(aws: &SdkConfig, config: LambdaConsumer) -> Self {
        Self { client: Client::new(aws), config, beside: Vec::new(), pause: Duration::from_secs(2) }
    }

    /// Takes `variables` for those of other credentials: an alias may be moved with what slm has set in them.
    #[must_use]
    pub fn beside(mut self, variables: Vec<String>) -> Self {
        self.beside = variables;
        self
    }

    /// Looks at an update every `pause`.
    #[must_use]
    pub fn looking_every(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    pub(super) fn operation(&self, what: &str) -> String {
        format!("{what} function `{}`", self.config.function)
    }

    pub(super) fn refused(&self, class: ErrorClass, what: &str, cause: impl Into<String>) -> WorldError {
        WorldError { class, operation: self.operation(what), cause: cause.into() }
    }

    /// The configuration of a published version, or of what is not published.
    pub(super) async fn read(&self, published: Option<&str>, what: &str) -> Result<Read, WorldError> {
        let request = self.client.get_function_configuration().function_name(&self.config.function);
        let answer = request.set_qualifier(published.map(str::to_owned)).send().await;
        answer.map_err(|error| Failure::of(&error).during(self.operation(what)))
    }

    /// Its variables. With those that cannot be read nothing can be done: an update has to name all that are to stay.
    pub(super) fn variables<'r>(&self, read: &'r Read, what: &str) -> Result<Option<&'r HashMap<String, String>>, WorldError> {
        let Some(environment) = &read.environment else { return Ok(None) };
        if let Some(error) = &environment.error {
            let failure = Failure { code: error.error_code().and_then(plain).map(str::to_owned), status: Some(400) };
            let code = failure.code.as_deref().unwrap_or("no code");
            return Err(self.refused(failure.class(), what, format!("its variables cannot be read: {code}")));
        }
        Ok(environment.variables.as_ref())
    }

    /// The version that the variable names.
    pub(super) fn version(&self, read: &Read, what: &str) -> Result<Option<VersionId>, WorldError> {
        let variables = self.variables(read, what)?;
        Ok(variables.and_then(|all| all.get(&self.config.variable)).and_then(|text| reply::version(text)))
    }

    /// True when the variable is to be set: it names another than `version`, and nothing but the variable would be released.
    async fn is_behind(&self, version: &VersionId, read: &Read) -> Result<bool, WorldError> {
        if self.version(read, "update")?.as_ref() == Some(version) {
            return Ok(false);
        }
        if let Some(name) = &self.config.alias {
            self.releasable(read, &self.alias(name, "update").await?)?;
        }
        Ok(true)
    }

    /// Sets variables over the very revision that was `read`, with every other variable as it was.
    async fn bump(&self, set: &[(&str, &VersionId)], read: &Read) -> Result<(), WorldError> {
        let Some(revision) = read.revision_id() else {
            return Err(self.refused(ErrorClass::Permanent, "update", "the answer names no revision"));
        };
        let mut variables = self.variables(read, "update")?.cloned().unwrap_or_default();
        variables.extend(set.iter().map(|(name, version)| ((*name).to_owned(), version.to_string())));
        let environment = Environment::builder().set_variables(Some(variables)).build();
        let request = self.client.update_function_configuration().function_name(&self.config.function);
        let sent = request.revision_id(revision).environment(environment).send().await;
        sent.map(drop).map_err(|error| Failure::of(&error).during(self.operation("update")))
    }
}

#[async_trait]
impl Consumer for Function {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        let read = self.read(None, "observe").await?;
        let stored = self.version(&read, "observe")?;
        let running = match &self.config.alias {
            None => stored.clone().filter(|_| matches!(update(&read), Update::Done)),
            Some(name) => self.alias(name, "observe").await?.running(),
        };
        Ok(ConsumerView { stored, running, ..ConsumerView::default() })
    }

    /// Sets the variable, unless it names `version` already.
    async fn deliver(&self, version: &VersionId, _: &Secret) -> Result<(), WorldError> {
        let read = self.read(None, "update").await?;
        match self.is_behind(version, &read).await? {
            true => self.bump(&[(&self.config.variable, version)], &read).await,
            false => Ok(()),
        }
    }

    /// Awaits the update; then the alias is moved to it, when there is one.
    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        let until = self.until();
        let latest = self.settled(None, version, until).await?;
        match &self.config.alias {
            None => Ok(()),
            Some(name) => self.release(name, version, &latest, until).await,
        }
    }
}

#[async_trait]
impl Shared for Several<Function> {
    /// Sets the variables of all in one update.
    async fn begin(&self, members: &[(Member, VersionId)]) -> Result<(), WorldError> {
        let mut all = self.among(members).peekable();
        let Some((first, _)) = all.peek().copied() else { return Ok(()) };
        let read = first.read(None, "update").await?;
        let mut set = Vec::new();
        for (one, version) in all {
            // What stands in the way of one is told by itself.
            if one.is_behind(version, &read).await.unwrap_or(false) {
                set.push((one.config.variable.as_str(), version));
            }
        }
        if set.is_empty() { Ok(()) } else { first.bump(&set, &read).await }
    }
}

/// What an alias stands for, with how far it is.
impl Alias {
    fn running(self) -> Option<VersionId> {
        let done = matches!(update(&self.read), Update::Done);
        self.version.filter(|_| done && !self.split && self.ready == Some(true))
    }
}
