//! A trust policy of an AWS role against the claims of a GitHub Actions token: why it does not match, and one that will.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

/// What a role is assumed by with such a token.
const ACTION: &str = "sts:AssumeRoleWithWebIdentity";

/// What a token says, as far as it is text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims(pub BTreeMap<String, String>);

impl Claims {
    /// The claims of a token whose payload is `payload`.
    #[must_use]
    pub fn of(payload: &Json) -> Self {
        let text = |value: &Json| match value {
            Json::String(text) => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let all = payload.as_object().into_iter().flatten();
        Self(all.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect())
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// True when both forms of `sub` are known: the one by names alone and the one with the numbers of owner and repository.
    #[must_use]
    pub fn has_both_forms(&self) -> bool {
        self.forms().is_some()
    }

    /// Host and path of the issuer, as condition keys begin with it.
    fn provider(&self) -> &str {
        self.get("iss").strip_prefix("https://").unwrap_or_default().trim_end_matches('/')
    }

    /// The two forms of `sub`: by names alone, and with the numbers of owner and repository, which no other can take. `None` where it was
    /// made by a template of the organisation's own, or the numbers are not told.
    fn forms(&self) -> Option<(String, String)> {
        let (owner, name) = self.get("repository").split_once('/')?;
        let (owner_id, id) = (self.get("repository_owner_id"), self.get("repository_id"));
        if owner_id.is_empty() || id.is_empty() {
            return None;
        }
        let plain = format!("repo:{owner}/{name}:");
        let numbered = format!("repo:{owner}@{owner_id}/{name}@{id}:");
        let sub = self.get("sub");
        let rest = sub.strip_prefix(&plain).or_else(|| sub.strip_prefix(&numbered))?;
        Some((format!("{plain}{rest}"), format!("{numbered}{rest}")))
    }
}

/// What is said of one part of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// True when this part matches.
    pub matches: bool,
    /// In one clause.
    pub what: String,
}

/// Whether a policy lets a token in, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// True when a statement matches whole and none denies.
    pub matches: bool,
    /// Every part of every statement.
    pub lines: Vec<Line>,
}

/// Compares `policy` with `claims`.
#[must_use]
pub fn explain(policy: &Json, claims: &Claims) -> Explained {
    let statements = list(&policy["Statement"]);
    let mut lines = Vec::new();
    let (mut allowed, mut denied) = (false, false);
    for (at, statement) in statements.iter().enumerate() {
        let parts = parts(statement, claims);
        let whole = parts.iter().all(|line| line.matches);
        let denies = statement["Effect"] == "Deny";
        allowed |= whole && !denies;
        denied |= whole && denies;
        let number = |line: Line| Line { what: format!("statement {}: {}", at + 1, line.what), ..line };
        lines.extend(parts.into_iter().map(number));
        if denies && whole {
            lines.push(Line { matches: false, what: format!("statement {}: it matches, and denies", at + 1) });
        }
    }
    if statements.is_empty() {
        lines.push(Line { matches: false, what: "the policy has no statement".to_owned() });
    }
    Explained { matches: allowed && !denied, lines }
}

fn parts(statement: &Json, claims: &Claims) -> Vec<Line> {
    let mut lines = Vec::new();
    let actions = texts(&statement["Action"]);
    let action = actions.iter().any(|action| like(&action.to_ascii_lowercase(), &ACTION.to_ascii_lowercase()));
    let told = if action {
        format!("the action is `{ACTION}`")
    } else {
        format!("the action must be `{ACTION}`, not {}", quoted(&actions))
    };
    lines.push(Line { matches: action, what: told });
    lines.push(principal(&statement["Principal"], claims));
    for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
        for (key, wanted) in keys.as_object().into_iter().flatten() {
            lines.push(condition(operator, key, &texts(wanted), claims));
        }
    }
    lines
}

fn principal(principal: &Json, claims: &Claims) -> Line {
    let provider = claims.provider();
    let end = format!(":oidc-provider/{provider}");
    let all = texts(&principal["Federated"]);
    let matches = !provider.is_empty() && all.iter().any(|arn| arn.starts_with("arn:aws") && arn.ends_with(&end));
    let what = match (matches, all.is_empty()) {
        (true, _) => format!("the principal is the provider `{provider}`"),
        (false, true) => format!("the principal must be `Federated`, an ARN that ends in `{end}`"),
        (false, false) => format!("the token is of the provider `{provider}`, the principal is {}", quoted(&all)),
    };
    Line { matches, what }
}

