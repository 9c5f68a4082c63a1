//! The places that mirror the evidence.

use super::Reach;
use crate::model::catalog::SourceKind;
use crate::model::locker::SinkSettings;
use crate::sinks::dynamodb::Table;
use crate::sinks::s3::Bucket;
use crate::world::{ErrorClass, Sink, WorldError};

/// The sink that `settings` name, opened as `reach` says.
pub async fn sink(reach: &Reach<'_>, settings: &SinkSettings) -> Result<Box<dyn Sink>, WorldError> {
    let SinkSettings { id, s3, dynamodb } = settings;
    let failed = |cause: String| WorldError { class: ErrorClass::Permanent, operation: format!("open the sink `{id}`"), cause };
    if let Some(table) = dynamodb {
        let config = super::session(reach, &table.source, &table.region).await?;
        return Ok(Box::new(Table::new(table.clone(), &config)));
    }
    let Some(s3) = s3 else { return Err(failed("it is of no kind".to_owned())) };
    let config = super::session(reach, &s3.source, &s3.region).await?;
    match reach.catalog.settings.sources.get(&s3.source) {
        Some(SourceKind::Aws(account)) => {
            let bucket = Bucket::new(s3.clone(), account, &config);
            Ok(Box::new(if reach.looks() { bucket.by_first_versions() } else { bucket }))
        }
        _ => Err(failed(format!("source `{}` is not an AWS account", s3.source))),
    }
}
