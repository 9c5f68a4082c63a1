//! Who must be seen to read a value before it counts as taken into use, and who was.

use std::collections::BTreeMap;

use super::time::Timestamp;
use super::usage::Calls;

/// Readers of the version in force, each by its last reading that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readers {
    /// ARNs, each with the instant of its last reading, in whole seconds of the clock of the service that was asked.
    pub last: BTreeMap<String, Option<Timestamp>>,
    /// What was not looked at, and why, one clause each.
    pub unseen: Vec<String>,
}

/// What stands for an instant where no reading was seen.
const NEVER: &str = "never";

impl Readers {
    /// What `calls`, all of them readings of the version in force, say of `principals`.
    #[must_use]
    pub fn of(principals: &[String], calls: &Calls) -> Self {
        let last = |who: &String| calls.calls.iter().filter(|call| call.principal == *who).map(|call| call.at).max();
        let cut = calls
            .cut
            .iter()
            .map(|(region, since)| format!("CloudTrail of {region}: too many readings to look at those before {since}"));
        Self {
            last: principals.iter().map(|who| (who.clone(), last(who))).collect(),
            unseen: calls.unseen.iter().cloned().chain(cut).collect(),
        }
    }

    /// Those who were not seen to read it since it was `promoted`; all of them when nobody knows when that was.
    ///
    /// Both instants are whole seconds, and the promotion was over somewhere in its own: a reading counts from the second after.
    #[must_use]
    pub fn unread(&self, promoted: Option<Timestamp>) -> Vec<&str> {
        let since = |at: &Timestamp| promoted.is_some_and(|promoted| at.as_second() > promoted.as_second());
        let not_seen = self.last.iter().filter(|(_, last)| !last.as_ref().is_some_and(since));
        not_seen.map(|(who, _)| who.as_str()).collect()
    }

    /// Who is waited for since it was `promoted`, as a clause; `None` when all were seen to read it.
    #[must_use]
    pub fn missing(&self, promoted: Option<Timestamp>) -> Option<String> {
        let unread = self.unread(promoted);
        if unread.is_empty() {
            return None;
        }
        let since = promoted.map_or_else(|| "since it is in force, which nobody noted yet".to_owned(), |at| format!("since {at}"));
        let unseen = if self.unseen.is_empty() { String::new() } else { format!(" ({})", self.unseen.join("; ")) };
        Some(format!("{} not seen to read it {since}{unseen}", unread.join(", ")))
    }

    /// Each with its last reading, on one line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let one = |(who, last): (&String, &Option<Timestamp>)| {
            let last = last.map_or_else(|| NEVER.to_owned(), |at| at.to_string());
            format!("{last} {who}")
        };
        self.last.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Reads what [`Self::to_text`] writes; what is no instant is no reading.
    #[must_use]
    pub fn from_text(text: &str, unseen: Option<&str>) -> Self {
        let one = |line: &str| line.split_once(' ').map(|(last, who)| (who.to_owned(), last.parse().ok()));
        let last = text.split(", ").filter_map(one).collect();
        Self { last, unseen: unseen.map(str::to_owned).into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::usage::Call;

    const APP: &str = "arn:aws:iam::123456789012:role/app,";
    const JOB: &str = "arn:aws:iam::123456789012:user/path/job";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn calls(all: &[(&str, i64)]) -> Calls {
        let call = |(principal, second): &(&str, i64)| Call {
            at: at(*second),
            principal: (*principal).to_owned(),
            user_agent: String::new(),
            source_ip: String::new(),
            event: "GetSecretValue".to_owned(),
            region: "eu-west-1".to_owned(),
        };
        Calls { calls: all.iter().map(call).collect(), ..Calls::default() }
    }

    fn readers(all: &[(&str, i64)]) -> Readers {
        Readers::of(&[APP.to_owned(), JOB.to_owned()], &calls(all))
    }

    #[test]
    fn a_reading_counts_from_the_second_after_the_promotion_and_by_each_of_those_declared() {
        let half = Timestamp::new(100, 500_000_000).unwrap();
        for (seen, promoted, unread) in [
            (&[(APP, 101), (JOB, 101)][..], Some(at(100)), &[][..]),
            (&[(APP, 101), (JOB, 100)], Some(at(100)), &[JOB]),
            (&[(APP, 101), (JOB, 100)], Some(half), &[JOB]),
            (&[(APP, 99), (APP, 300), (JOB, 101)], Some(half), &[]),
            (&[(APP, 101), ("arn:aws:iam::123456789012:role/other", 101)], Some(at(100)), &[JOB]),
            (&[], Some(at(100)), &[APP, JOB]),
            (&[(APP, 101), (JOB, 101)], None, &[APP, JOB]),
        ] {
            assert_eq!(readers(seen).unread(promoted), unread, "{seen:?}");
        }
    }

    #[test]
    fn what_was_not_looked_at_is_said_of_whom_it_may_be_and_of_nobody_else() {
        let mut calls = calls(&[(APP, 101)]);
        calls.cut.push(("eu-west-1".to_owned(), at(60)));
        calls.unseen.push("CloudTrail of eu-west-1: AccessDeniedException (HTTP 400)".to_owned());
        let readers = |who: &str| Readers::of(&[who.to_owned()], &calls);
        assert_eq!(readers(APP).missing(Some(at(100))), None);
        let want = format!(
            "{JOB} not seen to read it since 1970-01-01T00:01:40Z (CloudTrail of eu-west-1: AccessDeniedException (HTTP 400); \
             CloudTrail of eu-west-1: too many readings to look at those before 1970-01-01T00:01:00Z)"
        );
        assert_eq!(readers(JOB).missing(Some(at(100))), Some(want));
        let unknown = readers(APP).missing(None).unwrap();
        assert!(
            unknown.starts_with(&format!("{APP} not seen to read it since it is in force, which nobody noted yet")),
            "{unknown}"
        );
    }

    #[test]
    fn they_are_read_as_they_were_written_whatever_their_names() {
        let both = readers(&[(APP, 101)]);
        assert_eq!(both.to_text(), format!("1970-01-01T00:01:41Z {APP}, never {JOB}"));
        assert_eq!(Readers::from_text(&both.to_text(), None), both);
        let unseen = Readers { unseen: vec!["denied".to_owned()], ..both.clone() };
        assert_eq!(Readers::from_text(&both.to_text(), Some("denied")), unseen);
        assert_eq!(Readers::from_text("soon arn:x", None).unread(Some(at(0))), ["arn:x"], "what is no instant is no reading");
    }
}
