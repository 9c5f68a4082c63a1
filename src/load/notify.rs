//! Checks on who is told of what, and what they become.

use std::collections::BTreeSet;

use super::checks::Repo;
use super::raw_managed::Secret;
use super::raw_notify::{Alert, Notify};
use super::text::{Doc, Item, error, warning};
use super::{managed, near, raw};
use crate::model::calendar::Window;
use crate::model::catalog::SecretRef;
use crate::model::diagnostic::Diagnostic;
use crate::model::notify::{
    AlertOn, AlertSettings, Credentials, IssuesSettings, NotifyKind, NotifySettings, NotifyWay, SlackWay, Zone,
};
use crate::model::time::Limit;

/// How far ahead a report looks.
const AHEAD: Limit = Limit::days(30);

/// Each notifier can be reached in one way, and each alert has somewhere to go.
pub fn notify(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let Some(Item { doc, raw }) = &repo.settings else { return };
    for (name, notifier) in &raw.notify {
        one(repo, doc, name, notifier, out);
    }
    for (index, alert) in raw.alert.iter().enumerate() {
        self::alert(repo, doc, (&index.to_string(), alert), out);
    }
    let used: BTreeSet<&String> = raw.alert.iter().flat_map(|alert| &alert.to).collect();
    for (name, _) in raw.notify.iter().filter(|(name, one)| one.report == Some(false) && !used.contains(name)) {
        let help = "let an `[[alert]]` name it in `to`, or take `report = false` out".to_owned();
        let message = format!("notifier `{name}` is told nothing");
        out.push(warning("slm::unused-notifier", doc.at(&["notify", name]), message, Some(help)));
    }
}

fn one(repo: &Repo<'_>, doc: &Doc<'_>, name: &str, raw: &Notify, out: &mut Vec<Diagnostic>) {
    let place = |keys: &[&str]| doc.at(&[&["notify", name][..], keys].concat());
    if !is_name(name) {
        let help = "use 1 to 40 of `a-z 0-9 -`, a letter first".to_owned();
        out.push(error("slm::bad-notifier", place(&[]), format!("`{name}` cannot name a notifier"), Some(help)));
    }
    match raw.kind {
        NotifyKind::Slack => slack(repo, doc, name, raw, out),
        NotifyKind::Github => github(repo, doc, name, raw, out),
    }
    for (index, text) in raw.quiet.iter().enumerate() {
        if let Err(why) = text.parse::<Window>() {
            let why = why.replace("is not a change window", "are no quiet hours");
            let help = "write them as in `Mon-Sun 20:00-07:00 Europe/Berlin`".to_owned();
            out.push(error("slm::bad-quiet-hours", place(&["quiet", &index.to_string()]), why, Some(help)));
        }
    }
    if let Some(why) = raw.zone.as_ref().and_then(|zone| zone.parse::<Zone>().err()) {
        out.push(error("slm::bad-zone", place(&["zone"]), why, Some("write it as in `Europe/Berlin`".to_owned())));
    }
    for (index, prefix) in raw.confidential.iter().enumerate().filter(|(_, prefix)| prefix.trim().len() < 2) {
        let message = format!("`{prefix}` begins too many names");
        let help = "give two characters or more, as in `acme/board/`".to_owned();
        out.push(error("slm::bad-notifier", place(&["confidential", &index.to_string()]), message, Some(help)));
    }
    let links = [
        ("link", &raw.link, "https://git.example.com/evidence/blob/{commit}/{path}"),
        ("base-url", &raw.base_url, "https://slack.example.com/api"),
    ];
    for (key, link, example) in links {
        if let Some(link) = link.as_ref().filter(|link| !is_address(link)) {
            let message = format!("`{link}` is no address");
            out.push(error("slm::bad-notifier", place(&[key]), message, Some(format!("write one as in `{example}`"))));
        }
    }
}

