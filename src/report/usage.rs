//! Who uses a credential, one line a user.

use std::fmt::Write as _;

use crate::model::usage::{Usage, Used, User};

/// One line about the uses of a credential.
pub(super) struct Line {
    /// `!` for a warning, `?` for what was not seen.
    pub sign: char,
    /// In one word.
    word: &'static str,
    /// What is used.
    object: String,
    text: String,
}

impl Line {
    /// The line, with what it is about.
    pub fn told(&self) -> String {
        format!("{:<9} {}  {}", self.word, self.object, self.text)
    }
}

/// Everything told about `usage`.
pub(super) fn lines(usage: &Usage) -> Vec<Line> {
    let Usage { credential, of, users, warnings, unseen, declare: _ } = usage;
    let (object, word) = match of {
        Used::OldKey { tail: Some(tail), .. } => (format!("old key …{tail} of {credential}"), "used by"),
        Used::OldKey { tail: None, .. } => (format!("old key of {credential}"), "used by"),
        Used::Value => (format!("value of {credential}"), "read by"),
    };
    let line = |sign, word, text| Line { sign, word, object: object.clone(), text };
    let mut lines = Vec::new();
    if let Used::OldKey { tail: Some(_), last_used, service, since } = of {
        let last = match (last_used, service) {
            (Some(at), Some(service)) => format!("last used at {at}: {service}"),
            _ => "no use is told by IAM".to_owned(),
        };
        let seen = if users.is_empty() { format!("; no call found since {since}") } else { String::new() };
        lines.push(line(' ', "uses", last + &seen));
    }
    let stranger = matches!(of, Used::Value);
    lines.extend(users.iter().map(|one| {
        let strange = if stranger { ": not a declared consumer" } else { "" };
        line('!', word, format!("{}{strange}", user(one)))
    }));
    lines.extend(warnings.iter().map(|warning| line('!', "note", warning.clone())));
    lines.extend(unseen.iter().map(|why| line('?', "unseen", format!("users may be missing: {why}"))));
    lines
}

/// `arn:…, aws-cli/2 from 203.0.113.7: PutObject in eu-west-1 at …, 3 calls`.
fn user(user: &User) -> String {
    let User { principal, user_agent, source_ip, event, region, last, times } = user;
    let calls = super::words::count(*times, "call");
    format!("{principal}, {user_agent} from {source_ip}: {event} in {region} at {last}, {calls}")
}

/// The uses of one credential, below its standing, with what would declare who is no consumer yet.
#[must_use]
pub fn human(all: &[Usage]) -> String {
    let mut text = String::new();
    for line in all.iter().flat_map(lines) {
        let _ = writeln!(text, "{} {}", line.sign, line.told());
    }
    for usage in all.iter().filter(|usage| !usage.declare.is_empty()) {
        let _ = write!(text, "\nTo have it waited for, add to credentials/{}.toml:\n\n{}", usage.credential, usage.declare);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_declare_a_reader_stands_below_by_itself_to_be_pasted() {
        let of = |declare: &str| Usage {
            credential: "key".into(),
            of: Used::Value,
            users: Vec::new(),
            warnings: vec!["a note".to_owned()],
            unseen: Vec::new(),
            declare: declare.to_owned(),
        };
        let text = human(&[of("[[consumer]]\nid = \"app\"\n"), of("")]);
        let pasted = "\nTo have it waited for, add to credentials/key.toml:\n\n[[consumer]]\nid = \"app\"\n";
        assert!(text.ends_with(pasted) && text.matches("To have").count() == 1, "{text}");
        assert!(text.starts_with("! note      value of key  a note\n"), "{text}");
    }
}
