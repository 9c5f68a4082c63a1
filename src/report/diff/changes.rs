//! A difference as a pull request tells it: a part for each control, guard, exception and credential, and one for each thing beside.

use super::sections;
use crate::model::difference::Difference;
use crate::model::proposal::Change;
use crate::report::comment::TOLD;

/// What stands between a name and what became of it.
const GAP: &str = "  ";

/// Every part that has something to say, in the order of the sections.
#[must_use]
pub fn changes(difference: &Difference) -> Vec<Change> {
    let mut all = Vec::new();
    for section in sections::all(difference) {
        let lines = section.lines.iter().map(|line| {
            let mut text = String::new();
            line.human(0, &mut text);
            text
        });
        match section.title {
            "Controls" => all.extend(lines.map(|text| part(&text, ""))),
            "Guards" => all.extend(lines.map(|text| part(&text, "guard "))),
            "Exceptions" => all.extend(lines.map(|text| part(&text, "exception "))),
            "Credentials" => all.extend(lines.map(|text| part(&text, "credential "))),
            title => {
                // When it was compared is not part of what is promised: a job that is run again says the same.
                let lines = lines.filter(|text| !text.starts_with("of what run "));
                // What belongs to a line stands below it, two spaces in.
                let lines = lines.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
                let lines: Vec<String> = lines.collect();
                // The plan of the pull request says as much.
                if lines != [sections::SAME_PLAN] {
                    all.push(Change { about: title.to_lowercase(), verdict: TOLD.to_owned(), lines });
                }
            }
        }
    }
    all
}

/// One thing: its name, what became of it, and what shows that.
fn part(text: &str, what: &str) -> Change {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let (about, rest) = first.split_once(GAP).unwrap_or((first, ""));
    let (verdict, more) = rest.split_once(GAP).unwrap_or((rest, ""));
    let (verdict, way) = verdict.split_once(", ").unwrap_or((verdict, ""));
    let told = [way, more].into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    let below = lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
    let lines = Some(told).filter(|told| !told.is_empty()).into_iter().chain(below).collect();
    Change { about: about.to_owned(), verdict: format!("{what}{verdict}"), lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_into_a_name_a_verdict_and_what_shows_it() {
        let control = part("ROT-01  looser  Secrets rotated\n  rules looser: proved\n    max 30 -> 90\n", "");
        assert_eq!((control.about.as_str(), control.verdict.as_str()), ("ROT-01", "looser"));
        assert_eq!(control.lines, ["Secrets rotated", "rules looser: proved", "max 30 -> 90"]);
        let exception = part("EX-1  added, looser  lifts ROT-01 for db, until 2026-12-01T00:00:00Z\n", "exception ");
        assert_eq!((exception.about.as_str(), exception.verdict.as_str()), ("EX-1", "exception added"));
        assert_eq!(exception.lines, ["looser; lifts ROT-01 for db, until 2026-12-01T00:00:00Z"]);
        let guard = part("rotate  equal\n", "guard ");
        assert_eq!((guard.verdict.as_str(), guard.lines.len()), ("guard equal", 0));
    }
}
