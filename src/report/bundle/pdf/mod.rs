//! The summary as pages on paper: what was looked at, what held, what did not, and how to check it; with a place to sign.

mod draw;
mod letters;
mod sheet;

use super::pages::ordered;
use super::strips::Stretch;
use super::view::{CriterionView, View};
use crate::report::words::count;
use sheet::{Ink, Sheet};

/// Deviations on paper at most; the table in the bundle has all.
const ROWS: usize = 100;

/// The pages could not be made.
pub type Error = draw::Error;

/// The summary of `view` as PDF. The same view gives the same bytes.
///
/// # Errors
/// When a font cannot be used.
pub fn pdf(view: &View<'_>) -> Result<Vec<u8>, Error> {
    let mut sheet = Sheet::new(letters::Letters::new().ok_or(Error::Font)?, foot(view));
    cover(&mut sheet, view);
    controls(&mut sheet, view);
    deviations(&mut sheet, view);
    criteria(&mut sheet, view);
    proof(&mut sheet, view);
    let title = format!("Evidence of {}, {} to {}", view.owner, view.from, view.to);
    draw::draw(&sheet.pages(), &title)
}

fn foot(view: &View<'_>) -> String {
    format!("{} · {} to {} · log root {}", view.owner, view.from, view.to, view.log.root.get(..12).unwrap_or(&view.log.root))
}

fn cover(sheet: &mut Sheet, view: &View<'_>) {
    sheet.down(70.0);
    let eyebrow = if view.framework.is_empty() { view.owner.clone() } else { format!("{} · {}", view.owner, view.framework) };
    sheet.line(10.0, Ink::Soft, false, &eyebrow);
    sheet.down(6.0);
    sheet.paragraph(22.0, Ink::Text, true, &format!("What held from {} to {}", view.from, view.to));
    sheet.down(10.0);
    let told = format!(
        "A machine looked at the real systems {} times in these {} days. Each time it wrote down what it saw and whether each security promise held, in a \
         log that cannot be changed later without being noticed. These pages are a summary; the bundle that they are part of has every day of every control, and \
         the files that prove it.",
        view.runs, view.days
    );
    sheet.paragraph(11.0, Ink::Text, false, &told);
    sheet.down(18.0);
    let open = view.controls.iter().flat_map(|control| &control.deviations).filter(|one| one.open).count();
    let all = view.controls.iter().map(|control| control.deviations.len()).sum::<usize>();
    let mut facts = vec![
        ("Days looked at".to_owned(), format!("{} of {}", view.seen, view.days), None),
        (
            "Times that something did not hold".to_owned(),
            if open == 0 { all.to_string() } else { format!("{all}, {open} still open") },
            None,
        ),
        ("Files in the log".to_owned(), view.log.entries.to_string(), None),
    ];
    facts.extend(view.totals.iter().map(|(class, word, count)| (format!("Controls: {word}"), count.to_string(), Some(*class))));
    sheet.facts(&facts);
    if !view.missed.is_empty() {
        sheet.down(8.0);
        let told = format!(
            "{} without a run for longer than one is due after: the bundle says when.",
            count(view.missed.len() as u64, "time")
        );
        sheet.paragraph(10.0, Ink::Text, false, &told);
    }
    if !view.unproven.is_empty() {
        sheet.down(8.0);
        sheet.paragraph(10.0, Ink::Text, false, &format!("Not shown: {}.", view.unproven));
    }
    signatures(sheet);
}

/// A place for the two who read it: nobody signs their own work.
fn signatures(sheet: &mut Sheet) {
    sheet.to(690.0);
    sheet.line(10.0, Ink::Soft, false, "Read and accepted as the record of this period");
    sheet.down(34.0);
    sheet.signature(&["Prepared by", "Approved by (another person)"]);
}

fn controls(sheet: &mut Sheet, view: &View<'_>) {
    sheet.page();
    sheet.heading("Every control, day by day");
    sheet.paragraph(
        10.0,
        Ink::Text,
        false,
        "Each row is one promise and each column a day, which shows the gravest thing seen in it.",
    );
    sheet.legend();
    sheet.axis(view.days, view.months.iter().map(|month| (month.start, month.name.as_str())));
    for control in &view.controls {
        sheet.strip(&control.id, &control.title, &control.word, view.days, &by_look(&control.strip));
    }
}

