//! The index that opens offline, and the page that says how to check it all by hand.

use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use super::view::{ControlView, DeviationView, View};

/// What the template of the index sees.
#[derive(Serialize)]
struct Index<'a> {
    css: &'static str,
    version: &'static str,
    deviations: Vec<&'a DeviationView>,
    open: usize,
    unjudged: Vec<&'a ControlView>,
    #[serde(flatten)]
    view: &'a View<'a>,
}

/// The index.
///
/// # Errors
/// When the template does not fit.
pub fn index(view: &View<'_>) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template("index.html", include_str!("../templates/index.html.j2"))?;
    let mut deviations: Vec<_> = view.controls.iter().flat_map(|control| &control.deviations).collect();
    // What is open first, then the newest.
    deviations.sort_by(|a, b| (b.open, &b.detected, &a.control).cmp(&(a.open, &a.detected, &b.control)));
    let open = deviations.iter().filter(|one| one.open).count();
    let unjudged: Vec<_> = view.controls.iter().filter(|control| control.strip.is_empty()).collect();
    let (css, version) = (include_str!("../templates/bundle.css"), env!("CARGO_PKG_VERSION"));
    environment.get_template("index.html")?.render(Serde(Index { css, version, deviations, open, unjudged, view }))
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
