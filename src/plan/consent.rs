//! Whose approval of a pull request is one of the plan that its comment asks to approve.

use std::collections::BTreeMap;

use crate::model::time::Timestamp;

/// One review, as GitHub lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Who gave it.
    pub by: String,
    /// False for an App or a bot.
    pub person: bool,
    /// What it says.
    pub verdict: Verdict,
    /// The commit it was given for.
    pub commit: String,
    /// When.
    pub at: Timestamp,
    /// What was written with it.
    pub text: String,
}

/// What a review says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Approved.
    Approves,
    /// Changes are asked for.
    Refuses,
    /// It was dismissed, or it is a comment.
    Nothing,
    /// It is taken back: what was said before does not count either.
    Dismissed,
}

/// What is to be approved.
pub struct Asked<'a> {
    /// Who opened the pull request.
    pub author: &'a str,
    /// The commit.
    pub head: &'a str,
    /// SHA-256 of the artefact.
    pub digest: &'a str,
    /// Since when the comment says so.
    pub shown: Timestamp,
}

/// Digits of a digest that name it in the text of a review.
const NAMED: usize = 12;

/// Who approved what was asked: people other than the author, for this very commit, after the digest was shown or naming it.
///
/// # Errors
/// Why nobody did, as a clause.
pub fn consent(reviews: &[Review], asked: &Asked<'_>) -> Result<Vec<String>, String> {
    let mut last: BTreeMap<&str, &Review> = BTreeMap::new();
    let mut in_order: Vec<&Review> = reviews.iter().filter(|review| review.verdict != Verdict::Nothing).collect();
    in_order.sort_by_key(|review| review.at);
    for review in in_order {
        last.insert(&review.by, review);
    }
    if let Some(refusal) = last.values().find(|review| review.verdict == Verdict::Refuses && review.person) {
        return Err(format!("`{}` asks for changes", refusal.by));
    }
    let mut why = "nobody approved it".to_owned();
    let mut all = Vec::new();
    for review in last.values().filter(|review| review.verdict == Verdict::Approves) {
        match counts(review, asked) {
            Ok(()) => all.push(review.by.clone()),
            Err(reason) => why = format!("the approval of `{}` does not count: {reason}", review.by),
        }
    }
    if all.is_empty() { Err(why) } else { Ok(all) }
}

fn counts(review: &Review, asked: &Asked<'_>) -> Result<(), &'static str> {
    let named = asked.digest.get(..NAMED).is_some_and(|digest| review.text.contains(digest));
    // Logins are compared as GitHub compares them.
    if review.by.eq_ignore_ascii_case(asked.author) {
        Err("it is the author's own")
    } else if !review.person {
        Err("it is a program's")
    } else if review.commit != asked.head {
        Err("it was given for an earlier commit")
    } else if review.at <= asked.shown && !named {
        Err("the plan was another one when it was given; approve again")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn review(by: &str, verdict: Verdict, second: i64) -> Review {
        Review { by: by.to_owned(), person: true, verdict, commit: HEAD.to_owned(), at: at(second), text: String::new() }
    }

    fn asked() -> Asked<'static> {
        Asked { author: "ada", head: HEAD, digest: DIGEST, shown: at(0) }
    }

    #[test]
    fn one_person_who_is_not_the_author_and_saw_the_digest_is_enough() {
        assert_eq!(consent(&[review("bob", Verdict::Approves, 1)], &asked()), Ok(vec!["bob".to_owned()]));
        let before = Review { text: format!("I approve {}", &DIGEST[..12]), ..review("bob", Verdict::Approves, -5) };
        assert_eq!(consent(&[before], &asked()), Ok(vec!["bob".to_owned()]));
    }

    #[test]
    fn an_approval_that_does_not_count_is_told_with_its_reason() {
        let bot = Review { person: false, ..review("robot", Verdict::Approves, 1) };
        let old = Review { commit: "b".repeat(40), ..review("bob", Verdict::Approves, 1) };
        for (given, why) in [
            (vec![], "nobody approved it"),
            (vec![review("Ada", Verdict::Approves, 1)], "the approval of `Ada` does not count: it is the author's own"),
            (vec![bot], "the approval of `robot` does not count: it is a program's"),
            (vec![old], "the approval of `bob` does not count: it was given for an earlier commit"),
            (
                vec![review("bob", Verdict::Approves, 0)],
                "the approval of `bob` does not count: the plan was another one when it was given; approve again",
            ),
            (vec![review("bob", Verdict::Approves, 1), review("bob", Verdict::Dismissed, 2)], "nobody approved it"),
            (vec![review("bob", Verdict::Approves, 1), review("eve", Verdict::Refuses, 2)], "`eve` asks for changes"),
            (vec![review("bob", Verdict::Approves, 1), review("bob", Verdict::Refuses, 2)], "`bob` asks for changes"),
        ] {
            assert_eq!(consent(&given, &asked()), Err(why.to_owned()), "{given:?}");
        }
        let again = [review("bob", Verdict::Refuses, 1), review("bob", Verdict::Approves, 2), review("bob", Verdict::Nothing, 3)];
        assert_eq!(consent(&again, &asked()), Ok(vec!["bob".to_owned()]), "a comment takes nothing back");
    }

    fn any_review() -> impl Strategy<Value = Review> {
        let verdict = prop::sample::select(vec![Verdict::Approves, Verdict::Refuses, Verdict::Nothing, Verdict::Dismissed]);
        (prop::sample::select(vec!["ada", "ADA", "bob", "cay"]), any::<bool>(), verdict, any::<bool>(), -3_i64..4).prop_map(
            |(by, person, verdict, own, second)| Review {
                person,
                commit: if own { HEAD.to_owned() } else { "b".repeat(40) },
                ..review(by, verdict, second)
            },
        )
    }

    proptest! {
        #[test]
        fn nobody_approves_their_own_and_no_other_commit_is_approved(reviews in prop::collection::vec(any_review(), 0..8)) {
            if let Ok(all) = consent(&reviews, &asked()) {
                prop_assert!(!all.is_empty());
                for by in all {
                    prop_assert!(!by.eq_ignore_ascii_case("ada"));
                    let good = |one: &&Review| one.by == by && one.person && one.commit == HEAD && one.at > at(0) && one.verdict == Verdict::Approves;
                    prop_assert!(reviews.iter().any(|one| good(&one)));
                }
            }
        }
    }
}