/// Stretches joined where they look the same: on paper nothing leads anywhere.
fn by_look(all: &[Stretch]) -> Vec<Stretch> {
    let mut joined: Vec<Stretch> = Vec::new();
    for one in all {
        match joined.last_mut() {
            Some(last) if last.class == one.class => last.days += one.days,
            _ => joined.push(one.clone()),
        }
    }
    joined
}

fn deviations(sheet: &mut Sheet, view: &View<'_>) {
    sheet.section("What did not hold");
    let all = ordered(view.controls.iter().flat_map(|control| &control.deviations));
    let told = match all.len() {
        0 => return sheet.paragraph(10.0, Ink::Text, false, "Nothing that was seen failed its control."),
        count if count > ROWS => format!(
            "{ROWS} of {count} times that something did not meet its control, what is still open first and then the newest; deviations.csv in the bundle has all."
        ),
        _ => "Every time that something did not meet its control, from when it was first seen until it was seen otherwise."
            .to_owned(),
    };
    sheet.paragraph(10.0, Ink::Text, false, &told);
    let columns = [("Control", 50.0), ("What", 177.0), ("First seen", 110.0), ("Seen otherwise", 110.0), ("Lasted", 36.0)];
    sheet.head(&columns);
    for one in all.into_iter().take(ROWS) {
        sheet.row(&columns, &[&one.control, &one.subject, &one.detected, &one.ended, &one.lasted], one.open);
    }
}

fn criteria(sheet: &mut Sheet, view: &View<'_>) {
    for framework in &view.frameworks {
        sheet.section(&framework.name);
        let told = format!(
            "{} of {} criteria have a control or a signature. A criterion stands as its gravest control does, and as manual at best while a person has yet to sign it. Titles are paraphrases.",
            framework.covered, framework.all
        );
        sheet.paragraph(10.0, Ink::Text, false, &told);
        let columns = [("Criterion", 92.0), ("In short", 185.0), ("Stands", 82.0), ("Controls", 124.0)];
        sheet.head(&columns);
        for one in &framework.criteria {
            sheet.row(&columns, &[&one.id, &one.title, &one.word, &serving(one)], one.class == "non-compliant");
        }
    }
}

/// What serves a criterion, what served it, and the signature that it has or waits for.
fn serving(one: &CriterionView) -> String {
    let gone = if one.gone.is_empty() { String::new() } else { format!("declared no more: {}", one.gone.join(" ")) };
    let parts = [one.controls.join(" "), gone, one.signature.clone()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn proof(sheet: &mut Sheet, view: &View<'_>) {
    sheet.section("How to check it");
    let key =
        view.log.keys.last().map_or("no key signs it: whoever could write it could have written all of it anew", String::as_str);
    for (name, value) in [
        ("Log", view.log.origin.as_str()),
        ("Entries", &view.log.entries.to_string()),
        ("Root", &view.log.root),
        ("Last entry", &view.log.received.to_string()),
        ("Key", key),
    ] {
        sheet.pair(name, value);
    }
    sheet.down(6.0);
    let told = "Every file of evidence in the bundle is an entry of this log. `slm verify BUNDLE.zip --key KEY` checks each, and that no run of the period was left \
                out; README.md in the bundle does the same with sha256sum and openssl. Take the key from somewhere else than these pages. What is counted and drawn here was \
                made from the evidence and is as good as whoever made it; the files are what is proven.";
    sheet.paragraph(10.0, Ink::Text, false, told);
    if sheet.lacks() {
        let told = "Boxes stand for letters that these pages have no shapes for: index.html in the bundle shows them.";
        sheet.paragraph(10.0, Ink::Text, false, told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_criterion_names_what_serves_it_what_served_it_and_the_signature_that_it_waits_for() {
        let said = |controls: &[&str], gone: &[&str], signature: &str| {
            let list = |all: &[&str]| all.iter().map(ToString::to_string).collect();
            let (id, title, word) = (String::new(), String::new(), String::new());
            let (controls, gone, signature) = (list(controls), list(gone), signature.to_owned());
            serving(&CriterionView { id, title, word, class: "manual", controls, gone, signature })
        };
        assert_eq!(said(&["A-1", "A-2"], &[], "manual, not signed"), "A-1 A-2; manual, not signed");
        assert_eq!(said(&[], &["A-3"], ""), "declared no more: A-3");
        assert_eq!(said(&["A-1"], &[], ""), "A-1");
    }
}
