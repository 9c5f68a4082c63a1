//! What sinks and anchors did not keep of recorded runs, as a later run recorded it: a copy that is not there is a gap of the evidence.

use std::collections::BTreeMap;

use super::period::Collected;
use super::{Global, Trouble, anchor};
use crate::host::history::{History, Recorded};
use crate::model::catalog::LockerSettings;
use crate::model::past::Noted;
use crate::model::time::Timestamp;
use crate::record::anchored::{Attempt, Kept, Tried, attempt_path};
use crate::record::verify::run_id;
use crate::record::waiting::{Place, shown_to};
use crate::report::words::count;

/// Runs that are asked, the newest first, what became of the last: the newest of all may be one that nothing is known of here.
const NEWEST: usize = 10;

/// What is said of a run of which nobody knows what became of it: in the place of what a later run logs, or waits to be logged.
const UNKNOWN: &str = "what it said is in no log and does not wait here to be";

/// What became of one run, and when that was recorded.
struct Told {
    at: Timestamp,
    run: String,
    tried: Vec<Tried>,
    /// Whether that was written down.
    known: bool,
}

/// What one of them did not keep.
struct Story {
    kind: &'static str,
    failed: u64,
    /// Of which nobody knows that.
    unknown: u64,
    between: (Timestamp, Timestamp),
    why: String,
    /// The first run after that which it kept, with all before.
    caught_up: Option<String>,
}

/// What any of them did not keep of a run of the period, a note each.
pub(super) fn of_period(global: &Global, settings: &LockerSettings, collected: &Collected) -> Result<Vec<Noted>, Trouble> {
    let all = attempts(global, settings, &collected.history, collected.recorded.iter())?;
    Ok(stories(&all).iter().map(|(id, story)| noted(id, story)).collect())
}

/// What any of them does not keep as of the newest runs, a note each; nothing where there is no locker yet. That the evidence cannot be read is a
/// note as well: whoever asks how things stand is told the rest.
pub(super) fn by_now(global: &Global, settings: &LockerSettings) -> Result<Vec<Noted>, Trouble> {
    if settings.anchor.is_empty() && settings.sink.is_empty() {
        return Ok(Vec::new());
    }
    let history = match History::where_there(&global.root, &settings.branch) {
        Ok(Some(history)) => history,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => {
            let what = format!("nobody knows who keeps what runs recorded: {error}");
            return Ok(vec![Noted { code: "slm::evidence-unread", what }]);
        }
    };
    let newest: Vec<_> = history.commits().iter().rev().filter(|one| one.run.is_some()).take(NEWEST).collect();
    let all = attempts(global, settings, &history, newest.into_iter().rev())?;
    let ours = |id: &str| {
        settings.anchor.iter().map(|one| &one.id).chain(settings.sink.iter().map(|one| &one.id)).any(|known| known == id)
    };
    let open = stories(&all).into_iter().filter(|(id, story)| story.caught_up.is_none() && ours(id));
    Ok(open.map(|(id, story)| noted(&id, &story)).collect())
}

/// What became of `runs`, in their order: as a later run logged it, or as it waits to be. Of one that says that it was shown to somebody, and of
/// which neither is there, nobody knows.
fn attempts<'a>(
    global: &Global,
    settings: &LockerSettings,
    history: &History,
    runs: impl Iterator<Item = &'a Recorded>,
) -> Result<Vec<Told>, Trouble> {
    let Some(tip) = history.commits().last() else { return Ok(Vec::new()) };
    let waiting = anchor::looked(global, settings, false)?.ours;
    let mut all = Vec::new();
    for run in runs {
        let Some((file, id)) = run.run.as_deref().and_then(|file| Some((file, run_id(file)?))) else { continue };
        let path = attempt_path(id, run.received);
        let logged = history.file(tip.commit, &path)?;
        let attempt = logged.as_ref().or_else(|| waiting.get(&path));
        let told = |tried, known| Told { at: run.at, run: id.to_owned(), tried, known };
        if let Some(attempt) = attempt.and_then(|bytes| serde_json::from_slice::<Attempt>(bytes).ok()) {
            all.push(told(attempt.anchors, true));
            continue;
        }
        let shown = history.file(run.commit, file)?.and_then(|file| shown_to(&file));
        let unknown = |Place { id, kind }| Tried { id, kind, fate: Kept::Failed(UNKNOWN.to_owned()) };
        all.extend(shown.map(|shown| told(shown.to.into_iter().map(unknown).collect(), false)));
    }
    Ok(all)
}

