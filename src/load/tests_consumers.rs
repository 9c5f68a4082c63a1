//! What is wrong with a consumer is pointed at.

use super::tests::{CREDENTIAL, CREDENTIAL_PATH, World, world};
use crate::model::id::CredentialId;

#[test]
fn consumers_can_be_delivered_to() {
    world().with(CREDENTIAL_PATH, "run/app.env", "../app.env").says("slm::path-traversal", "\"../app.env\"", "absolute");
    assert_eq!(world().with(CREDENTIAL_PATH, "run/app.env", "/run/app..env").found(), []);
    for mode in ["0688", "rw", "60", "00600"] {
        let world = world().with(CREDENTIAL_PATH, "0600", mode);
        world.says("slm::bad-mode", &format!("\"{mode}\""), "octal");
    }
    world().with(CREDENTIAL_PATH, "reload = [\"true\"]", "reload = []").says("slm::empty-command", "[]", "program");
    for name in ["session-key", "1KEY", "GITHUB_KEY", ""] {
        let world = world().with(CREDENTIAL_PATH, "SESSION_KEY", name);
        world.says("slm::bad-secret-name", &format!("\"{name}\""), "A-Z");
    }
    world().with(CREDENTIAL_PATH, "repo = \"acme/app\", ", "").says("slm::environment-without-repo", "\"prod\"", "`repo`");
    world().with(CREDENTIAL_PATH, "acme/app", "acme").says("slm::bad-repo", "\"acme\"", "owner/name");
    world().with(CREDENTIAL_PATH, "source = \"org\"", "source = \"orgs\"").says("slm::unknown-source", "\"orgs\"", "`org`");
    world().with(CREDENTIAL_PATH, "source = \"org\"", "source = \"local\"").says("slm::wrong-source-kind", "\"local\"", "github");
}

#[test]
fn whoever_reads_a_file_is_seen_well_in_one_way() {
    let health =
        |health: &str| world().with(CREDENTIAL_PATH, "reload = [\"true\"]", &format!("reload = [\"true\"], health = {health}"));
    for right in [
        "{ url = \"http://127.0.0.1:8080/healthz\", expect = 204, within = \"1m\" }",
        "{ url = \"https://app.example.com/healthz\" }",
        "{ command = [\"/usr/lib/app/well\"] }",
    ] {
        assert_eq!(health(right).found(), [], "{right}");
    }
    health("{}").says("slm::not-one-kind", "health", "`{ url");
    health("{ command = [] }").says("slm::empty-command", "[]", "program");
    health("{ url = \"http://app.example.com/\" }").says("slm::unsafe-address", "\"http://app.example.com/\"", "https");
    health("{ command = [\"true\"], expect = 200 }").says("slm::bad-value", "200", "");
    health("{ command = [\"true\"], within = \"0s\" }").says("slm::bad-limit", "\"0s\"", "");
}

#[test]
fn a_github_secret_says_nothing_impossible() {
    for (with, at, says) in [
        (", store = \"dependabot\"", "\"prod\"", "`environment`"),
        (", store = \"codespaces\", set = { KEY = \"{{ value }}\" }", "set", "each secret, with a `template`"),
        (", template = \"{{ json.k }}\", set = { KEY = \"{{ value }}\" }", "\"{{ json.k }}\"", "`set`"),
        (", visibility = \"all\"", "\"all\"", "`visibility`"),
    ] {
        world().with(CREDENTIAL_PATH, "name = \"SESSION_KEY\"", &format!("name = \"SESSION_KEY\"{with}")).mentions(
            "slm::impossible-secret",
            at,
            says,
        );
    }
    let org = |with: &str| world().with(CREDENTIAL_PATH, "repo = \"acme/app\", environment = \"prod\"", with);
    org("visibility = \"selected\"").mentions("slm::impossible-secret", "\"selected\"", "`repos`");
    assert_eq!(org("repos = [\"acme/app\"]").found(), []);
    org("visibility = \"selected\", repos = [\"app\"]").mentions("slm::bad-repo", "[\"app\"]", "owner/name");
    assert_eq!(org("visibility = \"selected\", repos = [\"acme/app\"]").found(), []);
    assert_eq!(org("store = \"codespaces\", template = \"{{ json.k }}\"").found(), []);
    assert_eq!(org("visibility = \"private\", set = { KEY = \"{{ value.k }}\" }").found(), []);
    org("set = { key = \"{{ value.k }}\" }").mentions("slm::bad-secret-name", "set", "A-Z");
}