fn slack(repo: &Repo<'_>, doc: &Doc<'_>, name: &str, raw: &Notify, out: &mut Vec<Diagnostic>) {
    let at = ["notify", name];
    let (token, webhook) = (raw.token_env.is_some() || raw.token.is_some(), raw.webhook_env.is_some() || raw.webhook.is_some());
    let given = [raw.token_env.is_some(), raw.token.is_some(), raw.webhook_env.is_some(), raw.webhook.is_some()];
    managed::one_kind(doc, &at, &given, "`token-env`, `token`, `webhook-env` or `webhook`", out);
    let channel_at = doc.at(&["notify", name, "channel"]);
    match (&raw.channel, token, webhook) {
        (None, true, _) => {
            let help = "write its id, as in `channel = \"C0123456789\"`".to_owned();
            out.push(error("slm::bad-notifier", doc.at(&at), format!("notifier `{name}` posts to no channel"), Some(help)));
        }
        (Some(channel), true, _) if !is_id(channel, "CGD") => {
            let help = "write its id, as in `C0123456789`: names change, and messages are found again by it".to_owned();
            out.push(error("slm::bad-notifier", channel_at, format!("`{channel}` is no id of a channel"), Some(help)));
        }
        (Some(_), false, true) => {
            let help = "take `channel` out".to_owned();
            out.push(error("slm::bad-notifier", channel_at, "an incoming webhook has its channel already", Some(help)));
        }
        _ => {}
    }
    for (key, secret) in [("token", &raw.token), ("webhook", &raw.webhook)] {
        if let Some(secret) = secret {
            stored(repo, doc, &["notify", name, key], secret, out);
        }
    }
    for (owner, handle) in raw.mention.iter().filter(|(_, handle)| !is_id(handle, "UWS")) {
        let help = "write the id of a member, `U…`, or of a user group, `S…`".to_owned();
        let message = format!("`{handle}` is nobody's id in Slack");
        out.push(error("slm::bad-notifier", doc.at(&["notify", name, "mention", owner]), message, Some(help)));
    }
}

fn github(repo: &Repo<'_>, doc: &Doc<'_>, name: &str, raw: &Notify, out: &mut Vec<Diagnostic>) {
    let at = |key: &str| doc.at(&["notify", name, key]);
    managed::one_kind(doc, &["notify", name], &[raw.token_env.is_some(), raw.token.is_some()], "`token-env` or `token`", out);
    if let Some(secret) = &raw.token {
        stored(repo, doc, &["notify", name, "token"], secret, out);
    }
    if raw.repo.as_deref().is_none_or(|repo| repo.split('/').filter(|part| !part.is_empty()).count() != 2 || repo.contains(' ')) {
        let help = "write it as in `repo = \"acme/slm-config\"`".to_owned();
        out.push(error("slm::bad-notifier", at("repo"), format!("notifier `{name}` names no repository"), Some(help)));
    }
    // It stands in an issue by which that is found again.
    if raw.environment.as_ref().is_some_and(|environment| !is_name(environment)) {
        let help = "use 1 to 40 of `a-z 0-9 -`, a letter first".to_owned();
        out.push(error("slm::bad-notifier", at("environment"), "it is part of a name in GitHub", Some(help)));
    }
    let slack = [
        ("channel", raw.channel.is_some()),
        ("webhook-env", raw.webhook_env.is_some()),
        ("webhook", raw.webhook.is_some()),
        ("mention", !raw.mention.is_empty()),
        ("quiet", !raw.quiet.is_empty()),
        ("report", raw.report.is_some()),
        ("zone", raw.zone.is_some()),
        ("link", raw.link.is_some()),
        ("confidential", !raw.confidential.is_empty()),
    ];
    for (key, _) in slack.into_iter().filter(|(_, given)| *given) {
        let help = "issues are opened, edited and closed by state; take it out".to_owned();
        out.push(error("slm::bad-notifier", at(key), format!("`{key}` says nothing to a notifier of kind `github`"), Some(help)));
    }
}

