//! The credential report of IAM: users, their passwords and keys, and the root user, one row each.

use std::collections::HashMap;

use crate::model::snapshot::{Attribute, Resource, Value};
use crate::model::time::Timestamp;

/// Columns without which a report is not understood; AWS may add more.
const COLUMNS: [&str; 12] = [
    "user",
    "arn",
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "mfa_active",
    "access_key_1_active",
    "access_key_1_last_rotated",
    "access_key_1_last_used_date",
    "access_key_2_active",
    "access_key_2_last_rotated",
    "access_key_2_last_used_date",
];
/// What a cell says when there is no instant to tell.
const NO_INSTANT: [&str; 3] = ["N/A", "no_information", "not_supported"];

/// What a report says.
#[derive(Default)]
pub(super) struct Report {
    pub(super) users: Vec<Resource>,
    pub(super) keys: Vec<Resource>,
    pub(super) credentials: Vec<Resource>,
    /// What it says of the account; empty without a row of the root user.
    pub(super) root: Vec<Attribute>,
}

/// One row by column name.
type Row<'a> = HashMap<&'a str, &'a str>;

impl Report {
    /// Reads `text`. What is wrong with it first, if anything, comes beside what could be read: rows that cannot are left out.
    pub(super) fn read(text: &str) -> (Self, Option<String>) {
        let mut report = Self::default();
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().map(cells).unwrap_or_default();
        if let Some(missing) = COLUMNS.iter().find(|column| !head.contains(column)) {
            return (report, Some(format!("the credential report has no column `{missing}`")));
        }
        let mut wrong = None;
        for (number, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            let cells = cells(line);
            let whole = cells.len() == head.len();
            let row: Row<'_> = head.iter().copied().zip(cells).collect();
            if !whole || report.row(&row).is_none() {
                wrong.get_or_insert_with(|| format!("row {} of the credential report cannot be read", number + 2));
            }
        }
        (report, wrong)
    }

    fn row(&mut self, row: &Row<'_>) -> Option<()> {
        if row.get("user") == Some(&"<root_account>") { self.root(row) } else { self.user(row) }
    }

    fn root(&mut self, row: &Row<'_>) -> Option<()> {
        let mut last = None;
        for column in ["password_last_used", "access_key_1_last_used_date", "access_key_2_last_used_date"] {
            last = last.max(instant(row, column)?);
        }
        self.root.push(("root_ever_used".into(), Value::Bool(last.is_some())));
        self.root.extend(last.map(|at| ("root_last_used".into(), Value::Time(at))));
        Some(())
    }

    fn user(&mut self, row: &Row<'_>) -> Option<()> {
        let arn = row.get("arn").copied().filter(|arn| arn.starts_with("arn:"))?;
        let (console, mfa) = (flag(row, "password_enabled")?, flag(row, "mfa_active")?);
        let (mut keys, mut credentials) = (Vec::new(), Vec::new());
        let (changed, used) = (instant(row, "password_last_changed")?, instant(row, "password_last_used")?);
        if console {
            credentials.push(credential(&format!("{arn}#password"), true, changed, used));
        }
        let (mut newest, mut active_keys) = (None, 0);
        for slot in ["access_key_1", "access_key_2"] {
            let active = flag(row, &format!("{slot}_active"))?;
            let used = instant(row, &format!("{slot}_last_used_date"))?;
            let Some(created) = instant(row, &format!("{slot}_last_rotated"))? else {
                // A slot without a date holds no key, and none that is active.
                if active {
                    return None;
                }
                continue;
            };
            let id = format!("{arn}#{slot}");
            credentials.push(credential(&id, active, Some(created), used));
            let key = vec![("active".into(), Value::Bool(active)), ("created".into(), Value::Time(created))];
            keys.push(Resource::new(id.into(), key));
            active_keys += i64::from(active);
            newest = newest.max(Some(created));
        }
        let mut user = vec![
            ("active_keys".into(), Value::Long(active_keys)),
            ("console_access".into(), Value::Bool(console)),
            ("mfa_active".into(), Value::Bool(mfa)),
        ];
        user.extend(newest.map(|at| ("newest_key_created".into(), Value::Time(at))));
        self.users.push(Resource::new(arn.into(), user));
        self.keys.append(&mut keys);
        self.credentials.append(&mut credentials);
        Some(())
    }
}

