//! One version of the decisions of a control as a page: what was judged, why, and where the proof is.

use std::collections::BTreeSet;

use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::members::anchor;
use super::pages::templates;
use super::strips::Said;
use super::{ControlView, Made, Version};
use crate::model::assessment::{Because, Status, Subject};
use crate::model::catalog::Control;
use crate::model::id::{EntityType, ResourceId, SourceId};
use crate::report::words;

/// The most members on a page, beside those that other pages lead to; the file has all.
const LINES: usize = 200;
/// From a page to the index.
const UP: &str = "../../../../";

/// One line of a file of decisions, as `record` writes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    /// The status.
    pub status: Status,
    /// Why.
    pub because: Because,
    /// The values it rests on.
    #[serde(default)]
    pub observed: Map<String, Json>,
    /// The entity type.
    pub entity: EntityType,
    /// The resource, when it is about one.
    pub resource: Option<ResourceId>,
    /// The source of a population.
    pub source: Option<SourceId>,
    /// The scope of a population.
    pub scope: Option<String>,
}

impl Line {
    /// Every line of a file of decisions; a line that is none of it is left out.
    pub fn all(text: &str) -> impl Iterator<Item = Self> {
        text.lines().filter_map(|line| serde_json::from_str(line).ok())
    }

    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match &self.resource {
            Some(id) => Subject::Resource { entity: self.entity.clone(), id: id.clone() },
            None => Subject::Population {
                entity: self.entity.clone(),
                source: self.source.clone(),
                scope: self.scope.clone().unwrap_or_else(|| ".".to_owned()),
            },
        }
    }
}

/// What the template sees.
#[derive(Serialize)]
struct Page<'a> {
    css: &'static str,
    up: &'static str,
    id: &'a str,
    title: &'a str,
    statement: &'a str,
    from: String,
    to: Option<String>,
    tally: Vec<(&'static str, &'static str, usize)>,
    lines: Vec<Row>,
    more: usize,
    file_name: &'a str,
    path: String,
    sha256: &'a str,
    entry: Option<u64>,
    run: Option<&'a str>,
    began: String,
    run_file: Option<String>,
    config: Option<&'a str>,
}

/// One member on the page.
#[derive(Serialize)]
struct Row {
    anchor: String,
    subject: String,
    class: &'static str,
    word: &'static str,
    because: String,
    observed: Vec<String>,
}

impl Row {
    fn of(line: &Line) -> Self {
        let (said, subject) = (Said::from(line.status), words::subject(&line.subject()));
        let observed = line.observed.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let because = words::reason_of(&line.because);
        Self { anchor: anchor(&subject), subject, class: said.class(), word: said.word(), because, observed }
    }
}

/// The page of `version` of the decisions of `control`, whose file is `text`. Whoever is drawn in `view` is on it.
///
/// # Errors
/// When the template does not fit.
pub fn packet(
    made: &Made<'_>,
    (control, view): (&Control, &ControlView),
    version: &Version,
    text: &str,
) -> Result<String, minijinja::Error> {
    let mut lines: Vec<Line> = Line::all(text).collect();
    let mut tally = std::collections::BTreeMap::<Said, usize>::new();
    lines.iter().for_each(|line| *tally.entry(line.status.into()).or_default() += 1);
    let tally: Vec<_> = tally.into_iter().rev().map(|(said, count)| (said.class(), said.word(), count)).collect();
    lines.sort_by(|a, b| {
        (Said::from(b.status), words::subject(&a.subject())).cmp(&(Said::from(a.status), words::subject(&b.subject())))
    });
    let drawn: BTreeSet<&str> = view.members.iter().map(|member| member.name.as_str()).collect();
    let all = lines.iter().map(Row::of).enumerate();
    let rows: Vec<Row> = all.filter(|(at, row)| *at < LINES || drawn.contains(row.subject.as_str())).map(|(_, row)| row).collect();
    let more = lines.len() - rows.len();
    let run = made.period.runs.get(version.from);
    let next = made.versions.get(&control.id).and_then(|all| all.iter().find(|one| one.from > version.from));
    let until = next.and_then(|next| made.period.runs.get(next.from));
    let until = until.map(|run| run.at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    let (file_name, path) = (version.file.rsplit('/').next().unwrap_or_default(), format!("decisions/{}.jsonl", control.id));
    let environment = templates("packet.html", include_str!("../templates/packet.html.j2"))?;
    let began = run.map(|run| run.at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
    let page = Page {
        css: include_str!("../templates/bundle.css"),
        up: UP,
        id: control.id.as_str(),
        title: &control.title,
        statement: &control.statement,
        from: began.clone(),
        to: until,
        tally,
        lines: rows,
        more,
        file_name,
        path,
        sha256: &version.sha256,
        entry: version.entry,
        run: run.map(|run| run.id.as_str()),
        began,
        run_file: run.map(|run| format!("evidence/{}", run.path)),
        config: run.map(|run| run.config.as_str()),
    };
    environment.get_template("packet.html")?.render(Serde(page))
}
