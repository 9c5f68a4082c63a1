//! A table: the pack of each commit in parts, an item that says which, and one item for each control at each run, to be asked for by
//! control and time. Every put is on the condition that there is no such item.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest as _, Sha256};

use crate::model::locker::DynamodbSink as Settings;
use crate::model::time::Timestamp;
use crate::transport::aws::Failure;
use crate::world::{ErrorClass, ObjectStore, Packet, Sink, WorldError};

/// Bytes in a part: an item may have 400 KB, names included.
const PART: usize = 350_000;
/// The partition of the items that say what is there.
const COMMITS: &str = "commits";
/// The partition of the items that say which objects are.
const OBJECTS: &str = "objects";

type Item = HashMap<String, AttributeValue>;

/// Commits of one locker in one table.
pub struct Table {
    client: Client,
    settings: Settings,
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn field<'a>(item: &'a Item, name: &str) -> Option<&'a String> {
    item.get(name).and_then(|value| value.as_s().ok())
}

impl Table {
    /// The table that `settings` name, reached by `config`.
    #[must_use]
    pub fn new(settings: Settings, config: &SdkConfig) -> Self {
        Self { client: Client::new(config), settings }
    }

    fn failed(&self, doing: &str, class: ErrorClass, cause: impl Into<String>) -> WorldError {
        WorldError { class, operation: format!("{doing} in table `{}`", self.settings.table), cause: cause.into() }
    }

    /// Every item of the partition `pk`, to the last page of the list.
    async fn all(&self, pk: &str, doing: &str) -> Result<Vec<Item>, WorldError> {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let query = self.client.query().table_name(&self.settings.table).consistent_read(true);
            let query = query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", text(pk));
            let page = query.set_exclusive_start_key(from.clone()).send().await;
            let operation = || format!("{doing} in table `{}`", self.settings.table);
            let page = page.map_err(|error| Failure::of(&error).during(operation()))?;
            found.extend(page.items.unwrap_or_default());
            match page.last_evaluated_key.filter(|key| !key.is_empty()) {
                None => return Ok(found),
                same if same == from => return Err(self.failed(doing, ErrorClass::Transient, "its list has no end")),
                next => from = next,
            }
        }
    }

    /// The item `sk` of the partition `pk`.
    async fn item(&self, pk: &str, sk: &str, doing: &str) -> Result<Option<Item>, WorldError> {
        let get = self.client.get_item().table_name(&self.settings.table).consistent_read(true);
        let found = get.key("pk", text(pk)).key("sk", text(sk)).send().await;
        let found = found.map_err(|error| Failure::of(&error).during(format!("{doing} in table `{}`", self.settings.table)))?;
        Ok(found.item)
    }

    /// Puts bytes in parts. What is put may be made of other bytes another time: parts of two never mix.
    async fn put_parts(&self, hash: &str, parts: &[&[u8]], doing: &str) -> Result<(), WorldError> {
        for (part, bytes) in parts.iter().enumerate() {
            let item = Item::from([
                ("pk".to_owned(), text(format!("pack#{hash}"))),
                ("sk".to_owned(), text(format!("{part:06}"))),
                ("bytes".to_owned(), AttributeValue::B(Blob::new(bytes.to_vec()))),
            ]);
            self.put_once(item, "bytes", doing).await?;
        }
        Ok(())
    }

    /// The bytes whose parts are named by `hash`.
    async fn parts(&self, hash: &str, doing: &str) -> Result<Vec<u8>, WorldError> {
        let mut all = Vec::new();
        for part in self.all(&format!("pack#{hash}"), doing).await? {
            let bytes = part.get("bytes").and_then(|bytes| bytes.as_b().ok());
            let broken = || self.failed(doing, ErrorClass::Permanent, "a part is not as slm writes it");
            all.extend_from_slice(bytes.ok_or_else(broken)?.as_ref());
        }
        let wrong = || self.failed(doing, ErrorClass::Permanent, "its parts are not what they were");
        if hash_of(&all) == hash { Ok(all) } else { Err(wrong()) }
    }

    /// Puts an item; when there is one of that key it must have the same value under `same`.
    async fn put_once(&self, item: Item, same: &str, doing: &str) -> Result<(), WorldError> {
        let put = self.client.put_item().table_name(&self.settings.table).set_item(Some(item.clone()));
        match put.condition_expression("attribute_not_exists(pk)").send().await {
            Ok(_) => return Ok(()),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {}
            Err(error) => return Err(Failure::of(&error).during(format!("{doing} in table `{}`", self.settings.table))),
        }
        let key = |name: &str| item.get(name).cloned().unwrap_or_else(|| text(""));
        let get = self.client.get_item().table_name(&self.settings.table).consistent_read(true);
        let found = get.key("pk", key("pk")).key("sk", key("sk")).send().await;
        let found = found.map_err(|error| Failure::of(&error).during(format!("{doing} in table `{}`", self.settings.table)))?;
        if found.item.as_ref().and_then(|found| found.get(same)) == item.get(same) {
            return Ok(());
        }
        Err(self.failed(doing, ErrorClass::Conflict, "another one is there in its place"))
    }
}