/// The secret is in a source that stores secrets.
fn stored(repo: &Repo<'_>, doc: &Doc<'_>, keys: &[&str], secret: &Secret, out: &mut Vec<Diagnostic>) {
    let at = |key| [keys, &[key]].concat();
    let Some(source) = managed::source(repo, doc, &at("source"), &secret.source, out) else { return };
    if source.aws.is_none() && source.vault.is_none() {
        let message = format!("source `{}` cannot store secrets", secret.source);
        let help = "use a source of kind `aws` or `vault`".to_owned();
        out.push(error("slm::wrong-source-kind", doc.at(&at("source")), message, Some(help)));
    } else if source.aws.is_some() != secret.region.is_some() {
        let (message, help) = if source.aws.is_some() {
            ("a secret of an AWS account needs a region", "add `region`")
        } else {
            ("a vault has no regions", "take `region` out")
        };
        out.push(error("slm::bad-secret-region", doc.at(keys), message, Some(help.to_owned())));
    }
}

fn alert(repo: &Repo<'_>, doc: &Doc<'_>, (index, raw): (&str, &Alert), out: &mut Vec<Diagnostic>) {
    let place = |keys: &[&str]| doc.at(&[&["alert", index][..], keys].concat());
    let Some(Item { raw: settings, .. }) = &repo.settings else { return };
    let names = || settings.notify.keys().map(String::as_str);
    if raw.to.is_empty() {
        let help = if settings.notify.is_empty() {
            "declare a `[notify.NAME]`, and name it in `to`".to_owned()
        } else {
            format!("name one of {} in `to`", near::list(names()))
        };
        out.push(error(
            "slm::unrouted-alert",
            place(&["to"]),
            format!("the alert on `{}` goes nowhere", raw.on.as_str()),
            Some(help),
        ));
    }
    let issues = |name: &String| settings.notify.get(name).is_some_and(|one| one.kind == NotifyKind::Github);
    for (at, name) in raw.to.iter().enumerate().filter(|(_, name)| issues(name)) {
        let message = format!("notifier `{name}` gives no alerts: its issues stand for what only a person can do");
        let help = "name one of kind `slack`".to_owned();
        out.push(error("slm::unrouted-alert", place(&["to", &at.to_string()]), message, Some(help)));
    }
    for (at, name) in raw.to.iter().enumerate().filter(|(_, name)| !settings.notify.contains_key(*name)) {
        let help = near::did_you_mean(name, names())
            .or_else(|| Some(format!("declare `[notify.{name}]`; the notifiers are {}", near::list(names()))));
        out.push(error("slm::unknown-notifier", place(&["to", &at.to_string()]), format!("unknown notifier `{name}`"), help));
    }
    let owners = owners(repo);
    for (at, owner) in raw.owner.iter().enumerate().filter(|(_, owner)| !owners.contains(owner.as_str())) {
        let help = near::did_you_mean(owner, owners.iter().copied())
            .or_else(|| Some(format!("the owners are {}", near::list(owners.iter().copied()))));
        let message = format!("nothing is owned by `{owner}`, so that the alert is never given for it");
        out.push(warning("slm::unknown-owner", place(&["owner", &at.to_string()]), message, help));
    }
    let only = [
        ("after", raw.after.is_some(), AlertOn::HalfDone),
        ("within", raw.within.is_some(), AlertOn::Expiring),
        ("below", raw.below.is_some(), AlertOn::Coverage),
    ];
    for (key, given, on) in only {
        if given && raw.on != on {
            let help = format!("it belongs to alerts on `{}`", on.as_str());
            out.push(error(
                "slm::bad-alert",
                place(&[key]),
                format!("`{key}` says nothing to an alert on `{}`", raw.on.as_str()),
                Some(help),
            ));
        }
    }
    if raw.on == AlertOn::Coverage && raw.below.is_none() {
        let help = "add `below`, as in `below = 95`".to_owned();
        out.push(error("slm::bad-alert", place(&["on"]), "an alert on `coverage` needs a floor", Some(help)));
    }
    if raw.below.is_some_and(|below| below > 100) {
        out.push(error("slm::bad-limit", place(&["below"]), "`below` is more than 100 percent", None));
    }
    if raw.within.is_some_and(|within| within > AHEAD) {
        out.push(error("slm::bad-limit", place(&["within"]), format!("nothing looks further ahead than {AHEAD}"), None));
    }
}

