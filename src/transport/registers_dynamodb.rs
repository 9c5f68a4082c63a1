//! Write-once registers as items of a DynamoDB table: a put on the condition that there is no such item.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use super::aws::Failure;
use crate::model::id::{RegisterName, RotationId};
use crate::model::registers::DynamodbRegisters as Settings;
use crate::world::{ErrorClass, Registers, WorldError};

/// The partition key.
const ROTATION: &str = "rotation";
/// The sort key.
const NAME: &str = "name";
/// The attribute that holds what was written.
const VALUE: &str = "value";

/// The registers of one table; every read is strongly consistent.
pub struct DynamodbRegisters {
    client: Client,
    settings: Settings,
}

impl DynamodbRegisters {
    /// The registers that `settings` name, reached by `config`.
    #[must_use]
    pub fn new(settings: Settings, config: &SdkConfig) -> Self {
        Self { client: Client::new(config), settings }
    }

    /// Every register of `rotation`, to the last page of the list.
    async fn all(&self, rotation: &RotationId) -> Result<BTreeMap<RegisterName, String>, WorldError> {
        let failed = |class, cause: String| WorldError { class, operation: reading(rotation), cause };
        let (mut found, mut from) = (BTreeMap::new(), None);
        loop {
            let query = self.client.query().table_name(&self.settings.table).consistent_read(true);
            let query = query.key_condition_expression("#r = :r").expression_attribute_names("#r", ROTATION);
            let query = query.expression_attribute_values(":r", AttributeValue::S(rotation.to_string()));
            let page = query.set_exclusive_start_key(from.clone()).send().await;
            let page = page.map_err(|error| Failure::of(&error).during(reading(rotation)))?;
            let Some(items) = page.items else {
                return Err(failed(ErrorClass::Transient, "its list has no items".to_owned()));
            };
            for item in items {
                let text = |key: &str| item.get(key).and_then(|value| value.as_s().ok());
                let (Some(name), Some(value)) = (text(NAME), text(VALUE)) else {
                    let cause = format!("an item of table `{}` has no `{VALUE}` text", self.settings.table);
                    return Err(failed(ErrorClass::Permanent, cause));
                };
                found.insert(RegisterName::from(name), value.clone());
            }
            match page.last_evaluated_key.filter(|key| !key.is_empty()) {
                None => return Ok(found),
                // The paginator of the SDK would take this for the end.
                same if same == from => return Err(failed(ErrorClass::Transient, "its list has no end".to_owned())),
                next => from = next,
            }
        }
    }
}

/// The operation of a read.
pub(super) fn reading(rotation: &RotationId) -> String {
    format!("read the registers of rotation {rotation}")
}

/// What is written once stays: somebody else has changed it.
pub(super) fn gone(name: &RegisterName, operation: String) -> WorldError {
    let cause = format!("register {name} was written, and is gone: registers must not be deleted");
    WorldError { class: ErrorClass::Permanent, operation, cause }
}

#[async_trait]
impl Registers for DynamodbRegisters {
    async fn read(&self, rotation: &RotationId, names: &[RegisterName]) -> Result<BTreeMap<RegisterName, String>, WorldError> {
        let mut before = BTreeMap::new();
        // A query sees each item at an instant of its own: it is asked again until nothing is new, so that all held at one instant.
        loop {
            let mut found = self.all(rotation).await?;
            found.retain(|name, _| names.contains(name));
            if let Some((name, _)) = before.iter().find(|(name, value)| found.get(*name) != Some(*value)) {
                return Err(gone(name, reading(rotation)));
            }
            if found.len() == before.len() || found.len() == names.len() {
                return Ok(found);
            }
            before = found;
        }
    }

    async fn write_once(&self, rotation: &RotationId, name: &RegisterName, value: &str) -> Result<String, WorldError> {
        let doing = || format!("write register {name} of rotation {rotation}");
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = self.client.put_item().table_name(&self.settings.table).item(ROTATION, text(rotation.as_str()));
        let put = put.item(NAME, text(name.as_str())).item(VALUE, text(value));
        let put = put.condition_expression("attribute_not_exists(#n)").expression_attribute_names("#n", NAME);
        match put.send().await {
            Ok(_) => return Ok(value.to_owned()),
            // By another, or by us when an answer was lost.
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {}
            Err(error) => return Err(Failure::of(&error).during(doing())),
        }
        self.all(rotation).await?.remove(name).ok_or_else(|| gone(name, doing()))
    }
}