#[async_trait]
impl Sink for Table {
    async fn held(&self) -> Result<BTreeMap<u64, String>, WorldError> {
        let doing = "list the commits";
        let broken = || self.failed(doing, ErrorClass::Permanent, "an item of the partition `commits` is not as slm writes it");
        let one = |item: &Item| Some((field(item, "sk")?.parse().ok()?, field(item, "commit")?.clone()));
        self.all(COMMITS, doing).await?.iter().map(|item| one(item).ok_or_else(broken)).collect()
    }

    async fn put(&self, packet: &Packet) -> Result<(), WorldError> {
        let Packet { number, commit, received, pack, run, controls } = packet;
        let doing = format!("put commit {number}");
        let hash = hash_of(pack);
        let parts: Vec<&[u8]> = pack.chunks(PART).collect();
        self.put_parts(&hash, &parts, &doing).await?;
        for (control, tally) in controls {
            let item = Item::from([
                ("pk".to_owned(), text(format!("control#{control}"))),
                ("sk".to_owned(), text(format!("{received}#{run}"))),
                ("tally".to_owned(), text(tally)),
                ("commit".to_owned(), text(commit)),
            ]);
            self.put_once(item, "tally", &doing).await?;
        }
        // Last: what this names is there.
        let item = Item::from([
            ("pk".to_owned(), text(COMMITS)),
            ("sk".to_owned(), text(format!("{number:020}"))),
            ("commit".to_owned(), text(commit)),
            ("pack".to_owned(), text(hash)),
            ("parts".to_owned(), AttributeValue::N(parts.len().to_string())),
        ]);
        self.put_once(item, "commit", &doing).await
    }

    async fn get(&self, number: u64, commit: &str) -> Result<Vec<u8>, WorldError> {
        let doing = format!("read commit {number}");
        let broken = || self.failed(&doing, ErrorClass::Permanent, "its item is gone, or not as slm writes it");
        let head = self.item(COMMITS, &format!("{number:020}"), &doing).await?;
        let head = head.filter(|item| field(item, "commit").is_some_and(|there| there == commit)).ok_or_else(broken)?;
        self.parts(field(&head, "pack").ok_or_else(broken)?, &doing).await
    }

    fn objects<'a>(&'a self, _: Timestamp) -> Box<dyn ObjectStore + 'a> {
        Box::new(Objects(self))
    }
}

/// What is too long for git, in parts as the packs of commits are.
struct Objects<'a>(&'a Table);

#[async_trait]
impl ObjectStore for Objects<'_> {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<bool, WorldError> {
        let (table, doing) = (self.0, format!("put object `{name}`"));
        if table.item(OBJECTS, name, &doing).await?.is_some() {
            return Ok(false);
        }
        let hash = hash_of(&bytes);
        let parts: Vec<&[u8]> = bytes.chunks(PART).collect();
        table.put_parts(&hash, &parts, &doing).await?;
        // Last: what this names is there.
        let item = Item::from([
            ("pk".to_owned(), text(OBJECTS)),
            ("sk".to_owned(), text(name)),
            ("pack".to_owned(), text(hash)),
            ("parts".to_owned(), AttributeValue::N(parts.len().to_string())),
        ]);
        table.put_once(item, "pack", &doing).await.map(|()| true)
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, WorldError> {
        let (table, doing) = (self.0, format!("read object `{name}`"));
        let Some(head) = table.item(OBJECTS, name, &doing).await? else { return Ok(None) };
        let broken = || table.failed(&doing, ErrorClass::Permanent, "its item is not as slm writes it");
        table.parts(field(&head, "pack").ok_or_else(broken)?, &doing).await.map(Some)
    }
}

fn hash_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
