//! Members of a control, day by day: the gravest on its page and on the index, and everybody who was ever anything but compliant on pages of
//! their own.

use serde::Serialize;

use super::Made;
use super::strips::{Said, Shown, Sight, Stretch, stretches};
use super::view::STRETCHES;
use crate::model::assessment::Subject;
use crate::model::deviation::Look;
use crate::model::id::ControlId;
use crate::model::period::Series;
use crate::report::words;

/// Members on the page of a control; its packets have a line for each of them.
const DRAWN: usize = 60;
/// Members of a control on the index, which is opened on telephones.
const ON_INDEX: usize = 3;

/// One member of a population.
#[derive(Clone, Serialize)]
pub struct MemberView {
    /// Its name.
    pub name: String,
    /// Its last part, for narrow places.
    pub short: String,
    /// Its days.
    pub strip: Vec<Stretch>,
}

/// The members of a control that are drawn.
#[derive(Default)]
pub struct Drawn {
    /// The gravest, then others while there is room.
    pub members: Vec<MemberView>,
    /// Those of them that are on the index: none that was always compliant, or changed too often for one line.
    pub gravest: Vec<MemberView>,
    /// Others that were ever anything but compliant.
    pub more: Vec<MemberView>,
    /// How many are not drawn at all, and what they have in common; empty when there is none.
    pub rest: String,
}

/// A member with its days.
struct One<'a> {
    gravest: Said,
    /// On how many days it was that.
    bad: usize,
    name: String,
    days: Vec<Shown>,
    subject: &'a Subject,
}

impl One<'_> {
    /// Whether each day leads to the line of the member in its packet, or to the packet alone.
    fn view(&self, made: &Made<'_>, control: &ControlId, listed: bool) -> MemberView {
        let anchor = if listed { format!("#{}", anchor(&self.name)) } else { String::new() };
        MemberView {
            short: match self.subject {
                // Without account and region, which all have in common.
                Subject::Resource { .. } => self.name.rsplit(':').next().unwrap_or(&self.name).to_owned(),
                Subject::Population { .. } => self.name.clone(),
            },
            strip: stretches(made, control, &self.days, &anchor),
            name: self.name.clone(),
        }
    }
}

/// Who is drawn of `series`.
pub fn draw(made: &Made<'_>, series: &Series, look: &Look<'_>) -> Drawn {
    let all = sorted(made, series, look);
    let (first, others) = all.split_at(DRAWN.min(all.len()));
    let worse = others.iter().take_while(|one| one.gravest > Said::Compliant).count();
    let members: Vec<MemberView> = first.iter().map(|one| one.view(made, &series.control, true)).collect();
    let bad = first.iter().zip(&members).filter(|(one, view)| one.gravest > Said::Compliant && view.strip.len() <= STRETCHES);
    let gravest = bad.take(ON_INDEX).map(|(_, view)| view.clone()).collect();
    let more = others[..worse].iter().map(|one| one.view(made, &series.control, false)).collect();
    let rest = match others.len() - worse {
        0 => String::new(),
        rest => format!("{rest} more were compliant on every day they were judged"),
    };
    Drawn { members, gravest, more, rest }
}

/// Everybody whom it applied to, the gravest first.
fn sorted<'a>(made: &Made<'_>, series: &'a Series, look: &Look<'_>) -> Vec<One<'a>> {
    let sight = Sight::of(look, series, made.period.runs.len());
    let mut all: Vec<One<'a>> = Vec::new();
    for member in &series.members {
        let days = sight.days_of(member, &made.period.days);
        let said = || days.iter().map(|one| one.said);
        let gravest = said().filter(|said| *said != Said::NoRun).max().unwrap_or(Said::Absent);
        if gravest > Said::NotApplicable {
            let bad = said().filter(|said| *said == gravest).count();
            all.push(One { gravest, bad, name: words::subject(&member.subject), days, subject: &member.subject });
        }
    }
    all.sort_by(|a, b| (b.gravest, b.bad, &a.name).cmp(&(a.gravest, a.bad, &b.name)));
    all
}

/// A subject as the name of a place in a page: no two have the same.
pub fn anchor(name: &str) -> String {
    let plain = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' => c.to_string(),
        _ => format!("~{:x}~", u32::from(c)),
    };
    format!("m-{}", name.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_whose_names_differ_in_signs_alone_have_places_of_their_own() {
        let all = ["a/b", "a:b", "a_b", "a~2f~b", "a b", "\u{e9}", "\u{fc}", "\u{e9}a", "\u{e9a}"].map(anchor);
        let apart: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!((apart.len(), all[0].as_str(), all[2].as_str()), (all.len(), "m-a~2f~b", "m-a_b"));
        assert!(all.iter().all(|one| one.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))), "{all:?}");
    }
}
