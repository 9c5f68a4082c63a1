//! Checks on who logs in to databases: roles of PostgreSQL, accounts of MySQL.

use std::collections::BTreeMap;

use super::checks::Repo;
use super::text::{Doc, Item, error};
use crate::model::diagnostic::Diagnostic;
use crate::model::rotator::{MysqlServer, NewPassword, PostgresServer, RotatorConfig};

/// What a server calls those who log in, and the longest name it takes: PostgreSQL cuts longer ones off without a word.
#[derive(Clone, Copy)]
struct Words {
    one: &'static str,
    longest: usize,
    shared: &'static str,
    twice: &'static str,
}

const POSTGRES: Words = Words {
    one: "role",
    longest: 63,
    shared: "owner-role",
    twice: "name two login roles and the role without a login that owns what they make",
};
const MYSQL: Words =
    Words { one: "account", longest: 32, shared: "role", twice: "name two accounts and the role that has the privileges of both" };

/// Who a rotator has log in, and where.
struct Logins<'a> {
    words: Words,
    /// Each with its place in the file.
    users: Vec<(&'a str, Vec<&'a str>)>,
    /// The role that both have.
    shared: Option<&'a str>,
    /// From where they may come, where that is part of their name.
    from: Option<&'a str>,
    server: Server<'a>,
    password: &'a NewPassword,
}

/// Where they log in.
struct Server<'a> {
    host: &'a str,
    port: u16,
    dbname: &'a str,
    admin_env: &'a str,
}

impl<'a> From<&'a PostgresServer> for Server<'a> {
    fn from(of: &'a PostgresServer) -> Self {
        Self { host: &of.host, port: of.port, dbname: &of.dbname, admin_env: &of.admin_env }
    }
}

impl<'a> From<&'a MysqlServer> for Server<'a> {
    fn from(of: &'a MysqlServer) -> Self {
        Self { host: &of.host, port: of.port, dbname: &of.dbname, admin_env: &of.admin_env }
    }
}

fn one(user: &str) -> Vec<(&str, Vec<&str>)> {
    vec![(user, vec!["user"])]
}

fn two([first, second]: &[String; 2]) -> Vec<(&str, Vec<&str>)> {
    vec![(first, vec!["users", "0"]), (second, vec!["users", "1"])]
}

fn logins(kind: &RotatorConfig) -> Option<Logins<'_>> {
    Some(match kind {
        RotatorConfig::PostgresAlternating(of) => Logins {
            words: POSTGRES,
            users: two(&of.users),
            shared: Some(&of.owner_role),
            from: None,
            server: Server::from(&of.server),
            password: &of.password,
        },
        RotatorConfig::PostgresPassword(of) => Logins {
            words: POSTGRES,
            users: one(&of.user),
            shared: None,
            from: None,
            server: Server::from(&of.server),
            password: &of.password,
        },
        RotatorConfig::MysqlAlternating(of) => Logins {
            words: MYSQL,
            users: two(&of.users),
            shared: Some(&of.role),
            from: Some(&of.account_host),
            server: Server::from(&of.server),
            password: &of.password,
        },
        RotatorConfig::MysqlDual(of) | RotatorConfig::MysqlPassword(of) => Logins {
            words: MYSQL,
            users: one(&of.user),
            shared: None,
            from: Some(&of.account_host),
            server: Server::from(&of.server),
            password: &of.password,
        },
        _ => return None,
    })
}

/// The rotator `name` can work, as far as its file tells; `shortest` is the least length of a password.
pub(super) fn rotator(doc: &Doc<'_>, name: &str, kind: &RotatorConfig, shortest: u16, out: &mut Vec<Diagnostic>) {
    let Some(of) = logins(kind) else { return };
    let at = |keys: &[&str]| doc.at(&[&["rotator", name], keys].concat());
    let Words { one, longest, shared, twice } = of.words;
    let names = of.users.iter().map(|(user, keys)| (*user, keys.clone())).chain(of.shared.map(|role| (role, vec![shared])));
    let mut seen = Vec::new();
    for (user, keys) in names {
        if user.trim().is_empty() || user.len() > longest {
            let article = if one.starts_with('a') { "an" } else { "a" };
            let message = format!("`{user}` cannot be the name of {article} {one}");
            out.push(error("slm::bad-role", at(&keys), message, Some(format!("use a name of 1 to {longest} bytes"))));
        } else if seen.contains(&user) {
            out.push(error("slm::same-role", at(&keys), format!("{one} `{user}` is named twice"), Some(twice.to_owned())));
        }
        seen.push(user);
    }
    let server = &of.server;
    let given = [
        ("host", !server.host.trim().is_empty()),
        ("port", server.port != 0),
        ("dbname", !server.dbname.trim().is_empty()),
        ("admin-env", !server.admin_env.trim().is_empty()),
    ];
    for (key, _) in given.iter().filter(|(_, given)| !given) {
        out.push(error("slm::bad-server", at(&["server", key]), format!("`{key}` of the server is empty"), None));
    }
    if of.from.is_some_and(|from| from.trim().is_empty()) {
        let help = "write `%` for anywhere, or leave it out".to_owned();
        out.push(error("slm::bad-role", at(&["account-host"]), "`account-host` is empty", Some(help)));
    }
    if of.password.length < shortest {
        let message = format!("a password of {} characters can be guessed", of.password.length);
        let help = format!("use {shortest} characters or more");
        out.push(error("slm::short-secret", at(&["password", "length"]), message, Some(help)));
    }
}

/// No two credentials set the password of one login.
pub(super) fn owned_once(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let mut taken = BTreeMap::new();
    for Item { doc, raw } in &repo.credentials {
        let Some(kind) = raw.rotator.kind() else { continue };
        let Some(of) = logins(&kind) else { continue };
        for (user, keys) in &of.users {
            let login = (of.server.host.to_owned(), of.server.port, (*user).to_owned(), of.from.map(str::to_owned));
            let first = taken.entry(login).or_insert(doc.path);
            if *first != doc.path {
                let one = of.words.one;
                let message = format!("{one} `{user}` of {} already belongs to `{first}`", of.server.host);
                let help = format!("give each {one} one owner: two would rotate it against each other");
                let place = doc.at(&[&["rotator", kind.kind()], &keys[..]].concat());
                out.push(error("slm::role-owned-twice", place, message, Some(help)));
            }
        }
    }
}
