//! Which version of a secret a task definition starts its containers with, and the same definition with another one.

use aws_sdk_ecs::types::{ContainerDefinition, KeyValuePair, Tag};

use super::reply;
use crate::model::catalog::SecretRef;
use crate::model::id::VersionId;

/// Where in a definition the version is named.
pub(super) struct Pin {
    /// The account and the secret whose version its `secrets` name.
    pub account: String,
    pub secret: SecretRef,
    /// The environment variable that names it instead.
    pub variable: Option<String>,
    /// The one container looked at; every one when absent.
    pub container: Option<String>,
}

impl Pin {
    fn is_meant(&self, container: &ContainerDefinition) -> bool {
        self.container.is_none() || self.container == container.name
    }

    /// What names a secret of Secrets Manager, when it is ours: its ARN, and the key of a JSON value.
    fn ours<'v>(&self, from: &'v str) -> Option<(&'v str, &'v str, &'v str)> {
        let parts: Vec<&str> = from.split(':').collect();
        let ["arn", _, "secretsmanager", region, account, "secret", name, rest @ ..] = parts.as_slice() else { return None };
        let random = name.strip_prefix(self.secret.name.as_str())?;
        let whole = random.is_empty() || random.len() == 7 && random.starts_with('-');
        let ours = whole && *region == self.secret.region && *account == self.account;
        let after = rest.iter().map(|part| part.len() + 1).sum::<usize>();
        let part = |at: usize| rest.get(at).copied().unwrap_or_default();
        ours.then(|| (&from[..from.len() - after], part(0), part(2)))
    }

    /// The version that every container meant is started with; none when they do not agree.
    pub fn version(&self, containers: &[ContainerDefinition]) -> Option<VersionId> {
        let meant = || containers.iter().filter(|one| self.is_meant(one));
        let named: Vec<&str> = match &self.variable {
            None => meant().flat_map(|one| one.secrets()).filter_map(|one| Some(self.ours(&one.value_from)?.2)).collect(),
            Some(name) => meant().map(|one| variable(one, name)).collect(),
        };
        let first = *named.first()?;
        reply::version(first).filter(|_| named.iter().all(|version| *version == first))
    }

    /// `containers` with `version`; why not, when nothing names the secret.
    pub fn pinned(&self, containers: &[ContainerDefinition], version: &VersionId) -> Result<Vec<ContainerDefinition>, String> {
        let (mut containers, mut found) = (containers.to_vec(), false);
        for container in containers.iter_mut().filter(|one| self.is_meant(one)) {
            if let Some(name) = &self.variable {
                let environment = container.environment.get_or_insert_default();
                environment.retain(|pair| pair.name() != Some(name.as_str()));
                environment.push(KeyValuePair::builder().name(name).value(version.as_str()).build());
                found = true;
                continue;
            }
            for secret in container.secrets.iter_mut().flatten() {
                if let Some((arn, key, _)) = self.ours(&secret.value_from) {
                    // No label beside the id: both would have to hold.
                    secret.value_from = format!("{arn}:{key}::{version}");
                    found = true;
                }
            }
        }
        match found {
            true => Ok(containers),
            false => Err(format!("no container of it takes `{}` by its ARN", self.secret.name)),
        }
    }
}

fn variable<'c>(container: &'c ContainerDefinition, name: &str) -> &'c str {
    let found = container.environment().iter().find(|pair| pair.name() == Some(name));
    found.and_then(KeyValuePair::value).unwrap_or_default()
}

/// The value of the tag `key`.
pub(super) fn tag<'t>(tags: &'t [Tag], key: &str) -> Option<&'t str> {
    tags.iter().find(|tag| tag.key() == Some(key)).and_then(Tag::value)
}

/// `tags` with `ours` over them, without those that AWS sets.
pub(super) fn tagged(tags: &[Tag], ours: &[(&str, &str)]) -> Vec<Tag> {
    let kept = |tag: &&Tag| {
        let key = tag.key().unwrap_or_default();
        !key.starts_with("aws:") && ours.iter().all(|(own, _)| *own != key)
    };
    let ours = ours.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build());
    tags.iter().filter(kept).cloned().chain(ours).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::Secret;

    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf";

    fn pin(variable: Option<&str>, container: Option<&str>) -> Pin {
        let secret = SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: "prod/db".to_owned() };
        let text = |text: Option<&str>| text.map(str::to_owned);
        Pin { account: "123456789012".to_owned(), secret, variable: text(variable), container: text(container) }
    }

    fn container(name: &str, from: &[&str]) -> ContainerDefinition {
        let one = |from: &&str| Secret::builder().name("X").value_from(*from).build().unwrap();
        ContainerDefinition::builder().name(name).set_secrets(Some(from.iter().map(one).collect())).build()
    }

    fn sources(containers: &[ContainerDefinition]) -> Vec<&str> {
        containers.iter().flat_map(|one| one.secrets()).map(|one| one.value_from.as_str()).collect()
    }

    #[test]
    fn only_the_secret_of_the_credential_is_pinned_and_its_json_key_stays() {
        let keyed = format!("{ARN}:password:AWSCURRENT:");
        let others = [
            "arn:aws:ssm:eu-west-1:123456789012:parameter/prod/db",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db2-AbCdEf",
            "arn:aws:secretsmanager:eu-west-2:123456789012:secret:prod/db-AbCdEf",
            "arn:aws:secretsmanager:eu-west-1:210987654321:secret:prod/db-AbCdEf",
        ];
        let before = [container("app", &[ARN, &keyed]), container("side", &others)];
        let after = pin(None, None).pinned(&before, &"v1".into()).unwrap();
        let mine = [format!("{ARN}:::v1"), format!("{ARN}:password::v1")];
        let all: Vec<&str> = mine.iter().map(String::as_str).chain(others).collect();
        assert_eq!(sources(&after), all);
        assert_eq!((pin(None, None).version(&before), pin(None, None).version(&after)), (None, Some("v1".into())));
        let again = pin(None, None).pinned(&after, &"v2".into()).unwrap();
        assert_eq!(pin(None, None).version(&again), Some("v2".into()));
        let said = pin(None, Some("side")).pinned(&before, &"v1".into()).unwrap_err();
        assert_eq!(said, "no container of it takes `prod/db` by its ARN");
    }

    #[test]
    fn containers_that_do_not_agree_have_no_version() {
        let (old, new) = (format!("{ARN}:::v1"), format!("{ARN}:::v2"));
        let torn = [container("app", &[&old]), container("side", &[&new])];
        assert_eq!(pin(None, None).version(&torn), None);
        assert_eq!(pin(None, Some("side")).version(&torn), Some("v2".into()));
        let bumped = pin(Some("DB"), Some("app")).pinned(&torn, &"v3".into()).unwrap();
        assert_eq!(sources(&bumped), sources(&torn));
        assert_eq!(pin(Some("DB"), Some("app")).version(&bumped), Some("v3".into()));
        assert_eq!(pin(Some("DB"), None).version(&bumped), None);
        let twice = pin(Some("DB"), None).pinned(&bumped, &"v4".into()).unwrap();
        assert_eq!(twice.iter().map(|one| one.environment().len()).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn tags_are_kept_but_those_of_aws() {
        let of = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let tags = tagged(&[of("team", "shop"), of("aws:x", "y"), of("slm:from", "old")], &[("slm:from", "new")]);
        assert_eq!(tags, [of("team", "shop"), of("slm:from", "new")]);
        assert_eq!((tag(&tags, "slm:from"), tag(&tags, "none")), (Some("new"), None));
    }
}