/// Whoever owns a control or a credential.
fn owners<'r>(repo: &'r Repo<'_>) -> BTreeSet<&'r str> {
    let controls = repo.controls.iter().map(|item| item.raw.owner.as_str());
    controls.chain(repo.credentials.iter().map(|item| item.raw.owner.as_str())).collect()
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=40).contains(&name.len()) && name.bytes().all(plain) && name.starts_with(|letter: char| letter.is_ascii_lowercase())
}

/// An id of Slack: one of the letters `first`, then eight or more of `A-Z 0-9`.
fn is_id(id: &str, first: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    id.len() >= 9 && id.starts_with(|letter| first.contains(letter)) && id.bytes().all(rest)
}

fn is_address(text: &str) -> bool {
    let local = ["http://127.0.0.1", "http://localhost"].iter().any(|start| text.starts_with(start));
    let clean = !text.contains(|letter: char| letter.is_whitespace() || letter.is_control() || "<>|\"`".contains(letter));
    (text.starts_with("https://") || local) && clean
}

/// The checked shape; `None` of one that was complained about.
pub fn compiled(raw: &Notify) -> Option<NotifySettings> {
    Some(NotifySettings {
        environment: raw.environment.clone().unwrap_or_else(|| "default".to_owned()),
        link: raw.link.clone(),
        confidential: raw.confidential.clone(),
        quiet: raw.quiet.iter().map(|text| text.parse().ok()).collect::<Option<_>>()?,
        zone: raw.zone.as_ref().map_or_else(|| Some(Zone::utc()), |zone| zone.parse().ok())?,
        report: raw.report.unwrap_or(true),
        mention: raw.mention.clone(),
        base_url: raw.base_url.clone(),
        way: NotifyWay::Slack(slack_way(raw)?),
    })
}

/// The checked shape of one that keeps issues; `None` of one that was complained about.
pub fn compiled_issues(raw: &Notify) -> Option<IssuesSettings> {
    Some(IssuesSettings {
        environment: raw.environment.clone().unwrap_or_else(|| "default".to_owned()),
        repo: raw.repo.clone()?,
        base_url: raw.base_url.clone(),
        token: login(&raw.token_env, &raw.token)?,
    })
}

fn login(env: &Option<String>, secret: &Option<Secret>) -> Option<Credentials> {
    let stored = |secret: &Secret| SecretRef {
        source: secret.source.as_str().into(),
        region: secret.region.clone().unwrap_or_else(|| ".".to_owned()),
        name: secret.name.clone(),
    };
    env.clone().map(Credentials::Env).or_else(|| secret.as_ref().map(stored).map(Credentials::Stored))
}

fn slack_way(raw: &Notify) -> Option<SlackWay> {
    match (&raw.channel, login(&raw.token_env, &raw.token)) {
        (Some(channel), Some(token)) => Some(SlackWay::Bot { channel: channel.clone(), token }),
        _ => Some(SlackWay::Webhook { address: login(&raw.webhook_env, &raw.webhook)? }),
    }
}

