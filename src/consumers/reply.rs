//! What a program or a service of yours says about itself: the versions it stores and runs, and how much work goes on.

use serde::Deserialize;

use crate::model::id::VersionId;
use crate::world::ConsumerView;

/// The longest version id taken for one.
const VERSION_LIMIT: usize = 64;

/// The JSON object of an acknowledgement; other keys are left alone.
#[derive(Deserialize)]
struct Reply {
    stored: Option<String>,
    running: Option<String>,
    #[serde(default)]
    draining: u64,
}

/// `text` as a version id; what cannot be one is none.
pub(super) fn version(text: &str) -> Option<VersionId> {
    let plain = text.len() <= VERSION_LIMIT && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !text.is_empty()).then(|| VersionId::from(text))
}

/// The acknowledgement in `bytes`. Work that goes on is a number, so that no text of theirs is shown.
pub(super) fn view(bytes: &[u8]) -> Result<ConsumerView, &'static str> {
    let reply: Reply = serde_json::from_slice(bytes).map_err(|_| "the reply is not the JSON object agreed on")?;
    let of = |text: Option<String>| text.as_deref().and_then(version);
    let draining = (reply.draining > 0).then(|| format!("{} pieces of work begun before", reply.draining));
    Ok(ConsumerView {
        stored: of(reply.stored),
        running: of(reply.running),
        draining: draining.into_iter().collect(),
        readers: None,
    })
}
