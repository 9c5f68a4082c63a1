//! Who can change both policy and evidence, as lines.

use std::fmt::Write as _;

use crate::model::segregation::{Segregation, Verdict};

/// A line each; nothing where the config is held nowhere that shows its rules.
#[must_use]
pub fn lines(all: &[Segregation]) -> String {
    let mut text = String::new();
    for one in all {
        let (sign, told) = told(&one.verdict);
        let _ = writeln!(text, "writers{sign} {} policy {}, evidence {}: {told}", one.source, one.policy, one.evidence);
    }
    text
}

/// The same of what is not well alone.
#[must_use]
pub fn findings(all: &[Segregation]) -> String {
    lines(&all.iter().filter(|one| one.verdict != Verdict::Apart).cloned().collect::<Vec<_>>())
}

fn told(verdict: &Verdict) -> (char, String) {
    match verdict {
        Verdict::Apart => (' ', "nobody can change both alone".to_owned()),
        Verdict::Shared(names) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let next = "let policy need an approval of another, or give the evidence an identity of its own";
            ('!', format!("both can be changed alone by {}; {next}", names.join(", ")))
        }
        Verdict::Unseen(why) => ('!', format!("NOT SEEN whether one identity can change both: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verdict_is_one_line_and_findings_leave_out_what_is_well() {
        let of = |verdict| Segregation {
            source: "org".into(),
            policy: "acme/policy main".to_owned(),
            evidence: "acme/policy slm/evidence".to_owned(),
            verdict,
        };
        let all = [of(Verdict::Apart), of(Verdict::Shared(["app slm".to_owned()].into())), of(Verdict::Unseen("why".to_owned()))];
        let head = "org policy acme/policy main, evidence acme/policy slm/evidence:";
        let bad = format!(
            "writers! {head} both can be changed alone by app slm; let policy need an approval of another, or give the evidence an \
             identity of its own\nwriters! {head} NOT SEEN whether one identity can change both: why\n"
        );
        assert_eq!(lines(&all), format!("writers  {head} nobody can change both alone\n{bad}"));
        assert_eq!(findings(&all), bad);
    }
}
