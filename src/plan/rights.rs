//! What a rotation asks of a database, step by step to its end, and whether the administrator may do it. Pure.

use super::Input;
use super::preflight::{Found, file};
use crate::model::catalog::Credential;
use crate::model::preflight::{Check, Code, Sighting};
use crate::model::rights::{MysqlRights, PostgresRights, Rights, Sessions};
use crate::model::rotator::RotatorConfig;

/// Since when PostgreSQL asks for ADMIN OPTION on a role that is changed.
const ADMIN_OPTION: i32 = 160_000;
/// Privileges of MySQL of which each does.
const HAND_ON: [&str; 2] = ["ROLE_ADMIN", "SUPER"];
const END_SESSIONS: [&str; 2] = ["CONNECTION_ADMIN", "SUPER"];

/// What was found of the steps of one rotation.
#[derive(Default)]
struct Steps {
    count: usize,
    denied: Vec<String>,
    /// How what is denied is permitted.
    mend: Vec<String>,
    /// What will be other than it is.
    made: Vec<String>,
}

impl Steps {
    fn step(&mut self, permitted: bool, what: String, mend: &str) {
        self.count += 1;
        if !permitted {
            self.denied.push(what);
            if !self.mend.iter().any(|known| known == mend) {
                self.mend.push(mend.to_owned());
            }
        }
    }

    /// Holds what is denied, and says what was seen; `admin` names who was asked about.
    fn tell(self, credential: &Credential, admin: &str, found: &mut Found) {
        let who = format!("who `{admin}` logs in as");
        if !self.denied.is_empty() {
            let next = format!("{}, or it would stop half-way", self.mend.join("; "));
            return found.stop(Code::NotPermitted, format!("{who} may not {}", self.denied.join(", ")), next);
        }
        let made = self.made.iter().map(|made| format!("; {made}")).collect::<String>();
        let seen = format!("{0} of {0} steps permitted to {who}{made}", self.count);
        found.note(Check::Permissions, credential.id.as_str(), Sighting::Seen(seen));
    }
}

/// What the answers of databases say about the rotation of `credential`; nothing when none was asked for it. `begun` says that a value
/// is in force.
pub(super) fn answered(input: &Input<'_>, credential: &Credential, begun: bool, found: &mut Found) {
    let rights = match input.facts.rights.get(&credential.id) {
        None => return,
        Some(Ok(rights)) => rights,
        Some(Err(why)) => return found.note(Check::Permissions, credential.id.as_str(), Sighting::Unseen(why.clone())),
    };
    match (&credential.rotator, rights) {
        (RotatorConfig::PostgresAlternating(of), Rights::Postgres(rights)) => {
            let users = of.users.each_ref().map(String::as_str);
            let ends = of.end_sessions_after.is_some();
            let taken = |user: &&str| rights.roles.get(*user).is_some_and(|role| role.taken);
            let disabled = |user: &str| format!("`ALTER ROLE \"{user}\" NOLOGIN`");
            in_turn(credential, (users, begun), taken, disabled, found);
            postgres(credential, &of.server.admin_env, rights, (&users, Some(&of.owner_role), ends), found);
        }
        (RotatorConfig::PostgresPassword(of), Rights::Postgres(rights)) => {
            postgres(credential, &of.server.admin_env, rights, (&[&of.user], None, false), found);
        }
        (RotatorConfig::MysqlAlternating(of), Rights::Mysql(rights)) => {
            let ends = of.end_sessions_idle_for.is_some();
            let account = |user: &str| format!("{user}@{}", of.account_host);
            let taken = |user: &&str| rights.taken.contains(&account(user));
            let disabled = |user: &str| format!("`ALTER USER '{user}'@'{}' ACCOUNT LOCK`", of.account_host);
            in_turn(credential, (of.users.each_ref().map(String::as_str), begun), taken, disabled, found);
            mysql(credential, &of.server.admin_env, rights, Some((&of.role, ends)), found);
        }
        (RotatorConfig::MysqlDual(of) | RotatorConfig::MysqlPassword(of), Rights::Mysql(rights)) => {
            mysql(credential, &of.server.admin_env, rights, None, found);
        }
        _ => {}
    }
}

/// Of two logins in turn the one whose turn it is gets a new password: whoever uses it by another one would be locked out. While none is in
/// force that is the first of `users`; else it is the one that is not, of which the plan knows only that both may be `taken`.
fn in_turn(
    credential: &Credential,
    (users, begun): ([&str; 2], bool),
    taken: impl Fn(&&str) -> bool,
    disabled: impl Fn(&str) -> String,
    found: &mut Found,
) {
    let [first, second] = users;
    let whose = match (taken(&first), taken(&second)) {
        (true, _) if !begun => format!("`{first}`"),
        (true, true) => format!("whichever of `{first}` and `{second}` is not in force"),
        _ => return,
    };
    let next = if begun {
        format!("say that nobody does, by {} or the same of `{first}`", disabled(second))
    } else {
        format!(
            "store the value of whoever does as the first one of `{}`, or say that nobody does by {}",
            credential.secret.name,
            disabled(first)
        )
    };
    found.stop(
        Code::LoginTaken,
        format!("slm did not set the password of {whose}, and who logs in by it would be locked out"),
        next,
    );
}

