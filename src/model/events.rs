//! Calls that make members of populations and end them, as the log of calls of a source names them.

use super::id::{EntityType, ResourceId, SourceId};
use super::time::Timestamp;

/// The entity type of such a call that was observed. It is no population: it explains those that are.
pub const EVENT_ENTITY: &str = "Aws::Event";

/// One call, by its name.
pub struct Kind {
    /// Its name in the log.
    pub name: &'static str,
    /// True when it makes what it is about, false when it ends it.
    pub makes: bool,
    /// Types of what it is about.
    pub entities: &'static [&'static str],
    /// How what it is about begins in its ARN, behind the account.
    noun: &'static str,
    /// How the part of an id begins that follows `#`; empty when there is none, [`INLINE`] when the call names it.
    part: &'static str,
    /// True when it is logged in one region for a whole account.
    pub global: bool,
}

const fn kind(
    name: &'static str,
    makes: bool,
    entities: &'static [&'static str],
    (noun, part): (&'static str, &'static str),
    global: bool,
) -> Kind {
    Kind { name, makes, entities, noun, part, global }
}

const SECRET: &str = "secret:";
const TRAIL: &str = "trail/";
const USER: &str = "user/";
const ROLE: &str = "role/";
const GROUP: &str = "group/";
const POLICY: &str = "policy/";
/// The part of an id that is the name of a policy inside a user, a role or a group.
const INLINE: &str = "*";

/// Every call that is looked for.
pub const KINDS: &[Kind] = &[
    kind("CreateSecret", true, &["Aws::Secret"], (SECRET, ""), false),
    kind("DeleteSecret", false, &["Aws::Secret"], (SECRET, ""), false),
    kind("CreateTrail", true, &["Aws::Trail"], (TRAIL, ""), false),
    kind("DeleteTrail", false, &["Aws::Trail"], (TRAIL, ""), false),
    kind("CreateUser", true, &["Aws::User", "Aws::Principal"], (USER, ""), true),
    kind("DeleteUser", false, &["Aws::User", "Aws::Principal"], (USER, ""), true),
    kind("CreateRole", true, &["Aws::Principal", "Aws::OidcRole"], (ROLE, ""), true),
    kind("DeleteRole", false, &["Aws::Principal", "Aws::OidcRole"], (ROLE, ""), true),
    kind("CreatePolicy", true, &["Aws::Policy"], (POLICY, ""), true),
    kind("DeletePolicy", false, &["Aws::Policy"], (POLICY, ""), true),
    // A put makes a policy or says another thing in one that is there.
    kind("PutUserPolicy", true, &["Aws::Policy"], (USER, INLINE), true),
    kind("DeleteUserPolicy", false, &["Aws::Policy"], (USER, INLINE), true),
    kind("PutRolePolicy", true, &["Aws::Policy"], (ROLE, INLINE), true),
    kind("DeleteRolePolicy", false, &["Aws::Policy"], (ROLE, INLINE), true),
    kind("PutGroupPolicy", true, &["Aws::Policy"], (GROUP, INLINE), true),
    kind("DeleteGroupPolicy", false, &["Aws::Policy"], (GROUP, INLINE), true),
    kind("CreateAccessKey", true, &["Aws::AccessKey", "Aws::Credential"], (USER, "access_key"), true),
    kind("DeleteAccessKey", false, &["Aws::AccessKey", "Aws::Credential"], (USER, "access_key"), true),
    kind("CreateLoginProfile", true, &["Aws::Credential"], (USER, "password"), true),
    kind("DeleteLoginProfile", false, &["Aws::Credential"], (USER, "password"), true),
];

impl Kind {
    /// True when it is about a policy inside a user, a role or a group, which is named by both names with `#` between.
    #[must_use]
    pub fn is_inline(&self) -> bool {
        self.part == INLINE
    }
}

/// A call that was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where it was logged.
    pub source: SourceId,
    /// Account and region, or account and `global`.
    pub scope: String,
    /// When it was made, by the clock of the source.
    pub at: Timestamp,
    /// Its name.
    pub name: String,
    /// What it was about, as the caller named it or the source answered: a name or an ARN, with `#` and the name of a policy in it.
    pub of: String,
    /// Who made it.
    pub by: String,
}

impl Event {
    /// True when it made (`came`) or ended the resource `id` of `entity`, seen in `scope` of `source`.
    #[must_use]
    pub fn explains(&self, came: bool, entity: &EntityType, (source, scope, id): (&SourceId, &str, &ResourceId)) -> bool {
        let Some(kind) = KINDS.iter().find(|kind| kind.name == self.name) else { return false };
        let account = |scope: &str| scope.split('/').next().unwrap_or_default().to_owned();
        let place = if kind.global { account(&self.scope) == account(scope) } else { self.scope == scope };
        kind.makes == came
            && kind.entities.contains(&entity.as_str())
            && *source == self.source
            && place
            && names(&self.of, id.as_str(), kind)
    }
}

/// True when `of` is a name of the resource `id`, which is what a call of `kind` is about.
fn names(of: &str, id: &str, kind: &Kind) -> bool {
    let (arn, rest) = id.split_once('#').unwrap_or((id, ""));
    let (of, part) = if kind.is_inline() { of.split_once('#').unwrap_or((of, "")) } else { (of, kind.part) };
    let fits = if kind.is_inline() { rest == part } else { rest.starts_with(part) };
    if rest.is_empty() != part.is_empty() || !fits || of.is_empty() || (kind.is_inline() && part.is_empty()) {
        return false;
    }
    // A role may have the name of a user.
    let Some(name) = arn.splitn(6, ':').nth(5).and_then(|named| named.strip_prefix(kind.noun)) else { return false };
    if kind.noun == SECRET {
        return arn == of || without_suffix(arn) == Some(of) || without_suffix(name) == Some(of);
    }
    arn == of || name.rsplit('/').next() == Some(of)
}

