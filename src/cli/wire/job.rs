//! Who the CI job is that slm runs in, as the runner says it.

#![expect(clippy::disallowed_methods, reason = "the runner gives the job its identity in variables")]

use super::from_env;
use crate::transport::actions_oidc::{AUDIENCE, Identity};
use crate::transport::aws::Sessions;
use crate::transport::budget::Budget;

/// Requests a second where no catalog says how many.
const RATE: u16 = 5;

/// The identity of the job; `None` where there is none, or the workflow does not have `id-token: write`.
pub(in crate::cli) fn identity() -> Option<Identity> {
    let url = std::env::var("ACTIONS_ID_TOKEN_REQUEST_URL").ok()?;
    let bearer = from_env("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?;
    let audience = std::env::var("SLM_OIDC_AUDIENCE").unwrap_or_else(|_| AUDIENCE.to_owned());
    Some(Identity::new(url, bearer, audience))
}

/// Sessions that no catalog bounds.
pub(in crate::cli) fn asking() -> Sessions {
    of_job(Sessions::new(Budget::per_second(RATE)))
}

/// `sessions`, as the job where slm runs in one that takes a role.
pub(super) fn of_job(sessions: Sessions) -> Sessions {
    match (identity(), role()) {
        (Some(identity), Some(role)) => sessions.as_job(identity, role),
        _ => sessions,
    }
}

/// The role that the job takes by it. Keys or a token file that were put there on purpose are used instead.
fn role() -> Option<String> {
    let given = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if given("AWS_ACCESS_KEY_ID") || given("AWS_WEB_IDENTITY_TOKEN_FILE") {
        return None;
    }
    std::env::var("AWS_ROLE_ARN").ok().filter(|role| !role.is_empty())
}
