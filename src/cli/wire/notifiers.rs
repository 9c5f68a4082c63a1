//! What people are told by.

use super::{Access, Reach, from_env, store_of};
use crate::model::catalog::SecretRef;
use crate::model::notify::{Credentials, IssuesSettings, NotifySettings, NotifyWay, SlackWay};
use crate::model::secret::Secret;
use crate::notifiers::slack::Channel;
use crate::notifiers::slack_webhook::Hook;
use crate::transport::github::{Github, Login};
use crate::transport::github_issues::Issues;
use crate::world::{Notifier, WorldError};

/// The notifier that `settings` name. Nothing is sent yet; a token in a store is read.
pub async fn notifier(reach: &Reach<'_>, settings: &NotifySettings) -> Result<Box<dyn Notifier>, WorldError> {
    let NotifyWay::Slack(way) = &settings.way;
    Ok(match way {
        SlackWay::Bot { channel, token } => {
            Box::new(Channel::new(settings.base_url.as_deref(), channel, secret(reach, token).await?)?)
        }
        SlackWay::Webhook { address } => Box::new(Hook::new(secret(reach, address).await?)?),
    })
}

/// The issues that `settings` name. Nothing is sent yet; a token in a store is read.
pub async fn issues(reach: &Reach<'_>, settings: &IssuesSettings) -> Result<Issues, WorldError> {
    let login = Login::Token(secret(reach, &settings.token).await?);
    Issues::new(Github::new(settings.base_url.as_deref(), login).under(reach.sessions.budget()), &settings.repo)
}

/// The token or address, as it is now.
async fn secret(reach: &Reach<'_>, from: &Credentials) -> Result<Option<Secret>, WorldError> {
    match from {
        Credentials::Env(name) => Ok(from_env(name)),
        Credentials::Stored(secret) => stored(reach, secret).await,
    }
}

async fn stored(reach: &Reach<'_>, secret: &SecretRef) -> Result<Option<Secret>, WorldError> {
    let reach = Reach { access: Access::Read, ..*reach };
    let store = store_of(&reach, secret).await?;
    let view = store.describe(secret).await?;
    match view.current() {
        Some(version) => store.read(secret, version).await.map(Some),
        None => Ok(None),
    }
}
