//! A password is let in at an account of MySQL, in place of the version that was seen there and of no other.
//!
//! A run that stood still must not bring an old password back. Whoever installs one holds a lock of the server from before they
//! compare the version until after they have replaced it. The lock lives as long as the connection on which the statement travels:
//! a run whose lock somebody else has got by now has lost that connection, and what it still sends reaches nobody. The statement
//! itself is one change of MySQL: password, state and attribute together or none of them.

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use sha2::{Digest as _, Sha256};

use super::mysql::{Accounts, Found, UNSET};
use super::random::Random;
use crate::model::id::VersionId;
use crate::model::rotator::{Alphabet, RandomValue};
use crate::model::secret::Secret;
use crate::transport::mysql::{SALT, failure, literal, lock, verifier};
use crate::transport::patience::within;
use crate::world::{ErrorClass, Rotator as _, WorldError};

impl Accounts {
    /// What the server keeps of a password.
    pub(super) async fn kept(&self, password: &str) -> Result<String, WorldError> {
        let length = u16::try_from(SALT).unwrap_or(u16::MAX);
        let salt = Random::new(&RandomValue { length, alphabet: Alphabet::Alnum }).create(&"salt".into(), None).await?.value;
        let wrong = |_| self.never("make a verifier of", "its salt is not text");
        Ok(literal(&verifier(password.as_bytes(), salt.expose_text().map_err(wrong)?)))
    }

    /// The account of `user`, which nobody else of us changes while `conn` lasts.
    pub(super) async fn locked(&self, conn: &mut Conn, user: &str, operation: &str) -> Result<Option<Found>, WorldError> {
        let name = Sha256::digest(self.account(user)).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        lock(conn, &format!("slm:{name}"), operation).await?;
        self.find(conn, user, operation).await
    }

    /// Has `value` let in as `version` in place of what is there, all at once or not at all; `before` makes the account what it must be,
    /// which is locked when it was missing.
    pub(super) async fn install(
        &self,
        value: &Secret,
        version: &VersionId,
        over: Option<&VersionId>,
        before: impl AsyncFnOnce(&mut Conn, &str) -> Result<(), mysql_async::Error>,
    ) -> Result<(), WorldError> {
        let known = self.parse(value)?;
        let user = &known.username;
        let operation = self.doing(&format!("install version {version} as account {user}"));
        if !self.users.contains(user) {
            return Err(WorldError { class: ErrorClass::Permanent, operation, cause: "the account is not declared".to_owned() });
        }
        let mut conn = self.database.admin(&operation).await?;
        within(&operation, async {
            let wrong = |error| failure(&operation, &error);
            let conflict = |cause| WorldError { class: ErrorClass::Conflict, operation: operation.clone(), cause };
            let found = self.locked(&mut conn, user, &operation).await?;
            let have = found.as_ref().and_then(|found| found.version.as_ref());
            if let Some(found) = found.as_ref().filter(|_| have == Some(version)) {
                // Who locked it since had read further than whoever installs it now; or it was a person, who alone knows why.
                let remedy =
                    format!("`ALTER USER {} ACCOUNT UNLOCK` lets it in again, and `slm resume` goes on", self.account(user));
                return if found.active { Ok(()) } else { Err(conflict(format!("it was installed, and locked since: {remedy}"))) };
            }
            if have != over.filter(|over| over.as_str() != UNSET) {
                return Err(conflict(
                    have.map_or_else(|| "no version is there".to_owned(), |have| format!("version {have} is there")),
                ));
            }
            // Of two in turn the one in force is let in by nobody again, and any other that is not ours is somebody's. In place there is no other.
            if self.users.len() > 1 && have.is_none() && found.as_ref().is_some_and(|found| found.active) {
                return Err(conflict(self.taken(user)));
            }
            let (account, kept) = (self.account(user), self.kept(&known.password).await?);
            if found.is_none() {
                let made = format!("create user {account} identified with caching_sha2_password as {kept} account lock");
                conn.query_drop(made).await.map_err(wrong)?;
            }
            before(&mut conn, &account).await.map_err(wrong)?;
            let attribute = literal(&serde_json::json!({ "slm": { "version": version } }).to_string());
            let set = format!(
                "alter user {account} identified with caching_sha2_password as {kept} account unlock attribute {attribute}"
            );
            conn.query_drop(set).await.map_err(wrong)
        })
        .await?;
        // The end of the connection is the end of the lock, whichever way it comes.
        let _ = conn.disconnect().await;
        Ok(())
    }
}
