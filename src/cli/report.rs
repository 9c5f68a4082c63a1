//! `slm report`: what the evidence says of a stretch of days, as an auditor asks for it, and of what changed since the last report.

use std::collections::{BTreeMap, BTreeSet};

use super::gather::{CADENCE, Days, bounds};
use super::past::{self, Past, config_at};
use super::period::{Asked, Collected, collect, late};
use super::removed::removed;
use super::serving::{framework, serving, signatures};
use super::{Exit, Global, Said, Trouble, approvals, unkept, verify};
use crate::host::clock::SystemClock;
use crate::host::{git, repo};
use crate::model::assessment::Tally;
use crate::model::catalog::Catalog;
use crate::model::id::ControlId;
use crate::model::past::{Otherwise, Serving, TextChange};
use crate::model::period::{At, Missed, NoRun};
use crate::report::period::{self, Report};
use crate::world::Clock as _;

/// Arguments of `slm report`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Every day of a period: controls, deviations, missed runs, exceptions, populations, texts
    Period(PeriodArgs),
    /// What changed since the last report, and whether anybody must act
    Drift(super::drift::Args),
}

#[derive(clap::Args)]
struct PeriodArgs {
    #[command(flatten)]
    days: Days,
    /// Only controls that serve this framework
    #[arg(long, value_name = "FRAMEWORK")]
    framework: Option<String>,
    /// Print markdown
    #[arg(long)]
    markdown: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    match &args.what {
        What::Period(args) => of_period(args, global),
        What::Drift(args) => super::drift::run_verb(args, global),
    }
}

fn of_period(args: &PeriodArgs, global: &Global) -> Result<Said, Trouble> {
    let settings = verify::settings(global)?;
    let (from, to) = bounds(global, &settings, &args.days)?;
    let cadence = settings.log.cadence.unwrap_or(CADENCE);
    let asked = Asked { from, to, cadence, now: SystemClock.now() };
    let _progress = global.progress("reading the evidence".to_owned(), 0);
    let mut collected = collect(&global.root, &settings.branch, &asked)?;
    if args.days.to.is_none() {
        collected.period.missed.extend(since(&collected, &asked));
    }
    let mut unproven = Vec::from_iter(late(&collected.period));
    let last = collected.period.runs.last().or(collected.before.as_ref().map(|(_, note)| note));
    let config = last.map(|last| (last.config.clone(), last.judged.unwrap_or(last.at)));
    let catalog = config.and_then(|(config, at)| match config_at(global, &config, at) {
        Ok((catalog, _)) => Some(catalog),
        Err(noted) => {
            unproven.push(noted);
            None
        }
    });
    let framework = args.framework.as_deref().map(|id| framework(catalog.as_ref(), id)).transpose()?;
    let texts = texts(global, &mut collected)?;
    unproven.extend(texts.iter().filter_map(|text| text.unseen.clone()));
    let signatures = catalog.as_ref().map(|catalog| signatures(global, &mut collected, catalog, asked.now)).transpose()?;
    let signatures = signatures.unwrap_or_default();
    unproven.extend(signatures.unproven.iter().cloned());
    unproven.extend(unkept::of_period(global, &settings, &collected)?);
    let removed = catalog.as_ref().map(|catalog| removed(global, &collected, catalog)).unwrap_or_default();
    unproven.extend(removed.unknown.iter().cloned());
    let served = |catalog: &Catalog| serving(catalog, &removed, framework.as_ref(), &signatures.manual);
    let serving = catalog.as_ref().map(served).unwrap_or_default();
    if framework.is_some() {
        let mut wanted: BTreeSet<&ControlId> = serving.iter().flat_map(Serving::controls).collect();
        // Whom it served is not known of what has no text.
        wanted.extend(
            removed.controls.iter().filter(|control| control.criteria.values().all(Vec::is_empty)).map(|control| &control.id),
        );
        collected.period.controls.retain(|series| wanted.contains(&series.control));
    }
    let known = catalog.as_ref().map(|catalog| catalog.exceptions.clone()).unwrap_or_default();
    let exceptions = approvals::in_force(&mut collected, &known)?.into_values().collect();
    unproven.dedup();
    let report = Report {
        period: &collected.period,
        branch: &settings.branch,
        cadence,
        framework: framework.as_ref(),
        serving: &serving,
        texts: &texts,
        removed: &removed.ids(),
        signed: &signatures.days,
        exceptions,
        head: collected.head.as_ref(),
        segregation: &collected.segregation,
        findings: &collected.findings,
        unproven: &unproven,
    };
    let human = if args.markdown { period::markdown(&report)? } else { period::human(&report) };
    Ok(Said::new(exits(&report), human, period::json(&report)))
}