fn condition(operator: &str, key: &str, wanted: &[String], claims: &Claims) -> Line {
    let bare = operator.rsplit_once(':').map_or(operator, |(_, bare)| bare);
    let (bare, if_exists) = bare.strip_suffix("IfExists").map_or((bare, false), |bare| (bare, true));
    let shown = format!("`{operator}` of `{key}`");
    let Some(name) = key.strip_prefix(claims.provider()).and_then(|rest| rest.strip_prefix(':')) else {
        let what = format!("{shown}: the key must begin with `{}:`, the provider of the token", claims.provider());
        return Line { matches: if_exists, what };
    };
    let Some(value) = claims.0.get(name) else {
        let negated = bare.contains("Not");
        return Line { matches: if_exists || negated, what: format!("{shown}: the token has no claim `{name}`") };
    };
    let any = |matches: &dyn Fn(&str) -> bool| wanted.iter().any(|wanted| matches(wanted));
    let matches = match bare {
        "StringEquals" => any(&|wanted| wanted == value),
        "StringNotEquals" => !any(&|wanted| wanted == value),
        "StringEqualsIgnoreCase" => any(&|wanted| wanted.eq_ignore_ascii_case(value)),
        "StringNotEqualsIgnoreCase" => !any(&|wanted| wanted.eq_ignore_ascii_case(value)),
        "StringLike" => any(&|wanted| like(wanted, value)),
        "StringNotLike" => !any(&|wanted| like(wanted, value)),
        _ => return Line { matches: false, what: format!("{shown}: slm cannot judge this operator") },
    };
    let (says, why) = if matches { ("matches", String::new()) } else { ("does not match", why(bare, name, wanted, claims)) };
    Line { matches, what: format!("{shown}: {} {says} `{value}`{why}", quoted(wanted)) }
}

/// What most often is behind a claim that does not match.
fn why(operator: &str, name: &str, wanted: &[String], claims: &Claims) -> String {
    let value = claims.get(name);
    if operator == "StringEquals" && wanted.iter().any(|wanted| wanted.contains(['*', '?']) && like(wanted, value)) {
        return "; `*` and `?` stand for themselves there: write `StringLike`".to_owned();
    }
    if name == "aud" {
        return "; ask for the token with this audience, or name that of the token".to_owned();
    }
    let Some((plain, numbered)) = claims.forms().filter(|_| name == "sub") else { return String::new() };
    let takes = |form: &str| wanted.iter().any(|wanted| if operator == "StringLike" { like(wanted, form) } else { wanted == form });
    if value == numbered && takes(&plain) {
        "; the token names owner and repository with their numbers, as for repositories made, renamed or moved since 2026-07-15"
            .to_owned()
    } else if value == plain && takes(&numbered) {
        "; the token names owner and repository without their numbers, as for repositories of before 2026-07-15".to_owned()
    } else if wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(value)) {
        "; capitals matter".to_owned()
    } else {
        "; what follows the repository says what set the job going: a branch, a tag, an environment, a pull request".to_owned()
    }
}

/// A trust policy of a role in `account` of `partition` that lets in what `claims` says, in both forms of its `sub` where they are known,
/// and nobody else.
#[must_use]
pub fn wanted(partition: &str, account: &str, claims: &Claims) -> Json {
    let provider = claims.provider();
    let subs = claims.forms().map_or_else(|| vec![claims.get("sub").to_owned()], |(plain, numbered)| vec![plain, numbered]);
    let mut equal = Map::new();
    equal.insert(format!("{provider}:aud"), json!(claims.get("aud")));
    equal.insert(format!("{provider}:sub"), json!(subs));
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Federated": format!("arn:{partition}:iam::{account}:oidc-provider/{provider}") },
            "Action": ACTION,
            "Condition": { "StringEquals": equal },
        }],
    })
}

fn list(value: &Json) -> Vec<Json> {
    match value {
        Json::Array(all) => all.clone(),
        Json::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

fn texts(value: &Json) -> Vec<String> {
    list(value).iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

fn quoted(all: &[String]) -> String {
    if all.is_empty() { "nothing".to_owned() } else { all.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ") }
}

/// True when `pattern`, in which `*` is any text and `?` any one character, is all of `text`.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Where to go on when what follows the last `*` does not fit.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(one) if *one == '?' || *one == text[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((back, taken)) => {
                    at = back + 1;
                    from = taken + 1;
                    star = Some((back, from));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
