//! Two login roles of PostgreSQL in turn: a new value goes to the one that is not in force, so that both work until the old one is
//! disabled. The value is `{"username": …, "password": …, "host": …, "port": …, "dbname": …}`.

use async_trait::async_trait;

use super::postgres::{Roles, is_unset, taken};
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{Capabilities, PostgresAlternating};
use crate::model::secret::Secret;
use crate::transport::postgres::Postgres;
use crate::world::{Fresh, KeyChange, Listing, Rotator, Target, Trial, WorldError};

/// Two roles.
pub struct AlternatingRoles(Roles);

impl AlternatingRoles {
    /// The roles in `declared`, in `database`.
    #[must_use]
    pub fn new(declared: &PostgresAlternating, database: Postgres) -> Self {
        Self(Roles {
            users: declared.users.to_vec(),
            owner: Some(declared.owner_role.clone()),
            database,
            password: declared.password.clone(),
            probe: declared.probe.clone(),
            end_sessions_after: declared.end_sessions_after,
        })
    }

    /// The role for the value after `current`. One that cannot be read may be of either role, and neither may be touched.
    fn next(&self, current: Option<&Secret>) -> Result<&str, WorldError> {
        let taken = current.map(|current| self.0.parse(current)).transpose()?;
        let free = self.0.users.iter().find(|user| taken.as_ref().is_none_or(|taken| taken.username != **user));
        free.map(String::as_str).ok_or_else(|| self.0.never("choose", "both are the same"))
    }
}

#[async_trait]
impl Rotator for AlternatingRoles {
    fn capabilities(&self) -> Capabilities {
        Capabilities::IN_TURN
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        self.0.identify(value)
    }

    async fn create(&self, slot: &VersionId, current: Option<&Secret>) -> Result<Fresh, WorldError> {
        let user = self.next(current)?;
        let listed = self.0.list().await?;
        match listed.keys.iter().any(|key| key.id.as_str() == user && key.active && is_unset(key)) {
            true => Err(self.0.never("give a new password to", &taken(user))),
            false => self.0.fresh(slot, user).await,
        }
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        self.0.verify(value).await
    }

    fn place(&self) -> Option<String> {
        Some(self.0.place())
    }
}

#[async_trait]
impl Target for AlternatingRoles {
    async fn list(&self) -> Result<Listing, WorldError> {
        self.0.list().await
    }

    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        self.0.install(value, version, over).await
    }

    async fn reread(&self, _: &KeyId) -> Result<Secret, WorldError> {
        Err(self.0.never("read the password of", "the server keeps only what it can check it with"))
    }

    async fn change(&self, key: &KeyId, seen: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        self.0.change(key, seen, change).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rotator::{NewPassword, PostgresServer, SslMode};

    fn roles() -> AlternatingRoles {
        let server = PostgresServer {
            host: "db.internal".to_owned(),
            port: 5_432,
            dbname: "shop".to_owned(),
            sslmode: SslMode::Require,
            admin_env: "SLM_PG_ADMIN".to_owned(),
        };
        let declared = PostgresAlternating {
            users: ["app_a".to_owned(), "app_b".to_owned()],
            owner_role: "app".to_owned(),
            server: server.clone(),
            password: NewPassword::default(),
            probe: None,
            end_sessions_after: None,
        };
        AlternatingRoles::new(&declared, Postgres::new(&server, None))
    }

    fn value(user: &str) -> Secret {
        Secret::new(format!(r#"{{"username":"{user}","password":"p","host":"elsewhere"}}"#).into_bytes())
    }

    #[tokio::test]
    async fn a_new_value_is_for_the_role_that_is_not_in_force_and_names_the_declared_host() {
        for (current, next) in [(None, "app_a"), (Some("app_a"), "app_b"), (Some("app_b"), "app_a"), (Some("legacy"), "app_a")] {
            let (roles, current) = (roles(), current.map(value));
            let fresh = roles.0.fresh(&"slot".into(), roles.next(current.as_ref()).unwrap()).await.unwrap();
            let stored: serde_json::Value = serde_json::from_slice(fresh.value.expose()).unwrap();
            assert_eq!((stored["username"].as_str(), stored["host"].as_str()), (Some(next), Some("db.internal")));
            assert_eq!(stored["password"].as_str().unwrap().len(), 40);
            assert_eq!(roles.identify(&fresh.value), Some(next.into()));
        }
    }

    #[tokio::test]
    async fn nothing_is_made_when_it_cannot_be_told_which_role_is_in_force() {
        let current = Secret::new(b"a bare password".to_vec());
        assert!(roles().create(&"slot".into(), Some(&current)).await.is_err());
        assert_eq!(roles().identify(&value("legacy")), None);
    }

    #[tokio::test]
    async fn without_its_connection_string_it_says_which_variable_is_missing() {
        let error = roles().list().await.unwrap_err();
        assert!(error.to_string().contains("`SLM_PG_ADMIN` is not set"), "{error}");
    }
}
