//! What policy documents of IAM grant, and whom they trust. What cannot be read or decided is `None`, never a no.

use serde_json::Value as Json;

use crate::transport::trust_policy::decoded;

/// Actions that let a principal give itself, or a principal it can become, any right.
const ESCALATION: [&str; 12] = [
    "iam:addusertogroup",
    "iam:attachgrouppolicy",
    "iam:attachrolepolicy",
    "iam:attachuserpolicy",
    "iam:createaccesskey",
    "iam:createloginprofile",
    "iam:createpolicyversion",
    "iam:putgrouppolicy",
    "iam:putrolepolicy",
    "iam:putuserpolicy",
    "iam:setdefaultpolicyversion",
    "iam:updateassumerolepolicy",
];
/// What a provider of GitHub's tokens is called; an enterprise may have a path of its own below it.
const GITHUB: &str = "token.actions.githubusercontent.com";
/// Operators that compare a key which must be there with text; in values without a wildcard they mean the same.
const EXACT: [&str; 3] = ["stringequals", "stringequalsignorecase", "stringlike"];

/// How a role lets workflows of GitHub in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trust {
    /// Every way in names the audience.
    pub(super) aud_pinned: bool,
    /// Every way in names subjects without a wildcard.
    pub(super) sub_pinned: bool,
}

/// Whether `document` grants every action on every resource; a condition does not excuse it.
pub(super) fn allows_star_star(document: &str) -> Option<bool> {
    let all = |statement: &Json, key, but| match (texts(statement, key), statement.get(but)) {
        (Some(all), _) => Some(all.iter().any(|one| is_all(one))),
        // What is left out may be anything but everything.
        (None, Some(_)) if statement.get(key).is_none() => Some(false),
        _ => None,
    };
    any(allowing(document)?
        .iter()
        .map(|statement| both(all(statement, "Action", "NotAction"), all(statement, "Resource", "NotResource"))))
}

/// True when both are true, false when one is false.
fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// Whether `document` makes its holder an administrator: it grants every action, or one of [`ESCALATION`], on every resource. What
/// denies or bounds is not looked at; a condition, an exclusion or a part of IAM that could hide such a grant is `None`.
pub(super) fn grants_admin(document: &str) -> Option<bool> {
    any(allowing(document)?.iter().map(grant))
}

/// True when any is true; else unknown when any is unknown.
pub(super) fn any(grants: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(false);
    for grant in grants {
        match grant {
            Some(true) => return Some(true),
            Some(false) => {}
            None => all = None,
        }
    }
    all
}

fn grant(statement: &Json) -> Option<bool> {
    let powerful = match (texts(statement, "Action"), texts(statement, "NotAction")) {
        (Some(actions), None) => Some(actions.iter().any(|pattern| ESCALATION.iter().any(|action| glob(pattern, action)))),
        (None, Some(but)) if ESCALATION.iter().any(|action| !but.iter().any(|pattern| glob(pattern, action))) => Some(true),
        _ => None,
    };
    let everywhere = match texts(statement, "Resource") {
        Some(all) if all.iter().any(|one| is_all(one)) => Some(true),
        Some(all) if all.iter().any(|one| reaches_iam(one)) => None,
        Some(_) => Some(false),
        None => None,
    };
    both(powerful, everywhere).filter(|grants| !grants || statement.get("Condition").is_none())
}

/// True when a resource pattern can match something of IAM.
fn reaches_iam(pattern: &str) -> bool {
    let fixed = pattern.split(['*', '?']).next().unwrap_or_default();
    fixed.split(':').nth(2).is_none_or(|service| "iam".starts_with(service))
}

/// How a trust policy lets workflows of GitHub in: `None` when it cannot be read, `Some(None)` when it does not.
pub(super) fn github_trust(document: &str) -> Option<Option<Trust>> {
    let mut trust: Option<Trust> = None;
    for statement in allowing(document)? {
        // Without a principal it trusts all but some; in a text, everybody, whom a condition may still tell apart.
        let principals = match statement.get("Principal")?.get("Federated") {
            Some(federated) => list(federated)?,
            None => Vec::new(),
        };
        for arn in &principals {
            let Some((_, provider)) = arn.split_once(":oidc-provider/") else { continue };
            if provider != GITHUB && !provider.starts_with(&format!("{GITHUB}/")) {
                continue;
            }
            let pinned = |key: &str| pins(&statement, &format!("{provider}:{key}"));
            let before = trust.unwrap_or(Trust { aud_pinned: true, sub_pinned: true });
            let (aud_pinned, sub_pinned) = (before.aud_pinned && pinned("aud"), before.sub_pinned && pinned("sub"));
            trust = Some(Trust { aud_pinned, sub_pinned });
        }
    }
    Some(trust)
}

