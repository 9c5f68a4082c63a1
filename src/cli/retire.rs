//! `slm retire`: end what the last rotation of a credential replaced, as far as nobody can use it any more.

use super::by_hand::{self, Asked};
use super::carry::{Haste, Work};
use super::rotate::only;
use super::{Global, Said, Trouble, ahead, carry, pipeline};
use crate::model::plan::ActionKind;

/// Arguments of `slm retire`.
#[derive(clap::Args)]
pub struct Args {
    /// The credential
    credential: String,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, "retire", None)?;
    let wanted = super::plan::known(&session, std::slice::from_ref(&args.credential))?;
    by_hand::refuse(&session, &wanted, Asked::Retire)?;
    let mut judged = pipeline::block_on(session.judge(global))??;
    let finish = |kind: &ActionKind| matches!(kind, ActionKind::Finish { credential, .. } if wanted.contains(credential));
    let made = session.plan(&judged, &[])?;
    let plan = only(ahead::learnt(&session, global, &mut judged, (&[], made))?, finish);
    carry::out(&session, global, &Work { plan: &plan, haste: Haste::Usual, requests: judged.requests() })
}
