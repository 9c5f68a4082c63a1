//! Exceptions as lines: what each lifts, and what is wrong with it.

use std::fmt::Write as _;

use super::words::{age, count};
use crate::model::approval::Approval;
use crate::model::exception::{Exceptions, Finding, Hollow, Standing};
use crate::model::time::Timestamp;

/// A line each for what is wrong; nothing when nothing is.
#[must_use]
pub fn findings(exceptions: &Exceptions, now: Timestamp) -> String {
    let mut text = String::new();
    for (one, finding) in exceptions.standings.iter().filter_map(|one| Some((one, one.finding?))) {
        let _ = writeln!(text, "{}", sentence(one, finding, now));
    }
    for Hollow { control, excepted, population } in &exceptions.hollow {
        let _ = writeln!(text, "Exceptions lift {control} for {excepted} of {population}: meet the control, or change it.");
    }
    text
}

/// What is wrong with one, as a sentence.
#[must_use]
pub fn sentence(one: &Standing, finding: Finding, now: Timestamp) -> String {
    let Standing { id, control, resource, requester, approver, expires, lifts, approvals, .. } = one;
    match finding {
        Finding::ExpiredInUse => {
            let ago = age(*expires, now);
            format!(
                "Exception {id} lapsed {ago} ago and {resource} still does not meet {control}; meet it, or have it approved again."
            )
        }
        Finding::Expired => format!("Exception {id} lapsed {} ago and nothing needs it; remove its file.", age(*expires, now)),
        Finding::Ahead => format!("Exception {id} is approved as of a time that is still to come and permits nothing until then."),
        Finding::Unused => format!("Exception {id} decides nothing now; remove its file if it is not needed any more."),
        Finding::OverBroad => {
            format!("Exception {id} lifts {control} for {lifts} resources of the same name; name one that is unique.")
        }
        Finding::SelfApproved => {
            format!("Exception {id} was asked for and approved by {requester} on the branch; ask another person to approve it.")
        }
        Finding::Unapproved => format!(
            "Exception {id} says that {approver} approved it, and nobody but its author did when it was brought in; have another person approve it."
        ),
        Finding::RenewedUntold => format!(
            "Exception {id} was approved {approvals} times, and its file does not say so; write the times before into `earlier`."
        ),
    }
}

/// What was seen of an approval, beside what the file says of it.
#[must_use]
pub fn seen(approval: &Approval) -> String {
    match approval {
        Approval::NotSeen => " as its file says (not seen)".to_owned(),
        Approval::Nobody => " as its file says (seen: nobody but its author)".to_owned(),
        Approval::By(who) => format!(" (seen: {who})"),
    }
}

/// What they lift, beside the population that it stays part of; nothing when there are none.
#[must_use]
pub fn lifted(exceptions: &Exceptions, now: Timestamp) -> String {
    let mut text = String::new();
    for one in exceptions.standings.iter().filter(|one| one.lifts > 0) {
        let Standing { id, control, resource, approver, approval, ticket, expires, approvals, .. } = one;
        let left = age(now, *expires);
        let times = if *approvals > 1 { format!(", {}", count(*approvals as u64, "approval")) } else { String::new() };
        let _ = writeln!(
            text,
            "exception {id}: lifts {control} for {resource}, {ticket}, approved by {approver}{}{times}, {left} left",
            seen(approval)
        );
    }
    text
}