/// That no run came since the last of a period that ends with it: whoever names no last day asks of what is so by now.
fn since(collected: &Collected, asked: &Asked) -> Option<Missed> {
    let last = collected.period.runs.iter().map(|run| run.at).max()?;
    let told = collected.period.missed.iter().any(|missed| missed.reason == NoRun::AfterTheLast);
    let is = !told && asked.now.as_second() - last.as_second() > asked.cadence.as_seconds();
    is.then_some(Missed { after: last, before: asked.now, reason: NoRun::AfterTheLast })
}

fn exits(report: &Report<'_>) -> Vec<Exit> {
    let period = report.period;
    let mut exits = vec![Exit::Clean];
    exits.extend((!report.findings.is_empty()).then_some(Exit::Integrity));
    let without = period.runs.is_empty() || period.days.iter().any(|day| day.runs.is_empty()) || !period.missed.is_empty();
    exits.extend((without || !report.unproven.is_empty() || period::lacks_evidence(report)).then_some(Exit::Incomplete));
    let flagged = period.populations.iter().flat_map(|one| &one.changes).any(|change| change.explained.is_none());
    exits.extend((flagged || !period.deviations().is_empty()).then_some(Exit::Changes));
    exits
}

/// Where the config changed, and what the text before would have said of what the first run by the new one saw.
fn texts(global: &Global, collected: &mut Collected) -> Result<Vec<TextChange>, Trouble> {
    let mut before = collected.before.as_ref().map(|(_, note)| note.config.clone());
    let mut texts = Vec::new();
    for at in 0..collected.period.runs.len() {
        let after = collected.period.runs[at].config.clone();
        if let Some(before) = before.filter(|before| *before != after) {
            texts.push(text(global, collected, at, before, after.clone())?);
        }
        before = Some(after);
    }
    Ok(texts)
}

fn text(global: &Global, collected: &Collected, at: At, before: String, after: String) -> Result<TextChange, Trouble> {
    let recorded = collected.recorded[at].clone();
    let (file, note) = past::run(&collected.history, &recorded)?;
    let tree = |rev: &str| git::read_tree(&global.root, rev).ok();
    let files = tree(&before).zip(tree(&after)).map(|(old, new)| {
        let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        paths.into_iter().filter(|path| old.get(*path) != new.get(*path)).cloned().collect()
    });
    let past = Past { history: &collected.history, recorded, file, note };
    let (otherwise, unseen) = match past.judge_otherwise(global, &before)? {
        Ok(again) => {
            let mut tallies: BTreeMap<ControlId, Tally> = again.decisions.controls().map(|id| (id.clone(), Tally::new())).collect();
            for (control, status, _) in again.decisions.reasons() {
                *tallies.entry(control.clone()).or_default().entry(status).or_default() += 1;
            }
            (otherwise(&tallies, &past.file.controls), None)
        }
        Err(noted) => (Vec::new(), Some(noted)),
    };
    let authored = repo::authored(&global.root, &after).ok();
    Ok(TextChange { run: at, before, after, authored, files, otherwise, unseen })
}

fn otherwise(before: &BTreeMap<ControlId, Tally>, after: &BTreeMap<String, Tally>) -> Vec<Otherwise> {
    let ids: BTreeSet<ControlId> = before.keys().cloned().chain(after.keys().map(ControlId::from)).collect();
    let one = |control: ControlId| {
        let (before, after) = (before.get(&control).cloned(), after.get(control.as_str()).cloned());
        (before != after).then_some(Otherwise { control, before, after })
    };
    ids.into_iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::assessment::Status;

    #[test]
    fn what_another_text_would_have_said_is_told_where_it_differs() {
        let tally = |count| Tally::from([(Status::Compliant, count)]);
        let before = BTreeMap::from([("A-1".into(), tally(1)), ("A-2".into(), tally(2)), ("A-3".into(), tally(3))]);
        let after = BTreeMap::from([("A-1".to_owned(), tally(1)), ("A-2".to_owned(), tally(3)), ("A-4".to_owned(), tally(4))]);
        let told: Vec<_> = otherwise(&before, &after).into_iter().map(|one| (one.control, one.before, one.after)).collect();
        let expected = [
            ("A-2".into(), Some(tally(2)), Some(tally(3))),
            ("A-3".into(), Some(tally(3)), None),
            ("A-4".into(), None, Some(tally(4))),
        ];
        assert_eq!(told, expected);
    }
}