/// What each did not keep, by its name.
fn stories(all: &[Told]) -> BTreeMap<String, Story> {
    let mut stories = BTreeMap::<String, Story>::new();
    for Told { at, run, tried, known } in all {
        for tried in tried {
            let why = match &tried.fate {
                Kept::Kept => {
                    if let Some(story) = stories.get_mut(&tried.id) {
                        story.caught_up.get_or_insert_with(|| run.clone());
                    }
                    continue;
                }
                Kept::Failed(why) => why.clone(),
                Kept::Differs(why) => format!("it has another log: {why}"),
            };
            let kind = if tried.kind.ends_with("-sink") { "sink" } else { "anchor" };
            let new = || Story { kind, failed: 0, unknown: 0, between: (*at, *at), why: String::new(), caught_up: None };
            let story = stories.entry(tried.id.clone()).or_insert_with(new);
            story.unknown += u64::from(!known);
            (story.failed, story.between.1, story.why, story.caught_up) = (story.failed + 1, *at, why, None);
        }
    }
    stories
}

fn noted(id: &str, story: &Story) -> Noted {
    let Story { kind, failed, unknown, between: (first, last), why, caught_up } = story;
    let when = if first == last { format!("of {first}") } else { format!("from {first} to {last}") };
    let runs = count(*failed, "run");
    let (what, lacks) = match *unknown {
        0 => (format!("{kind} `{id}` did not keep {runs} {when}: {why}"), "it still lacks what they recorded"),
        all if all == *failed => {
            (format!("nobody knows whether {kind} `{id}` kept {runs} {when}: {why}"), "no later run says that it has all before")
        }
        some => {
            let what = format!("{kind} `{id}` did not keep {runs} {when}, or of {some} nobody knows: {why}");
            (what, "no later run says that it has all before")
        }
    };
    let since = caught_up.as_ref().map_or_else(|| lacks.to_owned(), |run| format!("run {run} caught up"));
    Noted { code: "slm::evidence-unkept", what: format!("{what}; {since}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of runs that ended so at the sink, a letter each: kept, failed, another log.
    fn told(fates: &str) -> Vec<String> {
        let one = |(number, letter): (usize, char)| {
            let fate = match letter {
                'k' => Kept::Kept,
                'f' => Kept::Failed("denied".to_owned()),
                '?' => Kept::Failed(UNKNOWN.to_owned()),
                _ => Kept::Differs("commit 3".to_owned()),
            };
            let tried = vec![Tried { id: "copy".to_owned(), kind: "s3-sink".to_owned(), fate }];
            let at = Timestamp::from_second(86_400 * number as i64).unwrap();
            Told { at, run: format!("r{number}"), tried, known: letter != '?' }
        };
        let all: Vec<Told> = fates.chars().enumerate().map(one).collect();
        stories(&all).iter().map(|(id, story)| noted(id, story).what).collect()
    }

    #[test]
    fn what_a_sink_did_not_keep_is_told_until_a_run_caught_up_and_after() {
        assert_eq!(told("kkk"), Vec::<String>::new());
        let still = "sink `copy` did not keep 1 run of 1970-01-03T00:00:00Z: denied; it still lacks what they recorded";
        assert_eq!(told("kkf"), [still]);
        let caught_up =
            "sink `copy` did not keep 2 runs from 1970-01-02T00:00:00Z to 1970-01-03T00:00:00Z: denied; run r3 caught up";
        assert_eq!(told("kffkk"), [caught_up]);
        assert!(
            told("kffkf")[0]
                .ends_with("3 runs from 1970-01-02T00:00:00Z to 1970-01-05T00:00:00Z: denied; it still lacks what they recorded")
        );
        assert!(told("d")[0].contains(": it has another log: commit 3; "));
    }

    #[test]
    fn of_what_became_of_a_run_and_is_written_down_nowhere_it_is_said_that_nobody_knows() {
        let lost = format!("nobody knows whether sink `copy` kept 1 run of 1970-01-02T00:00:00Z: {UNKNOWN}; ");
        assert_eq!(told("k?"), [format!("{lost}no later run says that it has all before")]);
        assert_eq!(told("k?k"), [format!("{lost}run r2 caught up")]);
        let some = told("f?");
        assert!(
            some[0].starts_with("sink `copy` did not keep 2 runs from ") && some[0].contains(", or of 1 nobody knows: "),
            "{some:?}"
        );
    }
}
