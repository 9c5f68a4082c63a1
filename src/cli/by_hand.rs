//! What verbs say of credentials that slm does not rotate.

use super::{Exit, Trouble, pipeline};
use crate::model::catalog::Credential;
use crate::model::id::CredentialId;
use crate::model::rotator::ByHand;

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A new value.
    Rotate,
    /// The end of a value in wrong hands.
    Leak,
    /// The value before.
    Rollback,
    /// The end of the value before.
    Retire,
}

/// Why a verb refuses, and what helps.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Stable, as that of a diagnostic.
    pub(super) code: &'static str,
    /// One line.
    text: String,
    /// The next step.
    pub(super) help: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

/// Refuses what slm does not do to the first of `ids` that it does not rotate.
pub(super) fn refuse(session: &pipeline::Session, ids: &[CredentialId], asked: Asked) -> Result<(), Trouble> {
    let mut declared = ids.iter().filter_map(|id| session.catalog.credentials.get(id));
    match declared.find_map(|credential| Some(refusal(credential, credential.rotator.by_hand()?, asked))) {
        Some(refusal) => Err(Trouble { exit: Exit::Held, error: Box::new(refusal) }),
        None => Ok(()),
    }
}

fn refusal(credential: &Credential, hand: ByHand<'_>, asked: Asked) -> Refusal {
    let Credential { id, owner, secret, .. } = credential;
    let done = match asked {
        Asked::Rotate => "rotated",
        Asked::Leak => "rotated as leaked",
        Asked::Rollback => "rolled back",
        Asked::Retire => "retired",
    };
    match hand {
        ByHand::Manual(manual) => {
            let place = format!("store the new value as the current one of `{}` in source `{}`", secret.name, secret.source);
            let rotate = format!("ask {owner}: {}; then {place}, and `slm apply` goes on with it", manual.line());
            let help = match asked {
                Asked::Rotate => rotate,
                Asked::Leak => format!("escalate to {owner} now: end the leaked value where it was issued; {rotate}"),
                Asked::Rollback => {
                    format!("ask {owner}: if the value before still works, store it as the current one of `{}`", secret.name)
                }
                Asked::Retire => format!("ask {owner}: end the old value where it was issued"),
            };
            let text = format!("`{id}` is not {done} by slm: it is of kind `manual`, and a person rotates it");
            Refusal { code: "slm::rotated-by-hand", text, help }
        }
        ByHand::Observe(observe) => {
            let who = observe.rotated_by.as_ref().unwrap_or(owner);
            let text = format!("`{id}` is not {done}: it is of kind `observe`, and slm never acts on it");
            let urgent = if asked == Asked::Leak { format!("escalate to {owner} now: ") } else { String::new() };
            let help = format!("{urgent}it is rotated by {who}; declare another kind when slm or a person asked by slm should");
            Refusal { code: "slm::only-observed", text, help }
        }
    }
}
