//! What sinks and anchors did not keep of recorded runs, as a later run recorded it: a copy that is not there is a gap of the evidence.

use std::collections::BTreeMap;

use super::period::Collected;
use super::{Global, Trouble};
use crate::host::history::{History, Recorded};
use crate::host::locker::Locker;
use crate::model::catalog::LockerSettings;
use crate::model::past::Noted;
use crate::model::time::Timestamp;
use crate::record::anchored::{Attempt, Kept, attempt_path};
use crate::record::verify::run_id;
use crate::report::words::count;

/// Runs that are asked, the newest first, what became of the last: the newest of all may be one that nothing is known of here.
const NEWEST: usize = 10;

/// What became of one run, and when that was recorded.
struct Told {
    at: Timestamp,
    attempt: Attempt,
}

/// What one of them did not keep.
struct Story {
    kind: &'static str,
    failed: u64,
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

/// What any of them does not keep as of the newest runs, a note each; nothing where there is no locker yet.
pub(super) fn by_now(global: &Global, settings: &LockerSettings) -> Result<Vec<Noted>, Trouble> {
    if settings.anchor.is_empty() && settings.sink.is_empty() {
        return Ok(Vec::new());
    }
    let Ok(history) = History::open(&global.root, &settings.branch) else { return Ok(Vec::new()) };
    let newest: Vec<_> = history.commits().iter().rev().filter(|one| one.run.is_some()).take(NEWEST).collect();
    let all = attempts(global, settings, &history, newest.into_iter().rev())?;
    let ours = |id: &str| {
        settings.anchor.iter().map(|one| &one.id).chain(settings.sink.iter().map(|one| &one.id)).any(|known| known == id)
    };
    let open = stories(&all).into_iter().filter(|(id, story)| story.caught_up.is_none() && ours(id));
    Ok(open.map(|(id, story)| noted(&id, &story)).collect())
}

/// What became of `runs`, in their order: as a later run logged it, or as it waits to be.
fn attempts<'a>(
    global: &Global,
    settings: &LockerSettings,
    history: &History,
    runs: impl Iterator<Item = &'a Recorded>,
) -> Result<Vec<Told>, Trouble> {
    let Some(tip) = history.commits().last() else { return Ok(Vec::new()) };
    let elsewhere = LockerSettings { branch: settings.anchors_branch(), ..settings.clone() };
    let waiting = Locker::open(&global.root, &elsewhere, None)?.beyond_here(&settings.branch)?;
    let mut all = Vec::new();
    for run in runs {
        let Some(id) = run.run.as_deref().and_then(run_id) else { continue };
        let path = attempt_path(id, run.received);
        let logged = history.file(tip.commit, &path)?;
        let attempt = logged.as_ref().or_else(|| waiting.get(&path)).and_then(|bytes| serde_json::from_slice(bytes).ok());
        all.extend(attempt.map(|attempt| Told { at: run.at, attempt }));
    }
    Ok(all)
}

/// What each did not keep, by its name.
fn stories(all: &[Told]) -> BTreeMap<String, Story> {
    let mut stories = BTreeMap::<String, Story>::new();
    for Told { at, attempt } in all {
        for tried in &attempt.anchors {
            let why = match &tried.fate {
                Kept::Kept => {
                    if let Some(story) = stories.get_mut(&tried.id) {
                        story.caught_up.get_or_insert_with(|| attempt.run.clone());
                    }
                    continue;
                }
                Kept::Failed(why) => why.clone(),
                Kept::Differs(why) => format!("it has another log: {why}"),
            };
            let kind = if tried.kind.ends_with("-sink") { "sink" } else { "anchor" };
            let new = || Story { kind, failed: 0, between: (*at, *at), why: String::new(), caught_up: None };
            let story = stories.entry(tried.id.clone()).or_insert_with(new);
            (story.failed, story.between.1, story.why, story.caught_up) = (story.failed + 1, *at, why, None);
        }
    }
    stories
}

fn noted(id: &str, story: &Story) -> Noted {
    let Story { kind, failed, between: (first, last), why, caught_up } = story;
    let when = if first == last { format!("of {first}") } else { format!("from {first} to {last}") };
    let since =
        caught_up.as_ref().map_or_else(|| "it still lacks what they recorded".to_owned(), |run| format!("run {run} caught up"));
    let what = format!("{kind} `{id}` did not keep {} {when}: {why}; {since}", count(*failed, "run"));
    Noted { code: "slm::evidence-unkept", what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::anchored::Tried;

    /// What is told of runs that ended so at the sink, a letter each: kept, failed, another log.
    fn told(fates: &str) -> Vec<String> {
        let one = |(number, fate): (usize, char)| {
            let fate = match fate {
                'k' => Kept::Kept,
                'f' => Kept::Failed("denied".to_owned()),
                _ => Kept::Differs("commit 3".to_owned()),
            };
            let anchors = vec![Tried { id: "copy".to_owned(), kind: "s3-sink".to_owned(), fate }];
            let attempt = Attempt { format: 1, run: format!("r{number}"), commit: String::new(), entries: 1, anchors };
            Told { at: Timestamp::from_second(86_400 * number as i64).unwrap(), attempt }
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
}
