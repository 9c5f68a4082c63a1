//! Shows the checkpoint of a run to the anchors of the locker, and the run itself to its sinks. Whatever becomes of that, the run is recorded; what failed is told, and
//! recorded by the next one.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Exit, Global, Trouble, carry, pipeline, sink, verify_anchors, wire};
use crate::host::beside::Waiting;
use crate::host::locker::{Locker, Signer};
use crate::host::verify;
use crate::model::catalog::LockerSettings;
use crate::model::id::RunId;
use crate::record::anchored::{Attempt, Kept, Tried, attempt_path, token_path};
use crate::record::canonical;
use crate::record::waiting::{Place, ShownTo};
use crate::world::{ErrorClass, Sealed, WorldError};

/// What stands on the branch beside the evidence and does not belong there is told one by one up to here.
const STRANGE: usize = 5;

/// What became of one checkpoint.
#[derive(Debug, Default, Serialize)]
pub(super) struct Anchored {
    /// At each anchor.
    tried: Vec<Tried>,
    /// Why that is not written down, if so.
    unwritten: Option<String>,
    /// What stood where that is written, and was not put there by slm.
    strange: Vec<String>,
}

/// Tokens of authorities, by where they are kept.
type Tokens = BTreeMap<String, Vec<u8>>;

/// Shows the checkpoint of `commit` to every anchor, and brings the sinks up to it when the run saw everything in scope,
/// `complete`; keeps what became of that on a branch of its own until the next run logs it. What was `strange` there is told as well.
pub(super) fn keep(session: &pipeline::Session, global: &Global, commit: &str, complete: bool, strange: Vec<String>) -> Anchored {
    let settings = &session.catalog.settings.locker;
    if settings.anchor.is_empty() && settings.sink.is_empty() {
        return Anchored::default();
    }
    let _progress = global.progress("showing the checkpoint to its anchors".to_owned(), 0);
    let sealed = verify::sealed(&global.root, commit).map_err(|error| error.to_string());
    let sealed = sealed.and_then(|sealed| sealed.ok_or_else(|| "the commit has no log".to_owned()));
    let shown = sealed.and_then(|sealed| {
        let shown = pipeline::block_on(async {
            let (mut tried, tokens) = show(session, global, &sealed).await;
            tried.extend(sink::sync(session, global, commit, complete).await);
            (tried, tokens)
        });
        let shown = shown.map_err(|trouble| trouble.error.to_string())?;
        Ok((sealed, shown))
    });
    match shown {
        Ok((sealed, (tried, tokens))) => {
            let unwritten = write(session, global, &sealed, &tried, tokens).err().map(|trouble| trouble.error.to_string());
            Anchored { tried, unwritten, strange }
        }
        Err(why) => {
            let failed = |Place { id, kind }| Tried { id, kind, fate: Kept::Failed(why.clone()) };
            Anchored { tried: places(settings).map(failed).collect(), unwritten: None, strange }
        }
    }
}

/// The anchors and the sinks.
fn places(settings: &LockerSettings) -> impl Iterator<Item = Place> {
    let anchors = settings.anchor.iter().map(|anchor| (&anchor.id, anchor.kind()));
    let all = anchors.chain(settings.sink.iter().map(|sink| (&sink.id, sink.kind())));
    all.map(|(id, kind)| Place { id: id.clone(), kind: kind.to_owned() })
}

/// Whom a run shows its checkpoint to, for the file of that run: so that it is known afterwards that something became of it, and whether that is
/// `signed`. `None` when nobody is.
pub(super) fn shown_to(settings: &LockerSettings, signed: bool) -> Option<ShownTo> {
    let to: Vec<Place> = places(settings).collect();
    (!to.is_empty()).then_some(ShownTo { to, signed })
}

async fn show(session: &pipeline::Session, global: &Global, sealed: &Sealed) -> (Vec<Tried>, Tokens) {
    let shown = session.catalog.settings.locker.anchor.iter().map(|settings| async move {
        let kept = match wire::anchor(&session.catalog, &global.root, &session.sessions, settings, true).await {
            Ok(anchor) => anchor.keep(sealed).await,
            Err(error) => Err(error),
        };
        (settings, kept)
    });
    let (mut tried, mut tokens) = (Vec::new(), Tokens::new());
    for (settings, kept) in futures::future::join_all(shown).await {
        if let Ok(Some(token)) = &kept {
            tokens.insert(token_path(&settings.id, sealed.size, &sealed.note, sealed.received), token.clone());
        }
        tried.push(Tried { id: settings.id.clone(), kind: settings.kind().to_owned(), fate: fate(kept) });
    }
    (tried, tokens)
}

fn fate(kept: Result<Option<Vec<u8>>, WorldError>) -> Kept {
    match kept {
        Ok(_) => Kept::Kept,
        Err(error) if error.class == ErrorClass::Conflict => Kept::Differs(error.to_string()),
        Err(error) => Kept::Failed(error.to_string()),
    }
}

fn write(session: &pipeline::Session, global: &Global, sealed: &Sealed, tried: &[Tried], tokens: Tokens) -> Result<(), Trouble> {
    let run = session.run().id.to_string();
    let (commit, entries) = (sealed.commit.clone(), sealed.size);
    let attempt = Attempt { format: 1, run: run.clone(), commit, entries, anchors: tried.to_vec(), signature: None };
    let mut files = tokens;
    let signed = signed(session, global, sealed, attempt);
    if let Ok(attempt) = &signed {
        files.insert(attempt_path(&run, sealed.received), canonical::json(attempt)?);
    }
    // A token speaks for itself.
    if !files.is_empty() {
        beside(&session.catalog.settings.locker, global, carry::signer(&session.catalog.settings.locker, global)?)?.append(
            |_| files.clone(),
            &format!("anchors of run {run}"),
            sealed.received,
        )?;
    }
    signed.map(drop)
}

