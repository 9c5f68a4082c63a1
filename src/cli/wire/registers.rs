//! Where is written, once, what was decided.

use std::sync::Arc;

use super::{Access, READ_SESSION, Reach, Unusable};
use crate::host::registers::GitRegisters;
use crate::model::catalog::{AwsSource, SourceKind};
use crate::model::id::SourceId;
use crate::transport::registers_dynamodb::DynamodbRegisters;
use crate::transport::registers_s3::S3Registers;
use crate::world::{ErrorClass, Registers, WorldError};

/// The registers that the catalog names, opened as `reach` says.
pub(in crate::cli) async fn registers(reach: &Reach<'_>) -> Arc<dyn Registers> {
    open(reach).await.unwrap_or_else(|error| Arc::new(Unusable(error)))
}

async fn open(reach: &Reach<'_>) -> Result<Arc<dyn Registers>, WorldError> {
    let settings = &reach.catalog.settings;
    if let Some(s3) = &settings.registers.s3 {
        let account = account(reach, &s3.source)?;
        let config = session(reach, account, &s3.region).await;
        return Ok(Arc::new(S3Registers::new(s3.clone(), account, &config)));
    }
    if let Some(table) = &settings.registers.dynamodb {
        let config = session(reach, account(reach, &table.source)?, &table.region).await;
        return Ok(Arc::new(DynamodbRegisters::new(table.clone(), &config)));
    }
    let git = GitRegisters::open(reach.root, settings.locker.remote.clone())?;
    Ok(match reach.access {
        Access::Read => Arc::new(git.as_of_now()),
        Access::Apply(_) => Arc::new(git),
    })
}

fn account<'a>(reach: &Reach<'a>, source: &SourceId) -> Result<&'a AwsSource, WorldError> {
    match reach.catalog.settings.sources.get(source) {
        Some(SourceKind::Aws(account)) => Ok(account),
        _ => Err(WorldError {
            class: ErrorClass::Permanent,
            operation: "open the registers".to_owned(),
            cause: format!("source `{source}` is not an AWS account"),
        }),
    }
}

async fn session(reach: &Reach<'_>, account: &AwsSource, region: &str) -> aws_config::SdkConfig {
    let (role, name) = match reach.access {
        Access::Read => (&account.read_role, READ_SESSION),
        Access::Apply(name) => (&account.apply_role, name),
    };
    reach.sessions.get(account, region, role.as_deref(), name).await
}
