//! The index that opens offline, a page for each control, and the page that says how to check it all by hand.

use std::collections::BTreeMap;

use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use super::members::MemberView;
use super::strips::Stretch;
use super::view::{ControlView, DeviationView, Month, View};
use crate::report::annotations::uri;

/// Deviations on the index at most: it is opened on telephones, and what is left out is a link away.
const ON_INDEX: usize = 50;
/// Deviations on the page of a control at most; the table has all.
const ON_PAGE: usize = 200;
/// Members on a page of their own.
const MEMBERS: usize = 200;
const CSS: &str = include_str!("../templates/bundle.css");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the template of the index sees.
#[derive(Serialize)]
struct Index<'a> {
    css: &'static str,
    version: &'static str,
    deviations: Vec<&'a DeviationView>,
    all: usize,
    open: usize,
    unjudged: Vec<&'a ControlView>,
    /// The gravest members of each control.
    gravest: BTreeMap<&'a str, &'a [MemberView]>,
    #[serde(flatten)]
    view: &'a View<'a>,
}

/// What the template of a control sees.
#[derive(Serialize)]
struct Page<'a> {
    css: &'static str,
    version: &'static str,
    owner: &'a str,
    from: &'a str,
    to: &'a str,
    days: usize,
    months: &'a [Month],
    control: &'a ControlView,
    /// Its days, each leading to its own decisions.
    each: &'a [Stretch],
    deviations: Vec<&'a DeviationView>,
    all: usize,
    /// Pages of more members.
    pages: Vec<usize>,
}

/// What the template of more members sees.
#[derive(Serialize)]
struct More<'a> {
    css: &'static str,
    version: &'static str,
    from: &'a str,
    to: &'a str,
    days: usize,
    months: &'a [Month],
    id: &'a str,
    title: &'a str,
    /// Which of all pages it is, from 1.
    number: usize,
    pages: usize,
    members: &'a [MemberView],
}

/// The template `name`, and what all of them are made of.
pub fn templates(name: &'static str, text: &'static str) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    // An id may have a space or a sign in it that means something in an address.
    environment.add_filter("uri", |text: String| uri(&text));
    environment.add_template("parts.html", include_str!("../templates/parts.html.j2"))?;
    environment.add_template(name, text)?;
    Ok(environment)
}

/// What is open first, then the newest.
pub fn ordered<'a>(all: impl Iterator<Item = &'a DeviationView>) -> Vec<&'a DeviationView> {
    let mut all: Vec<_> = all.collect();
    all.sort_by(|a, b| (b.open, &b.detected, &a.control).cmp(&(a.open, &a.detected, &b.control)));
    all
}

/// The index.
///
/// # Errors
/// When the template does not fit.
pub fn index(view: &View<'_>) -> Result<String, minijinja::Error> {
    let environment = templates("index.html", include_str!("../templates/index.html.j2"))?;
    let mut deviations = ordered(view.controls.iter().flat_map(|control| &control.deviations));
    let (all, open) = (deviations.len(), deviations.iter().filter(|one| one.open).count());
    deviations.truncate(ON_INDEX);
    let unjudged: Vec<_> = view.controls.iter().filter(|control| control.strip.is_empty()).collect();
    let gravest = view.controls.iter().map(|control| (control.id.as_str(), &control.gravest[..])).collect();
    let index = Index { css: CSS, version: VERSION, deviations, all, open, unjudged, gravest, view };
    environment.get_template("index.html")?.render(Serde(index))
}

/// Where the page of `control` is in the bundle.
#[must_use]
pub fn path(control: &ControlView) -> String {
    format!("controls/{}/index.html", control.id)
}

/// The page of `control`.
///
/// # Errors
/// When the template does not fit.
pub fn control(view: &View<'_>, control: &ControlView) -> Result<String, minijinja::Error> {
    let environment = templates("control.html", include_str!("../templates/control.html.j2"))?;
    let mut deviations = ordered(control.deviations.iter());
    let all = deviations.len();
    deviations.truncate(ON_PAGE);
    let page = Page {
        css: CSS,
        version: VERSION,
        owner: &view.owner,
        from: &view.from,
        to: &view.to,
        days: view.days,
        months: &view.months,
        control,
        each: &control.days,
        deviations,
        all,
        pages: (1..=control.more.chunks(MEMBERS).len()).collect(),
    };
    environment.get_template("control.html")?.render(Serde(page))
}

/// Pages of the members of `control` that have no room on its own, by their places in the bundle.
///
/// # Errors
/// When the template does not fit.
pub fn members(view: &View<'_>, control: &ControlView) -> Result<Vec<(String, String)>, minijinja::Error> {
    let environment = templates("members.html", include_str!("../templates/members.html.j2"))?;
    let template = environment.get_template("members.html")?;
    let pages = control.more.chunks(MEMBERS).len();
    let page = |(at, members): (usize, &[MemberView])| {
        let more = More {
            css: CSS,
            version: VERSION,
            from: &view.from,
            to: &view.to,
            days: view.days,
            months: &view.months,
            id: &control.id,
            title: &control.title,
            number: at + 1,
            pages,
            members,
        };
        Ok((format!("controls/{}/members-{}.html", control.id, at + 1), template.render(Serde(more))?))
    };
    control.more.chunks(MEMBERS).enumerate().map(page).collect()
}

/// The page for whoever opens the folder first.
///
/// # Errors
/// When the template does not fit.
pub fn readme(view: &View<'_>) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template("README.md", include_str!("../templates/bundle.md.j2"))?;
    environment.get_template("README.md")?.render(Serde(view))
}
