//! Checks on login roles of PostgreSQL.

use std::collections::BTreeMap;

use super::checks::Repo;
use super::text::{Doc, Item, error};
use crate::model::diagnostic::Diagnostic;
use crate::model::rotator::{NewPassword, PostgresServer, RotatorConfig};

/// Bytes of a name that the server keeps; the rest it cuts off without a word.
const NAME: usize = 63;

/// The roles of a rotator, and where.
struct Roles<'a> {
    /// Each with its place in the file.
    users: Vec<(&'a str, Vec<&'a str>)>,
    owner: Option<&'a str>,
    server: &'a PostgresServer,
    password: &'a NewPassword,
}

fn roles(kind: &RotatorConfig) -> Option<Roles<'_>> {
    match kind {
        RotatorConfig::PostgresAlternating(of) => {
            let [first, second] = &of.users;
            let users = vec![(first.as_str(), vec!["users", "0"]), (second.as_str(), vec!["users", "1"])];
            Some(Roles { users, owner: Some(&of.owner_role), server: &of.server, password: &of.password })
        }
        RotatorConfig::PostgresPassword(of) => {
            let users = vec![(of.user.as_str(), vec!["user"])];
            Some(Roles { users, owner: None, server: &of.server, password: &of.password })
        }
        _ => None,
    }
}

/// The rotator `name` can work, as far as its file tells; `shortest` is the least length of a password.
pub(super) fn rotator(doc: &Doc<'_>, name: &str, kind: &RotatorConfig, shortest: u16, out: &mut Vec<Diagnostic>) {
    let Some(of) = roles(kind) else { return };
    let at = |keys: &[&str]| doc.at(&[&["rotator", name], keys].concat());
    let names = of.users.iter().map(|(user, keys)| (*user, keys.clone())).chain(of.owner.map(|owner| (owner, vec!["owner-role"])));
    let mut seen = Vec::new();
    for (role, keys) in names {
        if role.trim().is_empty() || role.len() > NAME {
            let message = format!("`{role}` cannot be the name of a role");
            out.push(error("slm::bad-role", at(&keys), message, Some(format!("use a name of 1 to {NAME} bytes"))));
        } else if seen.contains(&role) {
            let message = format!("role `{role}` is named twice");
            let help = "name two login roles and the role without a login that owns what they make".to_owned();
            out.push(error("slm::same-role", at(&keys), message, Some(help)));
        }
        seen.push(role);
    }
    let server = of.server;
    let given = [
        ("host", !server.host.trim().is_empty()),
        ("port", server.port != 0),
        ("dbname", !server.dbname.trim().is_empty()),
        ("admin-env", !server.admin_env.trim().is_empty()),
    ];
    for (key, _) in given.iter().filter(|(_, given)| !given) {
        out.push(error("slm::bad-server", at(&["server", key]), format!("`{key}` of the server is empty"), None));
    }
    if of.password.length < shortest {
        let message = format!("a password of {} characters can be guessed", of.password.length);
        let help = format!("use {shortest} characters or more");
        out.push(error("slm::short-secret", at(&["password", "length"]), message, Some(help)));
    }
}

/// No two credentials set the password of one role.
pub(super) fn owned_once(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let mut taken = BTreeMap::new();
    for Item { doc, raw } in &repo.credentials {
        let Some(kind) = raw.rotator.kind() else { continue };
        let Some(of) = roles(&kind) else { continue };
        for (user, keys) in &of.users {
            let first = taken.entry((of.server.host.clone(), of.server.port, (*user).to_owned())).or_insert(doc.path);
            if *first != doc.path {
                let message = format!("role `{user}` of {} already belongs to `{first}`", of.server.host);
                let help = "give each role one owner: two would rotate it against each other".to_owned();
                let place = doc.at(&[&["rotator", kind.kind()], &keys[..]].concat());
                out.push(error("slm::role-owned-twice", place, message, Some(help)));
            }
        }
    }
}