/// `attempt` signed by the key that signed the checkpoint: the branch where it waits is in no log.
fn signed(session: &pipeline::Session, global: &Global, sealed: &Sealed, attempt: Attempt) -> Result<Attempt, Trouble> {
    let ledger = carry::ledger(session, global)?;
    let text = attempt.text(ledger.origin())?;
    Ok(Attempt { signature: ledger.signature(&sealed.note, &text)?, ..attempt })
}

/// The branch where what anchors said waits: cloned like any other, and pushed like the evidence.
fn beside(settings: &LockerSettings, global: &Global, signer: Option<Signer>) -> Result<Locker, Trouble> {
    let elsewhere = LockerSettings { branch: settings.anchors_branch(), ..settings.clone() };
    Ok(Locker::open(&global.root, &elsewhere, signer)?)
}

/// What waits there to be logged, and what there is of somebody else; the remote is `asked` for it.
pub(super) fn looked(global: &Global, settings: &LockerSettings, asked: bool) -> Result<Waiting, Trouble> {
    let evidence = Locker::open(&global.root, settings, None)?;
    let trusted = |id: &str| {
        let authority = settings.anchor.iter().find(|anchor| anchor.id == id)?.rfc3161.as_ref()?;
        verify_anchors::authorities(&global.root.join(&authority.ca)).ok()
    };
    Ok(beside(settings, global, None)?.waiting(&evidence, asked, &trusted)?)
}

/// What anchors said of runs before, to be logged by this one. That it cannot be read loses no run: it goes on waiting.
pub(super) fn waiting(session: &pipeline::Session, global: &Global) -> Waiting {
    let settings = &session.catalog.settings.locker;
    if settings.anchor.is_empty() && settings.sink.is_empty() {
        return Waiting::default();
    }
    looked(global, settings, true).unwrap_or_else(|trouble| {
        tracing::warn!(error = %trouble.error, "what anchors said waits for another run");
        Waiting::default()
    })
}

/// How it ended: what an anchor does not keep is a gap; another log there breaks the evidence, and so does what somebody else put beside it.
pub(super) fn exits(anchored: &Anchored) -> Vec<Exit> {
    let exit = |tried: &Tried| match tried.fate {
        Kept::Kept => Exit::Clean,
        Kept::Failed(_) => Exit::Incomplete,
        Kept::Differs(_) => Exit::Integrity,
    };
    let unwritten = anchored.unwritten.iter().map(|_| Exit::Incomplete);
    let strange = anchored.strange.iter().map(|_| Exit::Integrity);
    anchored.tried.iter().map(exit).chain(unwritten).chain(strange).collect()
}

/// Logs at anchors that are other than ours, a clause each, as `run` found them, and what somebody else put where that is written: what it found
/// waits for the next one to log it.
pub(super) fn forks(global: &Global, settings: &LockerSettings, run: &RunId) -> Result<Vec<String>, Trouble> {
    if settings.anchor.is_empty() && settings.sink.is_empty() {
        return Ok(Vec::new());
    }
    let Waiting { ours, strange } = looked(global, settings, true)?;
    let fork = |Tried { id, fate, .. }: Tried| match fate {
        Kept::Differs(why) => Some(format!("`{id}` has another log: {why}")),
        Kept::Kept | Kept::Failed(_) => None,
    };
    // Tokens of authorities are among them.
    let attempts = ours.values().filter_map(|bytes| serde_json::from_slice::<Attempt>(bytes).ok());
    let forks = attempts.filter(|attempt| attempt.run == run.as_str()).flat_map(|attempt| attempt.anchors).filter_map(fork);
    Ok(forks.chain(strange.into_iter().take(STRANGE)).collect())
}

/// Whether every anchor said which log it has, and that is written down.
pub(super) fn all_answered(anchored: &Anchored) -> bool {
    anchored.unwritten.is_none() && !anchored.tried.iter().any(|tried| matches!(tried.fate, Kept::Failed(_)))
}

/// The same for people; empty when there are no anchors.
pub(super) fn told(anchored: &Anchored) -> String {
    let Anchored { tried, unwritten, strange } = anchored;
    let kept: Vec<String> = tried.iter().filter(|one| one.fate == Kept::Kept).map(|one| format!("`{}`", one.id)).collect();
    let mut text = if kept.is_empty() { String::new() } else { format!("It is kept by {}.\n", kept.join(", ")) };
    for Tried { id, fate, .. } in tried {
        match fate {
            Kept::Kept => {}
            Kept::Failed(why) => text.push_str(&format!("! `{id}` does not keep it: {why}\n")),
            Kept::Differs(why) => text.push_str(&format!("error[slm::evidence-forked]: `{id}` has another log: {why}\n")),
        }
    }
    if let Some(why) = unwritten {
        text.push_str(&format!("! what became of that is not written down everywhere yet: {why}\n"));
    }
    for what in strange.iter().take(STRANGE) {
        text.push_str(&format!(
            "error[slm::evidence-strange-file]: {what}; it is not logged, and stays there until somebody takes it away\n"
        ));
    }
    if let Some(more) = strange.len().checked_sub(STRANGE).filter(|more| *more > 0) {
        text.push_str(&format!("error[slm::evidence-strange-file]: and {more} more\n"));
    }
    text
}