fn credential(id: &str, enabled: bool, created: Option<Timestamp>, used: Option<Timestamp>) -> Resource {
    let mut facts: Vec<Attribute> = vec![("enabled".into(), Value::Bool(enabled))];
    facts.extend(created.map(|at| ("created".into(), Value::Time(at))));
    facts.extend(used.map(|at| ("last_activity".into(), Value::Time(at))));
    Resource::new(id.into(), facts)
}

/// The cells of a line; a quoted one may hold commas.
fn cells(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let split = line.split(move |char| {
        quoted ^= char == '"';
        char == ',' && !quoted
    });
    split.map(|cell| cell.trim_matches('"')).collect()
}

/// The yes or no of a cell; `None` when it is neither.
fn flag(row: &Row<'_>, column: &str) -> Option<bool> {
    let cell = row.get(column)?;
    if cell.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    cell.eq_ignore_ascii_case("false").then_some(false)
}

/// The instant of a cell, `Some(None)` when it says that there is none; `None` when it cannot be read.
fn instant(row: &Row<'_>, column: &str) -> Option<Option<Timestamp>> {
    let cell = row.get(column)?;
    if NO_INSTANT.contains(cell) {
        return Some(None);
    }
    cell.parse().ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Fact;

    const ALICE: &str = "alice,arn:aws:iam::1:user/alice,true,no_information,2026-01-01T00:00:00+00:00,true,true,\
                         2026-02-01T00:00:00+00:00,N/A,false,N/A,N/A";
    const ROOT: &str =
        "<root_account>,arn:aws:iam::1:root,not_supported,2026-03-01T00:00:00+00:00,not_supported,true,false,N/A,N/A,false,N/A,N/A";

    fn read(rows: &[&str]) -> (Report, Option<String>) {
        Report::read(&format!("{}\n{}\n", COLUMNS.join(","), rows.join("\n")))
    }

    #[test]
    fn a_user_has_a_credential_for_its_password_and_each_key() {
        let (report, wrong) = read(&[ROOT, ALICE]);
        assert_eq!((wrong, report.users.len(), report.keys.len(), report.credentials.len()), (None, 1, 1, 2));
        assert_eq!(report.users[0].get("active_keys"), Some(Fact::Long(1)));
        assert_eq!(report.credentials[0].get("last_activity"), None, "a password never used counts from its creation");
        assert_eq!(report.root.len(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_the_rest_is_kept() {
        for (row, why) in [
            ("bob,arn:aws:iam::1:user/bob,true", "cells are missing"),
            (&ALICE.replace("true,no_info", "maybe,no_info"), "a flag that is neither"),
            (&ALICE.replace("2026-02-01T00:00:00+00:00", "yesterday"), "an instant that is none"),
            (&ALICE.replace("2026-02-01T00:00:00+00:00", "N/A"), "an active key without a date"),
            (&ALICE.replace("arn:aws:iam::1:user/alice", ""), "no ARN"),
            (&ROOT.replace("2026-03-01T00:00:00+00:00", ""), "the root user's last use"),
        ] {
            let (report, wrong) = read(&[row, ALICE]);
            assert_eq!(wrong.as_deref(), Some("row 2 of the credential report cannot be read"), "{why}");
            assert_eq!((report.users.len(), report.root.len()), (1, 0), "{why}");
        }
    }

    #[test]
    fn a_report_without_a_column_is_not_read_at_all() {
        for head in ["", "user,arn", &COLUMNS[..11].join(",")] {
            let (report, wrong) = Report::read(&format!("{head}\n{ALICE}\n"));
            assert!(wrong.unwrap().contains("has no column"), "{head}");
            assert!(report.users.is_empty());
        }
        let (report, wrong) = Report::read(&format!("{},extra\n{ALICE},\"one, two\"\n", COLUMNS.join(",")));
        assert_eq!((report.users.len(), wrong), (1, None), "a column more is no harm");
    }
}