/// The roles of `users`, each to be a member of an owner where there is one, and whose sessions are ended where that is declared.
fn postgres(
    credential: &Credential,
    admin: &str,
    rights: &PostgresRights,
    (users, owner, ends): (&[&str], Option<&str>, bool),
    found: &mut Found,
) {
    if let Some(owner) = owner.filter(|owner| !rights.roles.contains_key(*owner)) {
        let next = format!("create it with `create role {owner} nologin`, or mend `owner-role` in `{}`", file(credential));
        found.stop(Code::NoSuchUser, format!("there is no role `{owner}` to own what the two make"), next);
    }
    let option = rights.version >= ADMIN_OPTION;
    let give = if option {
        "give it CREATEROLE, and each role it changes `with admin option`"
    } else {
        "give it CREATEROLE; what is a superuser or replicates is changed by a superuser alone"
    };
    let mut steps = Steps::default();
    steps.step(!rights.standby, "change anything at a standby".to_owned(), "name the primary in its connection string");
    for user in users {
        match rights.roles.get(*user) {
            Some(_) => steps.step(may_alter(rights, user), format!("alter role `{user}`"), give),
            None => {
                steps.step(rights.superuser || rights.create_role, format!("create role `{user}`"), give);
                steps.made.push(format!("role `{user}` is not there yet and will be made"));
            }
        }
        let pair = |owner: &str| ((*user).to_owned(), owner.to_owned());
        if let Some(owner) = owner.filter(|owner| rights.roles.contains_key(*owner) && !rights.members.contains(&pair(owner))) {
            steps.step(may_hand_on(rights, owner), format!("grant `{owner}` to `{user}`"), give);
            steps.made.push(format!("`{user}` is no member of `{owner}` yet and will be"));
        }
        if ends {
            let role = rights.roles.get(*user).copied().unwrap_or_default();
            let sees = rights.superuser || rights.sees_all || role.used;
            let all = rights.superuser || (!role.superuser && (rights.ends_all || role.used));
            steps.step(sees, format!("see since when sessions of `{user}` are open"), "grant it `pg_read_all_stats`");
            steps.step(all, format!("end sessions of `{user}`"), "grant it `pg_signal_backend`");
        }
    }
    steps.tell(credential, admin, found);
}

/// Whether role `name`, which exists, may be altered and commented on.
fn may_alter(rights: &PostgresRights, name: &str) -> bool {
    let role = rights.roles.get(name).copied().unwrap_or_default();
    let reserved = role.superuser || (role.replication && rights.version < ADMIN_OPTION);
    rights.superuser || (rights.create_role && !reserved && (role.admin || rights.version < ADMIN_OPTION))
}

/// Whether membership in role `name` may be granted.
fn may_hand_on(rights: &PostgresRights, name: &str) -> bool {
    let role = rights.roles.get(name).copied().unwrap_or_default();
    let by_right = rights.create_role && rights.version < ADMIN_OPTION;
    rights.superuser || (!role.superuser && (role.admin || by_right))
}

/// The accounts of `credential`; `shared` is the role that both have, and whether their sessions are ended.
fn mysql(credential: &Credential, admin: &str, rights: &MysqlRights, shared: Option<(&str, bool)>, found: &mut Found) {
    let has = |any: &[&str]| any.iter().chain(&["ALL PRIVILEGES"]).any(|one| rights.global.contains(*one));
    let mut steps = Steps::default();
    let writes = !rights.super_read_only && (!rights.read_only || has(&END_SESSIONS));
    steps.step(writes, "change anything at a server that is read-only".to_owned(), "name the primary in its connection URL");
    steps.step(has(&["CREATE USER"]), "create and alter accounts".to_owned(), "grant it CREATE USER");
    steps.step(rights.accounts.is_some(), "read `mysql.user`".to_owned(), "grant it SELECT on `mysql.user`");
    if let Some((role, ends)) = shared {
        let name = format!("{role}@%");
        if rights.accounts.as_ref().is_some_and(|accounts| !accounts.contains(&name)) {
            let next = format!("create it with its privileges, or mend `role` in `{}`", file(credential));
            found.stop(Code::NoSuchUser, format!("there is no role `{role}` with the privileges of the two"), next);
        }
        let hands_on = has(&HAND_ON) || rights.admin_of.contains(&name);
        steps.step(hands_on, format!("grant role `{role}`"), "grant it ROLE_ADMIN, or the role `with admin option`");
        let mend = match rights.sessions {
            Sessions::Off => "switch `performance_schema` on",
            _ => "grant it SELECT on `performance_schema.threads`",
        };
        steps.step(rights.sessions == Sessions::Told, "see who is logged in".to_owned(), mend);
        if ends {
            steps.step(has(&END_SESSIONS), "end sessions".to_owned(), "grant it CONNECTION_ADMIN");
        }
    }
    steps.tell(credential, admin, found);
}