#[test]
fn each_kind_is_checked() {
    let other = |kind: &str| {
        let old =
            "github-actions-secret = { source = \"org\", repo = \"acme/app\", environment = \"prod\", name = \"SESSION_KEY\" }";
        world().with(CREDENTIAL_PATH, old, kind)
    };
    let hook = "url = \"https://hooks.example.com/slm\", sign-env = \"HOOK_KEY\"";
    assert_eq!(other(&format!("webhook = {{ {hook}, send = \"value\" }}")).found(), []);
    for url in ["http://hooks.example.com", "ftp://x", "https://"] {
        let world = other(&format!("webhook = {{ url = \"{url}\", sign-env = \"HOOK_KEY\" }}"));
        world.says("slm::unsafe-address", &format!("\"{url}\""), "https");
    }
    let local = "webhook = { url = \"http://127.0.0.1:8080/\", sign-env = \"HOOK_KEY\"";
    assert_eq!(other(&format!("{local} }}")).found(), []);
    other(&format!("{local}, send = \"value\" }}")).says("slm::unsafe-address", "\"http://127.0.0.1:8080/\"", "https");
    other("webhook = { url = \"https://h.example.com\", sign-env = \"\" }").says("slm::unsigned-webhook", "\"\"", "variable");
    assert_eq!(other("agent = { url = \"http://app-1:8420/\", key-env = \"AGENT_KEY\" }").found(), []);
    other("agent = { url = \"app-1\", key-env = \"AGENT_KEY\" }").says("slm::bad-address", "\"app-1\"", "HOST:PORT");
    other("agent = { url = \"http://app-1\", key-env = \"\" }").says("slm::unsigned-agent", "\"\"", "variable");
    other("exec = { command = [] }").says("slm::empty-command", "[]", "program");
    assert_eq!(other("exec = { command = [\"./bring\"], env = [\"X\"], timeout = \"5s\" }").found(), []);
    let flow = |source: &str, repo: &str| {
        other(&format!(
            "github-workflow-dispatch = {{ source = \"{source}\", repo = \"{repo}\", workflow = \"deploy.yml\", branch = \"main\" }}"
        ))
    };
    assert_eq!(flow("org", "acme/app").found(), []);
    flow("org", "app").says("slm::bad-repo", "\"app\"", "owner/name");
    flow("local", "acme/app").says("slm::wrong-source-kind", "\"local\"", "github");
    other("self-refreshing = {}").says("slm::staleness-missing", "self-refreshing", "max-staleness");
    assert_eq!(other("self-refreshing = {}\nmax-staleness = \"1h\"").found(), []);
    let read_by = |arn: &str| other(&format!("self-refreshing = {{}}\nmax-staleness = \"1h\"\nprincipals = [\"{arn}\"]"));
    assert_eq!(read_by("arn:aws:iam::123456789012:role/path/app").found(), []);
    for wrong in
        ["app", "arn:aws:sts::123456789012:assumed-role/app/i-1", "arn:aws:iam::1:role/app", "arn:aws:iam::123456789012:role/"]
    {
        read_by(wrong).says("slm::bad-principal", &format!("[\"{wrong}\"]"), "known by its role");
    }
}

/// An access key in the account `prod`, with a reader that is to be seen to read it.
fn acknowledged(principals: &str) -> World {
    let reader = format!(
        "[[consumer]]\nid = \"app\"\nself-refreshing = {{ acknowledged-by = \"cloudtrail\" }}\nmax-staleness = \"1h\"\n{principals}\n"
    );
    let head = CREDENTIAL.split("[[consumer]]").next().unwrap();
    let text = head
        .replace("source = \"local\"", "source = \"prod\"\nregion = \"eu-west-1\"")
        .replace("random = { length = 40, alphabet = \"alnum\" }", "aws-iam-access-key = { user = \"ci\" }");
    world().file(CREDENTIAL_PATH, &(text + &reader))
}

#[test]
fn who_is_to_be_seen_to_read_can_be_seen_and_is_waited_for() {
    let (app, other) = ("arn:aws:iam::123456789012:role/app", "arn:aws:iam::210987654321:role/app");
    let seen = |rotator: &str, place: &str| {
        let world = acknowledged(&format!("principals = [\"{app}\"]"));
        let world = world.with(CREDENTIAL_PATH, "aws-iam-access-key = { user = \"ci\" }", rotator);
        world.with(CREDENTIAL_PATH, "source = \"prod\"\nregion = \"eu-west-1\"", place)
    };
    let (key, prod) = ("aws-iam-access-key = { user = \"ci\" }", "source = \"prod\"\nregion = \"eu-west-1\"");
    assert_eq!(seen(key, prod).found(), []);
    acknowledged("").says("slm::unknown-reader", "\"cloudtrail\"", "ARNs of the roles");
    acknowledged(&format!("principals = [\"{other}\"]")).says(
        "slm::unseen-reader",
        &format!("[\"{other}\"]"),
        "role of that account",
    );
    seen(key, "source = \"local\"").mentions("slm::wrong-source-kind", "\"cloudtrail\"", "kind `aws`");
    seen("random = { length = 40 }", prod).says("slm::needless-acknowledgement", "\"cloudtrail\"", "`max-staleness`");
    acknowledged(&format!("principals = [\"{app}\"]")).with(CREDENTIAL_PATH, "\"cloudtrail\"", "\"word\"").mentions(
        "slm::bad-value",
        "\"word\"",
        "",
    );
}

