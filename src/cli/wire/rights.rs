//! Asks databases ahead of rotations what their administrators may do, each once.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::{Asker, from_env};
use crate::collectors::rights::{of_mysql, of_postgres};
use crate::model::id::CredentialId;
use crate::model::preflight::Facts;
use crate::model::rights::Rights;
use crate::model::rotator::{MysqlServer, PostgresServer, RotatorConfig};
use crate::transport::mysql::Mysql;
use crate::transport::postgres::Postgres;

/// Databases asked at a time.
const TOGETHER: usize = 8;

/// One database: its host, its port, which one of them, and the variable with its administrator.
type Place<'a> = (&'a str, u16, &'a str, &'a str);

/// What to ask of one database, and for whom.
struct Question<'a> {
    server: Server<'a>,
    /// Each with from where it may come; of PostgreSQL, from nowhere in particular.
    logins: BTreeSet<(String, String)>,
    credentials: Vec<&'a CredentialId>,
}

#[derive(Clone, Copy)]
enum Server<'a> {
    Postgres(&'a PostgresServer),
    Mysql(&'a MysqlServer),
}

impl<'a> Server<'a> {
    fn place(self) -> Place<'a> {
        match self {
            Self::Postgres(of) => (&of.host, of.port, &of.dbname, &of.admin_env),
            Self::Mysql(of) => (&of.host, of.port, &of.dbname, &of.admin_env),
        }
    }
}

impl Asker<'_> {
    /// Asks for each of `ids` whose value a database lets in, and adds the answers to `facts`.
    pub(super) async fn rights(&self, ids: impl Iterator<Item = &CredentialId>, facts: &mut Facts) {
        let mut questions: BTreeMap<(bool, Place<'_>), Question<'_>> = BTreeMap::new();
        for credential in ids.filter_map(|id| self.catalog.credentials.get(id)) {
            let Some((server, logins)) = asked(&credential.rotator) else { continue };
            let key = (matches!(server, Server::Postgres(_)), server.place());
            let fresh = || Question { server, logins: BTreeSet::new(), credentials: Vec::new() };
            let question = questions.entry(key).or_insert_with(fresh);
            question.logins.extend(logins);
            question.credentials.push(&credential.id);
        }
        let questions: Vec<_> = questions.into_values().collect();
        for some in questions.chunks(TOGETHER) {
            for (question, answer) in some.iter().zip(join_all(some.iter().map(Question::put)).await) {
                facts.rights.extend(question.credentials.iter().map(|id| ((*id).clone(), answer.clone())));
            }
        }
    }
}

impl Question<'_> {
    async fn put(&self) -> Result<Rights, String> {
        let answer = match self.server {
            Server::Postgres(server) => {
                let roles = self.logins.iter().map(|(name, _)| name.clone()).collect();
                of_postgres(&Postgres::new(server, from_env(&server.admin_env)), &roles).await.map(Rights::Postgres)
            }
            Server::Mysql(server) => {
                of_mysql(&Mysql::new(server, from_env(&server.admin_env)), &self.logins).await.map(Rights::Mysql)
            }
        };
        answer.map_err(|error| error.to_string())
    }
}

/// The database of `rotator`, and the logins that matter there; `None` when no database lets its value in.
fn asked(rotator: &RotatorConfig) -> Option<(Server<'_>, Vec<(String, String)>)> {
    let role = |name: &String| (name.clone(), String::new());
    Some(match rotator {
        RotatorConfig::PostgresAlternating(of) => {
            (Server::Postgres(&of.server), of.users.iter().chain([&of.owner_role]).map(role).collect())
        }
        RotatorConfig::PostgresPassword(of) => (Server::Postgres(&of.server), vec![role(&of.user)]),
        RotatorConfig::MysqlAlternating(of) => {
            let users = of.users.iter().map(|user| (user.clone(), of.account_host.clone()));
            (Server::Mysql(&of.server), users.chain([(of.role.clone(), "%".to_owned())]).collect())
        }
        RotatorConfig::MysqlDual(of) | RotatorConfig::MysqlPassword(of) => {
            (Server::Mysql(&of.server), vec![(of.user.clone(), of.account_host.clone())])
        }
        _ => return None,
    })
}
