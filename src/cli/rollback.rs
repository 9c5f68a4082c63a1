//! `slm rollback`: bring back the value before the one in force, as a new version.

use super::by_hand::{self, Asked};
use super::carry::{Haste, Work};
use super::{Exit, Global, Said, Trouble, carry, pipeline, wire};
use crate::apply::observation::Last;
use crate::host::clock::SystemClock;
use crate::model::catalog::Credential;
use crate::model::id::VersionId;
use crate::model::names;
use crate::model::plan::{Action, ActionKind, Plan, Reason, rotation_id};
use crate::plan::guard::{self, Share};
use crate::report::words;
use crate::world::{Clock as _, Overlap, Registers, SecretStore, SecretView, WorldError};

/// What is written when the value before comes back.
const ROLLBACK: &str = "rollback";

/// Arguments of `slm rollback`.
#[derive(clap::Args)]
pub struct Args {
    /// The credential
    credential: String,
    /// Bring the value before back although it is in wrong hands
    #[arg(long)]
    leaked: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, "rollback", None)?;
    let wanted = super::plan::known(&session, std::slice::from_ref(&args.credential))?;
    by_hand::refuse(&session, &wanted, Asked::Rollback)?;
    let credential = wanted.first().and_then(|id| session.catalog.credentials.get(id));
    let credential = credential.ok_or_else(|| format!("credential `{}` is not declared", args.credential))?;
    // `decide` reads the secret itself, and no list of its store that could be incomplete.
    let permitted = guard::guard(&session.rules, credential, "rotate", Share::default(), SystemClock.now());
    let permitted = permitted.map_err(|because| held(credential, &words::held(&because)))?;
    let generation = pipeline::block_on(decide(&session, global, credential, args.leaked))??;
    let judged = pipeline::block_on(session.judge(global))??;
    let kind = ActionKind::Finish {
        credential: credential.id.clone(),
        secret: credential.secret.clone(),
        rotation: rotation_id(&credential.id, Some(&generation)),
        generation,
        consumers: credential.consumers.iter().map(|consumer| consumer.id.clone()).collect(),
    };
    let controls = credential.satisfies.clone();
    let action =
        Action { kind, reason: Reason::RolledBack, controls, criteria: Vec::new(), permitted_by: permitted, outlook: None };
    let all = session.plan(&judged, &[])?;
    let (held, together, preflight, usage) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let plan = Plan { actions: vec![action], held, together, preflight, usage, ..all };
    carry::out(&session, global, &Work { plan: &plan, haste: Haste::GoesOn, requests: judged.requests() })
}

/// Writes down, once, that the value before comes back; fails when it is being deleted, and when it is in wrong hands unless `leaked` says
/// that it comes back all the same. Gives the version that is left.
async fn decide(session: &pipeline::Session, global: &Global, credential: &Credential, leaked: bool) -> Result<VersionId, Trouble> {
    let access = wire::Access::Apply("slm-rollback");
    let reach = wire::Reach { catalog: &session.catalog, root: &global.root, access, sessions: &session.sessions };
    let store = wire::store(&reach, credential).await?;
    let view = store.describe(&credential.secret).await?;
    let generation = current_of_ours(&view, credential).ok_or_else(|| {
        held(credential, "the value in force was not made by a rotation of slm, so that nothing is known to be before it")
    })?;
    if let Some(why) = lost(&reach, credential, store.as_ref(), &view).await {
        return Err(held(credential, &why));
    }
    let registers = wire::registers(&reach).await;
    if let Some(why) = in_wrong_hands(registers.as_ref(), credential, &view).await?.filter(|_| !leaked) {
        return Err(held(credential, &why));
    }
    let rotation = rotation_id(&credential.id, Some(&generation));
    let written = registers.write_once(&rotation, &names::fate(&credential.secret, &generation), ROLLBACK).await?;
    if written != ROLLBACK {
        // It is being ended. Until it was decided that it is deleted, it comes back all the same, if its kind can let it in again.
        let kind = credential.rotator.capabilities();
        let now = view.now.filter(|_| kind.disable && kind.delete);
        let now = now.ok_or_else(|| held(credential, "the value before is being retired; rotate forward instead"))?;
        let last = names::last(&credential.secret, &generation);
        if registers.write_once(&rotation, &last, &Last::revive(now)).await? == Last::DELETE {
            return Err(held(credential, "the value before is deleted; rotate forward instead"));
        }
    }
    Ok(generation)
}

/// Why the value before does not come back, as far as the target tells: its credential is gone, or its login was given an attempt at
/// replacing the version in force. Two runs may meet all the same: then the attempt is gone on with, or nothing comes back and it is said.
async fn lost(reach: &wire::Reach<'_>, credential: &Credential, store: &dyn SecretStore, view: &SecretView) -> Option<String> {
    if !matches!(credential.rotator.capabilities().overlap, Overlap::Dual { .. }) {
        return None;
    }
    let (generation, before) = (view.current()?, view.previous()?);
    let kind = wire::kind(reach.catalog, credential, reach.root, reach.sessions, "slm-rollback").await.ok()?;
    let name = kind.rotator.identify(&store.read(&credential.secret, before).await.ok()?)?;
    let Some(key) = kind.target?.list().await.ok()?.keys.into_iter().find(|key| key.id == name) else {
        return Some(format!("the credential of version {before} is gone; rotate forward instead: `slm rotate {}`", credential.id));
    };
    let attempt = key.version.filter(|seen| names::attempt(&credential.secret, Some(generation), seen).is_some())?;
    Some(format!(
        "its login was given attempt {attempt} by now; `slm resume` brings that in force, in place of version {generation}"
    ))
}

/// Since when the value before is known to be in wrong hands, and what to do instead, if so.
async fn in_wrong_hands(
    registers: &dyn Registers,
    credential: &Credential,
    view: &SecretView,
) -> Result<Option<String>, WorldError> {
    let Some(before) = view.previous() else { return Ok(None) };
    let name = names::leak(&credential.secret, before);
    let written = registers.read(&rotation_id(&credential.id, Some(before)), std::slice::from_ref(&name)).await?;
    let id = &credential.id;
    Ok(written.get(&name).map(|since| {
        let what = format!("version {before} is in wrong hands, as was said at {since}; rotate forward instead: `slm rotate {id}`");
        format!("{what}; `slm rollback {id} --leaked` brings it back all the same")
    }))
}

/// The version in force, when slm made it from the one before.
fn current_of_ours(view: &SecretView, credential: &Credential) -> Option<VersionId> {
    let (generation, parent) = (view.current()?, view.previous()?);
    names::continues(&credential.secret, parent, generation, view.versions.keys()).then(|| generation.clone())
}

fn held(credential: &Credential, why: &str) -> Trouble {
    Trouble { exit: Exit::Held, error: format!("`{}` is not rolled back: {why}", credential.id).into() }
}