#[test]
fn a_workload_has_a_secret_of_its_own_and_a_server_that_nobody_listens_to() {
    let old = "github-actions-secret = { source = \"org\", repo = \"acme/app\", environment = \"prod\", name = \"SESSION_KEY\" }";
    let fixed = "token-env = \"T\", namespace = \"shop\", workload = \"deployment/api\", secret = \"shop-db\"";
    let good = format!("kubernetes-workload = {{ server = \"https://k8s.example.com:6443\", {fixed} }}");
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        world().with(CREDENTIAL_PATH, old, &good.replacen(from, to, 1))
    };
    assert_eq!(with("deployment/api", "statefulset/api").found(), []);
    with("https://k8s.example.com:6443", "http://k8s").says("slm::unsafe-address", "\"http://k8s\"", "https");
    assert_eq!(with("https://k8s.example.com:6443", "http://127.0.0.1:8001").found(), []);
    for workload in ["cronjob/api", "deployment", "deployment/", "deployment/API", "deployment/a/b"] {
        with("deployment/api", workload).says("slm::bad-workload", &format!("\"{workload}\""), "statefulset/NAME");
    }
    with("\"shop\"", "\"../kube\"").says("slm::bad-object-name", "\"../kube\"", "a-z");
    let long = format!("\"{}\"", "x".repeat(56));
    with("\"shop-db\"", &long).says("slm::bad-object-name", &long, "at most 55");
    assert_eq!(with("\"shop-db\"", &long[1..].replacen('x', "\"", 1)).found(), []);
    with("\"shop-db\"", "\"shop-db\", keys = {}").says("slm::empty-secret", "keys", "keys");
    with("\"shop-db\"", "\"shop-db\", keys = { \"a/b\" = \"\" }").mentions("slm::bad-secret-key", "keys", "A-Z");
    let worker = |rest: &str| {
        let second = good.replace("deployment/api", "deployment/worker").replace(" }", rest);
        world().with(CREDENTIAL_PATH, old, &format!("{good}\n[[consumer]]\nid = \"worker\"\n{second}"))
    };
    assert_eq!(worker(" }").found(), []);
    worker(", keys = { K = \"{{ value }}\" } }").mentions("slm::shared-secret", "\"shop-db\"", "Secret of its own");
}

#[test]
fn a_function_is_in_a_region_in_scope_and_has_a_variable_of_its_own() {
    let old = "github-actions-secret = { source = \"org\", repo = \"acme/app\", environment = \"prod\", name = \"SESSION_KEY\" }";
    let good = "lambda = { source = \"prod\", region = \"eu-west-1\", function = \"reports\", alias = \"live\" }";
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        world().with(CREDENTIAL_PATH, old, &good.replacen(from, to, 1))
    };
    assert_eq!(with("live", "1live").found(), []);
    with("\"live\"", "\"2\"").says("slm::bad-object-name", "\"2\"", "no number");
    with("\"reports\"", "\"arn:x\"").says("slm::bad-object-name", "\"arn:x\"", "a-z");
    with("\"prod\"", "\"org\"").says("slm::wrong-source-kind", "\"org\"", "aws");
    with("\"prod\"", "\"prodd\"").says("slm::unknown-source", "\"prodd\"", "prod");
    with("\"eu-west-1\"", "\"eu-west-2\"").says("slm::unknown-region", "\"eu-west-2\"", "eu-west-1");
    with("region = \"eu-west-1\", ", "").mentions("slm::missing-region", "lambda", "eu-west-1");
    for name in ["AWS_REGION", "LAMBDA_X", "_X", "1X", "X", "A-B"] {
        let named = format!("\"live\", variable = \"{name}\"");
        with("\"live\"", &named).says("slm::bad-variable", &format!("\"{name}\""), "A-Z");
    }
    with("\"live\"", "\"live\", extension-ttl = \"300s\"").mentions("slm::impossible-function", "\"live\"", "extension-ttl");
    let twice = |rest: &str| with(" }", &format!("{rest} }}\n[[consumer]]\nid = \"again\"\n{good}"));
    twice("").mentions("slm::shared-variable", "lambda", "variable of its own");
    assert_eq!(twice(", variable = \"DB_VERSION\"").found(), []);

    // By itself it reads where the secret is, and for as long as it keeps that and one invocation takes.
    let reader = |rest: &str| {
        world().with(CREDENTIAL_PATH, old, &format!("lambda = {{ function = \"reports\", extension-ttl = \"300s\" }}{rest}"))
    };
    reader("").mentions("slm::wrong-source-kind", "lambda", "aws");
    for (given, seconds) in [("", 20 * 60), ("\nmax-staleness = \"1h\"", 3_600), ("\nmax-staleness = \"1s\"", 300)] {
        let place = "source = \"prod\"\nregion = \"eu-west-1\"";
        let loaded = reader(given).with(CREDENTIAL_PATH, "source = \"local\"", place).load();
        assert_eq!(loaded.diagnostics, []);
        let credential = &loaded.catalog.unwrap().credentials[&CredentialId::from("session")];
        assert_eq!(credential.consumers[1].max_staleness.as_seconds(), seconds, "{given}");
    }
    let pushed = with("live", "live").load().catalog.unwrap();
    assert_eq!(pushed.credentials[&CredentialId::from("session")].consumers[1].max_staleness.as_seconds(), 15 * 60);
}