/// True when `statement` compares `key` with values none of which has a wildcard.
fn pins(statement: &Json, key: &str) -> bool {
    let operators = statement.get("Condition").and_then(Json::as_object).into_iter().flatten();
    let exact = operators.filter(|(operator, _)| EXACT.contains(&operator.to_ascii_lowercase().as_str()));
    let mut keys = exact.filter_map(|(_, keys)| keys.as_object()).flatten();
    keys.any(|(name, values)| {
        let values = name.eq_ignore_ascii_case(key).then(|| list(values)).flatten();
        values.is_some_and(|all| !all.is_empty() && all.iter().all(|value| !value.contains(['*', '?'])))
    })
}

/// The statements of `document` that allow something.
fn allowing(document: &str) -> Option<Vec<Json>> {
    let json = if document.trim_start().starts_with('{') { document.to_owned() } else { decoded(document)? };
    let mut policy: Json = serde_json::from_str(&json).ok()?;
    let all = match policy.get_mut("Statement")?.take() {
        Json::Array(all) => all,
        one @ Json::Object(_) => vec![one],
        _ => return None,
    };
    let mut allowing = Vec::new();
    for statement in all {
        match statement.get("Effect")?.as_str()? {
            "Allow" => allowing.push(statement),
            "Deny" => {}
            _ => return None,
        }
    }
    Some(allowing)
}

/// The text or texts of `key`; `None` when it is absent or anything else.
fn texts(of: &Json, key: &str) -> Option<Vec<String>> {
    list(of.get(key)?)
}

