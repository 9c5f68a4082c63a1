//! Kinds of rotator, as declared.

use std::path::Path;
use std::sync::Arc;

use super::{from_env, github};
use crate::model::catalog::{AwsSource, Catalog, Credential, SourceKind};
use crate::model::id::SourceId;
use crate::model::rotator::{MysqlServer, RotatorConfig};
use crate::rotators::aws_iam_access_key::AccessKeys;
use crate::rotators::aws_managed::RotatedByAws;
use crate::rotators::exec::Plugin;
use crate::rotators::github_deploy_key::DeployKeys;
use crate::rotators::http::Vendor;
use crate::rotators::keyset::SigningKeys;
use crate::rotators::manual::ByHand;
use crate::rotators::mysql_alternating::AlternatingAccounts;
use crate::rotators::mysql_dual::DualPassword;
use crate::rotators::mysql_password::AccountPassword;
use crate::rotators::postgres_alternating::AlternatingRoles;
use crate::rotators::postgres_password::RolePassword;
use crate::rotators::random::Random;
use crate::transport::aws::Sessions;
use crate::transport::github::Github;
use crate::transport::mysql::Mysql;
use crate::transport::postgres::Postgres;
use crate::world::{ErrorClass, Keeper, Rotator, Target, WorldError};

/// What makes new values, and what lets them in.
pub(in crate::cli) struct Kind {
    /// Makes and tries.
    pub rotator: Arc<dyn Rotator>,
    /// Lets in; `None` when nobody does.
    pub target: Option<Arc<dyn Target>>,
}

impl Kind {
    fn with_target<T: Rotator + Target + 'static>(both: T) -> Self {
        let both = Arc::new(both);
        Self { rotator: Arc::clone(&both) as Arc<dyn Rotator>, target: Some(both) }
    }
}

/// The kind of `credential`, opened for writing; `session` names it in the logs of the source.
pub(in crate::cli) async fn kind(
    catalog: &Catalog,
    credential: &Credential,
    root: &Path,
    sessions: &Sessions,
    session: &str,
) -> Result<Kind, WorldError> {
    match &credential.rotator {
        RotatorConfig::Random(random) => Ok(Kind { rotator: Arc::new(Random::new(random)), target: None }),
        RotatorConfig::Keyset(keys) => Ok(Kind { rotator: Arc::new(SigningKeys::new(keys)), target: None }),
        RotatorConfig::AwsIamAccessKey(key) => {
            let source = key.source.as_ref().unwrap_or(&credential.secret.source);
            let account = account(catalog, source)?;
            let region = account.regions.first().map_or("us-east-1", String::as_str);
            let config = sessions.get(account, region, account.apply_role.as_deref(), session).await;
            Ok(Kind::with_target(AccessKeys::new(key, config).in_regions(&account.regions).in_account(&account.account)))
        }
        RotatorConfig::AwsManaged(_) => {
            let rotator = Arc::new(rotated_by_aws(catalog, credential, sessions, session).await?);
            Ok(Kind { rotator, target: None })
        }
        RotatorConfig::Exec(exec) => Ok(Kind::with_target(Plugin::new(root.to_owned(), exec))),
        RotatorConfig::Http(vendor) => {
            let auth = vendor.auth_env.iter().map(|(name, variable)| (name.clone(), from_env(variable))).collect();
            Ok(Kind::with_target(Vendor::new(vendor, root, &credential.id, auth)?))
        }
        RotatorConfig::GithubDeployKey(key) => {
            Ok(Kind::with_target(DeployKeys::new(organisation(catalog, &key.source, sessions)?, key)))
        }
        RotatorConfig::Manual(manual) => Ok(Kind { rotator: Arc::new(ByHand::new(manual, &credential.id)), target: None }),
        RotatorConfig::Observe(_) => Err(WorldError {
            class: ErrorClass::Permanent,
            operation: format!("act on `{}`", credential.id),
            cause: "it is of kind `observe`, on which slm never acts".to_owned(),
        }),
        RotatorConfig::PostgresAlternating(roles) => {
            Ok(Kind::with_target(AlternatingRoles::new(roles, Postgres::new(&roles.server, from_env(&roles.server.admin_env)))))
        }
        RotatorConfig::PostgresPassword(role) => {
            Ok(Kind::with_target(RolePassword::new(role, Postgres::new(&role.server, from_env(&role.server.admin_env)))))
        }
        RotatorConfig::MysqlAlternating(accounts) => {
            Ok(Kind::with_target(AlternatingAccounts::new(accounts, mysql(&accounts.server))))
        }
        RotatorConfig::MysqlDual(account) => Ok(Kind::with_target(DualPassword::new(account, mysql(&account.server)))),
        RotatorConfig::MysqlPassword(account) => Ok(Kind::with_target(AccountPassword::new(account, mysql(&account.server)))),
    }
}

fn mysql(server: &MysqlServer) -> Mysql {
    Mysql::new(server, from_env(&server.admin_env))
}

/// What is asked to replace the value of `credential`, whose store does so by itself.
pub(in crate::cli) async fn keeper(
    catalog: &Catalog,
    credential: &Credential,
    sessions: &Sessions,
    session: &str,
) -> Result<Box<dyn Keeper>, WorldError> {
    Ok(Box::new(rotated_by_aws(catalog, credential, sessions, session).await?))
}

async fn rotated_by_aws(
    catalog: &Catalog,
    credential: &Credential,
    sessions: &Sessions,
    session: &str,
) -> Result<RotatedByAws, WorldError> {
    let account = account(catalog, &credential.secret.source)?;
    let config = sessions.get(account, &credential.secret.region, account.apply_role.as_deref(), session).await;
    Ok(RotatedByAws::new(&config))
}

fn organisation(catalog: &Catalog, source: &SourceId, sessions: &Sessions) -> Result<Github, WorldError> {
    match catalog.settings.sources.get(source) {
        Some(SourceKind::Github(org)) => Ok(github(org, sessions)),
        _ => Err(WorldError {
            class: ErrorClass::Permanent,
            operation: format!("reach source `{source}`"),
            cause: "it is not a GitHub organisation".to_owned(),
        }),
    }
}

fn account<'a>(catalog: &'a Catalog, source: &SourceId) -> Result<&'a AwsSource, WorldError> {
    match catalog.settings.sources.get(source) {
        Some(SourceKind::Aws(account)) => Ok(account),
        _ => Err(WorldError {
            class: ErrorClass::Permanent,
            operation: format!("reach source `{source}`"),
            cause: "it is not an AWS account".to_owned(),
        }),
    }
}