#[test]
fn a_service_is_pinned_to_a_secret_that_tasks_can_take() {
    let old = "github-actions-secret = { source = \"org\", repo = \"acme/app\", environment = \"prod\", name = \"SESSION_KEY\" }";
    let place = "source = \"prod\"\nregion = \"eu-west-1\"";
    let good = "ecs-service = { source = \"prod\", region = \"eu-west-1\", cluster = \"main\", service = \"api\" }";
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        let world = world().with(CREDENTIAL_PATH, "source = \"local\"", place);
        world.with(CREDENTIAL_PATH, old, &good.replacen(from, to, 1))
    };
    assert_eq!(with("source = \"prod\", region = \"eu-west-1\", ", "").found(), []);
    with("\"api\"", "\"arn:x\"").says("slm::bad-object-name", "\"arn:x\"", "at most 127");
    with("\"main\"", "\"\"").says("slm::bad-object-name", "\"\"", "at most 127");
    with("\"api\"", "\"api\", variable = \"AWS_X\"").says("slm::bad-variable", "\"AWS_X\"", "A-Z");
    with("\"eu-west-1\"", "\"eu-west-9\"").says("slm::unknown-region", "\"eu-west-9\"", "eu-west-1");
    let vault = |rest: &str| world().with(CREDENTIAL_PATH, old, &good.replacen(" }", rest, 1));
    vault(" }").mentions("slm::cannot-pin", "ecs-service", "variable");
    assert_eq!(vault(", variable = \"DB_VERSION\" }").found(), []);
    let twice = |first: &str, second: &str| {
        let one = |rest: &str| good.replace(" }", &format!(", {rest} }}"));
        with("\"api\" }", &format!("\"api\", {first} }}\n[[consumer]]\nid = \"again\"\n{}", one(second)))
    };
    let (plain, app) = ("variable = \"DB_VERSION\"", "variable = \"DB_VERSION\", container = \"app\"");
    twice(plain, app).mentions("slm::shared-variable", "ecs-service", "variable of its own");
    assert_eq!(twice("variable = \"DB_VERSION\", container = \"side\"", app).found(), []);
    assert_eq!(twice("variable = \"MAIL_VERSION\"", app).found(), []);
}

#[test]
fn a_workflow_is_given_a_version_after_the_secrets_that_its_runs_take_up() {
    let secret =
        "github-actions-secret = { source = \"org\", repo = \"acme/app\", environment = \"prod\", name = \"SESSION_KEY\" }";
    let flow = "github-workflow-dispatch = { source = \"org\", repo = \"acme/app\", workflow = \"deploy.yml\", branch = \"main\" }";
    let both = format!("{flow}\n\n[[consumer]]\nid = \"late\"\n{secret}");
    let loaded = world().with(CREDENTIAL_PATH, secret, &both).load();
    assert_eq!(loaded.diagnostics, []);
    let catalog = loaded.catalog.unwrap();
    let consumers = &catalog.credentials[&CredentialId::from("session")].consumers;
    let order: Vec<&str> = consumers.iter().map(|one| one.id.as_str()).collect();
    assert_eq!((order.first(), order.last(), order[order.len() - 2]), (Some(&"app"), Some(&"ci"), "late"), "{order:?}");
}