fn list(value: &Json) -> Option<Vec<String>> {
    match value {
        Json::String(one) => Some(vec![one.clone()]),
        Json::Array(many) => many.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// True for `*`, `*:*` and their like.
fn is_all(pattern: &str) -> bool {
    pattern.contains('*') && pattern.bytes().all(|byte| byte == b'*' || byte == b':')
}

/// True when `pattern`, in any case, matches `action`, which is in lower case.
fn glob(pattern: &str, action: &str) -> bool {
    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => matches(rest, text),
            (Some((b'*', rest)), Some((_, after))) => matches(rest, text) || matches(pattern, after),
            (Some((b'?', rest)), Some((_, after))) => matches(rest, after),
            (Some((wanted, rest)), Some((byte, after))) => wanted.eq_ignore_ascii_case(byte) && matches(rest, after),
            _ => false,
        }
    }
    // Stars in a row mean one, and would take time that doubles with each.
    let mut short = pattern.as_bytes().to_vec();
    short.dedup_by(|next, before| *next == b'*' && *before == b'*');
    matches(&short, action.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statement: &str) -> String {
        format!(r#"{{"Statement":{statement}}}"#)
    }

    #[test]
    fn only_all_actions_on_all_resources_is_a_wildcard_policy() {
        for (statement, want) in [
            (r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#, true),
            (r#"[{"Effect":"Allow","Action":["s3:Get*","*:*"],"Resource":["*"]}]"#, true),
            (r#"[{"Effect":"Deny","Action":"*","Resource":"*"}]"#, false),
            (r#"[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]"#, false),
            (r#"[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::a"}]"#, false),
        ] {
            assert_eq!(allows_star_star(&policy(statement)), Some(want), "{statement}");
        }
        for (statement, want) in [
            (r#"{"Effect":"Allow","Action":7,"Resource":"*"}"#, None),
            (r#"{"Effect":"Allow","Action":"*"}"#, None),
            (r#"[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Allow"}]"#, Some(true)),
            (r#"[{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Allow"}]"#, None),
            (r#"{"Effect":"Allow","NotAction":"s3:*","Resource":"*"}"#, Some(false)),
        ] {
            assert_eq!(allows_star_star(&policy(statement)), want, "{statement}");
        }
        let encoded =
            "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22*%22%2C%22Resource%22%3A%22*%22%7D%7D";
        assert_eq!(allows_star_star(encoded), Some(true));
        for unreadable in ["%7B%", "{", "{}", r#"{"Statement":"x"}"#, r#"{"Statement":{"Action":"*"}}"#] {
            assert_eq!((allows_star_star(unreadable), grants_admin(unreadable)), (None, None), "{unreadable}");
        }
    }

    #[test]
    fn an_administrator_can_do_everything_or_give_itself_the_right_to() {
        for (statement, want) in [
            (r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#, Some(true)),
            (r#"{"Effect":"Allow","Action":"iam:*","Resource":"*"}"#, Some(true)),
            (r#"{"Effect":"Allow","Action":["s3:Get*","IAM:putrole*"],"Resource":"*"}"#, Some(true)),
            (r#"{"Effect":"Allow","NotAction":"s3:*","Resource":"*"}"#, Some(true)),
            (r#"[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*"}]"#, Some(true)),
            (r#"{"Effect":"Allow","NotAction":["iam:*","organizations:*"],"Resource":"*"}"#, None),
            (r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}"#, None),
            (r#"{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::a"}"#, None),
            (r#"{"Effect":"Allow","Action":"iam:PutRolePolicy","Resource":"arn:aws:iam::1:role/ci-*"}"#, None),
            (r#"{"Effect":"Allow","Action":"iam:PutRolePolicy","Resource":"arn:aws:iam::1:role/me"}"#, None),
            (r#"{"Effect":"Allow","Action":"*","Resource":"arn:*"}"#, None),
            (r#"{"Effect":"Allow","Action":7,"Resource":"*"}"#, None),
            (r#"{"Effect":"Allow","Action":["s3:*","iam:Get*","iam:List*"],"Resource":"*"}"#, Some(false)),
            (r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::a/*"}"#, Some(false)),
            (r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#, Some(false)),
        ] {
            assert_eq!(grants_admin(&policy(statement)), want, "{statement}");
        }
        assert_eq!(any([Some(false), None, Some(true)]), Some(true));
        assert_eq!((any([Some(false), None]), any([Some(false)]), any([])), (None, Some(false), Some(false)));
    }

    #[test]
    fn a_role_pins_what_each_of_its_statements_pins() {
        let statement = |provider: &str, condition: &str| {
            format!(
                r#"{{"Effect":"Allow","Principal":{{"Federated":"arn:aws:iam::1:oidc-provider/{provider}"}},
                "Action":"sts:AssumeRoleWithWebIdentity","Condition":{condition}}}"#
            )
        };
        let trust = |condition: &str| github_trust(&policy(&statement(GITHUB, condition))).unwrap().unwrap();
        let key = |key: &str, value: &str| format!(r#""{GITHUB}:{key}":{value}"#);
        let (aud, sub) = (key("aud", r#""sts.amazonaws.com""#), key("sub", r#"["repo:o/r:ref:refs/heads/main"]"#));
        for (condition, pinned) in [
            (format!(r#"{{"StringEquals":{{{aud},{sub}}}}}"#), (true, true)),
            (format!(r#"{{"StringEquals":{{{aud}}},"StringLike":{{{sub}}}}}"#), (true, true)),
            (format!(r#"{{"StringEquals":{{{aud}}},"StringLike":{{{}}}}}"#, key("sub", r#""repo:o/*""#)), (true, false)),
            (format!(r#"{{"StringEquals":{{{sub}}}}}"#), (false, true)),
            (format!(r#"{{"StringEqualsIfExists":{{{aud},{sub}}}}}"#), (false, false)),
            (format!(r#"{{"ForAllValues:StringEquals":{{{aud},{sub}}}}}"#), (false, false)),
            (format!(r#"{{"StringNotEquals":{{{aud},{sub}}}}}"#), (false, false)),
            (format!(r#"{{"StringEquals":{{{aud},{}}}}}"#, key("sub", "[]")), (true, false)),
            ("{}".to_owned(), (false, false)),
        ] {
            let got = trust(&condition);
            assert_eq!((got.aud_pinned, got.sub_pinned), pinned, "{condition}");
        }
        let both =
            format!("[{},{}]", statement(GITHUB, &format!(r#"{{"StringEquals":{{{aud},{sub}}}}}"#)), statement(GITHUB, "{}"));
        assert_eq!(github_trust(&policy(&both)), Some(Some(Trust { aud_pinned: false, sub_pinned: false })));
        assert_eq!(github_trust(&policy(&statement("example.com", "{}"))), Some(None));
        assert!(github_trust(&policy(&statement(&format!("{GITHUB}/octo-enterprise"), "{}"))).unwrap().is_some());
        assert_eq!(github_trust(&policy(r#"{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"}}"#)), Some(None));
        for unreadable in ["{", &policy(r#"{"Effect":"Allow"}"#), &policy(r#"{"Effect":"Allow","Principal":{"Federated":{}}}"#)] {
            assert_eq!(github_trust(unreadable), None, "{unreadable}");
        }
    }
}