/// The checked shape of an alert.
pub fn compiled_alert(raw: &raw::Alert) -> AlertSettings {
    let usual = AlertSettings::new(raw.on, raw.to.clone());
    AlertSettings {
        owner: raw.owner.clone(),
        severity: raw.severity,
        after: raw.after.unwrap_or(usual.after),
        within: raw.within.unwrap_or(usual.within),
        below: raw.below.unwrap_or(usual.below),
        ..usual
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{World, world};
    use super::*;
    use crate::model::catalog::Severity;

    const SLACK: &str = "[notify.ops]\nkind = \"slack\"\nchannel = \"C0123456789\"\ntoken-env = \"SLACK_TOKEN\"\n";

    fn with(lines: &str) -> World {
        world().with("slm.toml", "[source.prod]", &format!("{lines}\n[source.prod]"))
    }

    #[test]
    fn a_channel_and_a_webhook_are_told_and_an_alert_has_its_way() {
        let hook = "[notify.hook]\nkind = \"slack\"\nwebhook = { source = \"local\", name = \"slack/hook\" }\nquiet = [\"Mon-Sun 20:00-07:00 Europe/Berlin\"]\n\
                    zone = \"Europe/Berlin\"\nreport = false\n";
        let alert = "[[alert]]\non = \"overdue\"\nto = [\"ops\", \"hook\"]\nowner = [\"platform\"]\nseverity = \"high\"\n[[alert]]\non = \"coverage\"\nbelow = 95\nto = [\"ops\"]\n";
        let world = with(&format!("{SLACK}environment = \"prod\"\nmention = {{ platform = \"S0123ABCD\" }}\n{hook}{alert}"));
        assert_eq!(world.found(), []);
        let settings = world.load().catalog.unwrap().settings;
        let ops = &settings.notify["ops"];
        let token = Credentials::Env("SLACK_TOKEN".to_owned());
        assert_eq!(ops.way, NotifyWay::Slack(SlackWay::Bot { channel: "C0123456789".to_owned(), token }));
        assert_eq!(
            (ops.environment.as_str(), ops.report, ops.is_quiet("2026-11-24T03:00:00Z".parse().unwrap())),
            ("prod", true, false)
        );
        let hook = &settings.notify["hook"];
        let secret = SecretRef { source: "local".into(), region: ".".to_owned(), name: "slack/hook".to_owned() };
        assert_eq!(hook.way, NotifyWay::Slack(SlackWay::Webhook { address: Credentials::Stored(secret) }));
        assert!(hook.is_quiet("2026-11-24T05:59:00Z".parse().unwrap()) && !hook.is_quiet("2026-11-24T06:00:00Z".parse().unwrap()));
        let alerts: Vec<_> = settings.alerts.iter().map(|one| (one.on, one.severity, one.after, one.within, one.below)).collect();
        assert_eq!(
            alerts,
            [
                (AlertOn::Overdue, Some(Severity::High), Limit::seconds(3_600), Limit::days(14), 0),
                (AlertOn::Coverage, None, Limit::seconds(3_600), Limit::days(14), 95)
            ]
        );
    }

    #[test]
    fn a_notifier_that_could_not_be_reached_is_refused() {
        with(&SLACK.replace("token-env = \"SLACK_TOKEN\"\n", "")).says("slm::not-one-kind", "ops", "`webhook-env`");
        with(&format!("{SLACK}webhook-env = \"HOOK\"\n")).says("slm::not-one-kind", "ops", "exactly one of");
        with(&SLACK.replace("channel = \"C0123456789\"\n", "")).says("slm::bad-notifier", "ops", "channel = \"C0123456789\"");
        with(&SLACK.replace("C0123456789", "#ops")).says("slm::bad-notifier", "\"#ops\"", "its id");
        with(&SLACK.replace("token-env = \"SLACK_TOKEN\"", "webhook-env = \"HOOK\"")).says(
            "slm::bad-notifier",
            "\"C0123456789\"",
            "take `channel` out",
        );
        with(&SLACK.replace("kind = \"slack\"", "kind = \"slak\"")).says("slm::bad-value", "\"slak\"", "did you mean `slack`?");
        with(&SLACK.replace("token-env = \"SLACK_TOKEN\"", "token = { source = \"org\", name = \"x\" }")).says(
            "slm::wrong-source-kind",
            "\"org\"",
            "`vault`",
        );
        with(&SLACK.replace("token-env = \"SLACK_TOKEN\"", "token = { source = \"prod\", name = \"x\" }")).says(
            "slm::bad-secret-region",
            "token",
            "add `region`",
        );
        with(&format!("{SLACK}mention = {{ platform = \"@here\" }}\n")).says("slm::bad-notifier", "\"@here\"", "user group");
        with(&format!("{SLACK}link = \"ftp://x\"\n")).says("slm::bad-notifier", "\"ftp://x\"", "{commit}");
        with(&format!("{SLACK}confidential = [\"\"]\n")).says("slm::bad-notifier", "\"\"", "two characters");
    }

    #[test]
    fn issues_are_kept_in_a_repository_and_are_told_nothing_that_slack_is() {
        let github = "[notify.tasks]\nkind = \"github\"\nrepo = \"acme/slm\"\ntoken-env = \"GITHUB_TOKEN\"\n";
        let settings = with(github).load().catalog.unwrap().settings;
        let token = Credentials::Env("GITHUB_TOKEN".to_owned());
        let (environment, repo) = ("default".to_owned(), "acme/slm".to_owned());
        assert_eq!(settings.issues["tasks"], IssuesSettings { environment, repo, base_url: None, token });
        assert!(settings.notify.is_empty());
        with(&github.replace("acme/slm", "acme")).says("slm::bad-notifier", "\"acme\"", "acme/slm-config");
        with(&github.replace("token-env = \"GITHUB_TOKEN\"\n", "")).says("slm::not-one-kind", "tasks", "`token-env`");
        with(&format!("{github}channel = \"C0123456789\"\n")).says("slm::bad-notifier", "\"C0123456789\"", "take it out");
        with(&format!("{github}environment = \"-->\"\n")).says("slm::bad-notifier", "\"-->\"", "a letter first");
        let alert = "[[alert]]\non = \"silent\"\nto = [\"tasks\"]\n";
        with(&format!("{github}{alert}")).says("slm::unrouted-alert", "\"tasks\"", "of kind `slack`");
    }

    #[test]
    fn quiet_hours_and_zones_are_those_of_a_place() {
        with(&format!("{SLACK}quiet = [\"Mon-Sun 20:00-07:00 Europe/Berlinn\"]\n")).says(
            "slm::bad-quiet-hours",
            "\"Mon-Sun 20:00-07:00 Europe/Berlinn\"",
            "Europe/Berlin",
        );
        with(&format!("{SLACK}zone = \"Mars\"\n")).says("slm::bad-zone", "\"Mars\"", "Europe/Berlin");
    }

    #[test]
    fn an_alert_that_would_never_be_given_is_complained_about() {
        let alert = |lines: &str| with(&format!("{SLACK}[[alert]]\n{lines}\n"));
        alert("on = \"silent\"\nto = [\"opz\"]").says("slm::unknown-notifier", "\"opz\"", "did you mean `ops`?");
        alert("on = \"silent\"\nto = []").says("slm::unrouted-alert", "[]", "`ops`");
        alert("on = \"silent\"\nto = [\"ops\"]\nowner = [\"platfrom\"]").says(
            "slm::unknown-owner",
            "\"platfrom\"",
            "did you mean `platform`?",
        );
        alert("on = \"coverage\"\nto = [\"ops\"]").says("slm::bad-alert", "\"coverage\"", "below = 95");
        alert("on = \"silent\"\nto = [\"ops\"]\nwithin = \"3d\"").says("slm::bad-alert", "\"3d\"", "`expiring`");
        alert("on = \"expiring\"\nto = [\"ops\"]\nwithin = \"31d\"").says("slm::bad-limit", "\"31d\"", "");
        with(&format!("{SLACK}report = false\n")).says("slm::unused-notifier", "ops", "`[[alert]]`");
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let world = with(&format!(
            "{}quiet = [\"x\"]\nzone = \"Mars\"\n[[alert]]\non = \"silent\"\nto = [\"opz\"]\n",
            SLACK.replace("C0123456789", "ops")
        ));
        let codes: Vec<&str> = world.found().into_iter().map(|(code, ..)| code).collect();
        assert_eq!(codes, ["slm::bad-notifier", "slm::bad-quiet-hours", "slm::bad-zone", "slm::unknown-notifier"]);
    }
}