/// Without the hyphen and the six letters that AWS adds to the name of a secret.
fn without_suffix(name: &str) -> Option<&str> {
    name.get(..name.len().checked_sub(7)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explains(name: &str, of: &str, came: bool, entity: &str, id: &str) -> bool {
        let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
        let scope = if kind.global { "1/global" } else { "1/eu-west-1" };
        let (source, at) = (SourceId::from("prod"), Timestamp::UNIX_EPOCH);
        let event = Event {
            source: source.clone(),
            scope: scope.to_owned(),
            at,
            name: name.to_owned(),
            of: of.to_owned(),
            by: String::new(),
        };
        event.explains(came, &entity.into(), (&source, scope, &id.into()))
    }

    #[test]
    fn a_call_explains_what_it_names_and_nothing_else() {
        const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:1:secret:app/key-AbCdEf";
        for of in [SECRET, "app/key", "arn:aws:secretsmanager:eu-west-1:1:secret:app/key"] {
            assert!(explains("CreateSecret", of, true, "Aws::Secret", SECRET), "{of}");
            assert!(!explains("CreateSecret", of, false, "Aws::Secret", SECRET), "{of}: it did not end it");
            assert!(explains("DeleteSecret", of, false, "Aws::Secret", SECRET), "{of}");
        }
        for of in ["", "app", "key", "app/key2", "key-AbCdEf"] {
            assert!(!explains("CreateSecret", of, true, "Aws::Secret", SECRET), "{of}");
        }
        let (user, key) = ("arn:aws:iam::1:user/team/ada", "arn:aws:iam::1:user/team/ada#access_key_1");
        assert!(
            explains("CreateUser", "ada", true, "Aws::User", user) && explains("CreateUser", user, true, "Aws::Principal", user)
        );
        assert!(!explains("CreateUser", "ada", true, "Aws::AccessKey", key));
        assert!(explains("DeleteAccessKey", "ada", false, "Aws::AccessKey", key));
        assert!(explains("CreateAccessKey", "ada", true, "Aws::Credential", key));
        assert!(!explains("CreateAccessKey", "ada", true, "Aws::Credential", "arn:aws:iam::1:user/team/ada#password"));
        assert!(!explains("CreateUser", "da", true, "Aws::User", user));
        let role = "arn:aws:iam::1:role/ada";
        assert!(explains("DeleteRole", "ada", false, "Aws::Principal", role));
        assert!(!explains("DeleteUser", "ada", false, "Aws::Principal", role), "a role of the name of a user");
        assert!(!explains("DeleteRole", "ada", false, "Aws::Principal", user));
        let trail = "arn:aws:cloudtrail:eu-west-1:1:trail/all";
        assert!(explains("DeleteTrail", "all", false, "Aws::Trail", trail));
        assert!(explains("DeleteTrail", trail, false, "Aws::Trail", trail));
    }

    #[test]
    fn a_call_explains_the_policy_that_it_put_into_a_user_a_role_or_a_group() {
        for (what, noun) in [("User", "user"), ("Role", "role"), ("Group", "group")] {
            let (put, delete) = (format!("Put{what}Policy"), format!("Delete{what}Policy"));
            let policy = format!("arn:aws:iam::1:{noun}/team/ada#read");
            assert!(explains(&put, "ada#read", true, "Aws::Policy", &policy), "{put}");
            assert!(explains(&delete, "ada#read", false, "Aws::Policy", &policy), "{delete}");
            assert!(!explains(&put, "ada#read", false, "Aws::Policy", &policy), "{put} did not end it");
            for other in ["ada#write", "ada", "ada#", "bo#read", "#read"] {
                assert!(!explains(&put, other, true, "Aws::Policy", &policy), "{put} {other}");
            }
            let holder = format!("arn:aws:iam::1:{noun}/team/ada");
            for of in ["ada#read", "ada#", "ada"] {
                assert!(!explains(&put, of, true, "Aws::Policy", &holder), "{put} {of} made no {noun}");
            }
        }
        let key = "arn:aws:iam::1:user/ada#access_key_1";
        assert!(!explains("PutUserPolicy", "ada#access_key_1", true, "Aws::AccessKey", key), "a policy of the name of a key");
        assert!(
            !explains("PutRolePolicy", "ada#read", true, "Aws::Policy", "arn:aws:iam::1:user/ada#read"),
            "another's of its name"
        );
    }

    #[test]
    fn a_call_in_another_place_explains_nothing() {
        let event = |scope: &str, name: &str| Event {
            source: "prod".into(),
            scope: scope.to_owned(),
            at: Timestamp::UNIX_EPOCH,
            name: name.to_owned(),
            of: "x".to_owned(),
            by: String::new(),
        };
        let secret = ResourceId::from("arn:aws:secretsmanager:eu-west-1:1:secret:x-AbCdEf");
        let user = ResourceId::from("arn:aws:iam::1:user/x");
        let (prod, other) = (SourceId::from("prod"), SourceId::from("other"));
        let made = |scope: &str, source: &SourceId| {
            event(scope, "CreateSecret").explains(true, &"Aws::Secret".into(), (source, "1/eu-west-1", &secret))
        };
        assert_eq!([made("1/eu-west-1", &prod), made("1/us-east-1", &prod), made("1/eu-west-1", &other)], [true, false, false]);
        let made = |scope: &str| event(scope, "CreateUser").explains(true, &"Aws::User".into(), (&prod, "1/global", &user));
        assert_eq!([made("1/global"), made("2/global")], [true, false]);
    }
}
