//! Two consumers of one place are pointed at, and neighbours are not.

use super::tests::{CREDENTIAL, CREDENTIAL_PATH, World, world};

const FILE: &str = "file = { path = \"run/app.env\", template = \"KEY={{ value }}\", mode = \"0600\", reload = [\"true\"] }";
const SECRET: &str =
    "github-actions-secret = { source = \"org\", repo = \"acme/app\", environment = \"prod\", name = \"SESSION_KEY\" }";

/// A second credential beside the first, with one consumer.
fn second(consumer: &str) -> World {
    let head = CREDENTIAL.split("[[consumer]]").next().unwrap().replace("app/session-key", "app/second");
    world().file("credentials/third.toml", &format!("{head}[[consumer]]\nid = \"other\"\n{consumer}\n"))
}

/// The one complaint there is, in all its words.
fn only(world: &World) -> (&'static str, String, String) {
    let found = world.load().diagnostics;
    assert_eq!(found.len(), 1, "{found:#?}");
    (found[0].code, found[0].place.file.clone(), found[0].message.clone())
}

fn owned(consumer: &str, code: &str, what: &str, by: &str) {
    let (found, file, message) = only(&second(consumer));
    let says = format!("{what} already belongs to consumer `{by}` of `{CREDENTIAL_PATH}`");
    assert_eq!((found, file.as_str(), message), (code, "credentials/third.toml", says), "{consumer}");
}

#[test]
fn two_credentials_do_not_write_one_file_nor_what_stands_beside_it() {
    owned(FILE, "slm::shared-file", "`run/app.env`", "app");
    owned("file = { path = \"./run//app.env\" }", "slm::shared-file", "`./run//app.env`", "app");
    owned("file = { path = \"run/app.env.slm\" }", "slm::shared-file", "`run/app.env.slm`", "app");
    second(FILE).says("slm::shared-file", "\"run/app.env\"", "a place of its own");
    for other in ["run/app.env2", "/run/app.env", "run/APP.env"] {
        assert_eq!(second(&format!("file = {{ path = \"{other}\" }}")).found(), [], "{other}");
    }
    let twice = world().with(CREDENTIAL_PATH, SECRET, "file = { path = \"run/app.env\" }");
    assert_eq!(only(&twice).2, format!("`run/app.env` already belongs to consumer `app` of `{CREDENTIAL_PATH}`"));
}

#[test]
fn two_credentials_do_not_write_one_secret_of_github_nor_its_variables() {
    let place = "secret `SESSION_KEY` of environment `prod` of `acme/app`";
    owned(SECRET, "slm::shared-secret", place, "ci");
    // GitHub takes both for the same.
    let loud = SECRET.replace("acme/app", "Acme/App").replace("\"prod\"", "\"Prod\"");
    owned(&loud, "slm::shared-secret", "secret `SESSION_KEY` of environment `Prod` of `Acme/App`", "ci");
    second(SECRET).says("slm::shared-secret", "\"SESSION_KEY\"", "a place of its own");
    for (from, to) in [
        ("SESSION_KEY", "SESSION_KEY_2"),
        ("environment = \"prod\"", "environment = \"stage\""),
        ("acme/app", "acme/web"),
        ("environment = \"prod\"", "store = \"dependabot\""),
    ] {
        assert_eq!(second(&SECRET.replace(from, to)).found(), [], "{to}");
    }
    // A set is kept under two names a secret, and so are the variables about it.
    let set = |name: &str, key: &str| {
        SECRET.replace("name = \"SESSION_KEY\"", &format!("name = \"{name}\", set = {{ {key} = \"{{{{ value.k }}}}\" }}"))
    };
    assert_eq!(second(&set("OTHER", "SESSION_KEY")).found(), []);
    let variable = "variable `SLM_SESSION_KEY` of environment `prod` of `acme/app`";
    owned(&set("SESSION_KEY", "K"), "slm::shared-secret", variable, "ci");
    let both = |first: &str, other: &str| {
        let (code, file, message) = only(&second(other).with(CREDENTIAL_PATH, SECRET, first));
        assert_eq!((code, file.as_str()), ("slm::shared-secret", "credentials/third.toml"));
        message.split(" of environment").next().unwrap().to_owned()
    };
    let single = |name: &str| SECRET.replace("SESSION_KEY", name);
    assert_eq!(both(&set("ONE", "KEY"), &set("TWO", "KEY")), "secret `KEY_A`");
    assert_eq!(both(&set("ONE", "KEY"), &single("KEY_B")), "secret `KEY_B`");
    assert_eq!(both(&set("ONE", "KEY"), &single("ONE_A")), "variable `SLM_ONE_A`");
    // Dependabot's variable is one of Actions.
    let dependabot = "github-actions-secret = { source = \"org\", repo = \"acme/app\", store = \"dependabot\", name = \"KEY\" }";
    let actions = "github-actions-secret = { source = \"org\", repo = \"acme/app\", name = \"DEPENDABOT_KEY\" }";
    let (_, _, message) = only(&second(actions).with(CREDENTIAL_PATH, SECRET, dependabot));
    assert!(message.starts_with("variable `SLM_DEPENDABOT_KEY` of `acme/app`"), "{message}");
}

#[test]
fn an_organisation_is_the_same_by_whichever_source_and_another_server_is_not() {
    let of =
        |source: &str| format!("github-actions-secret = {{ source = \"{source}\", name = \"SESSION_KEY\", visibility = \"all\" }}");
    let two = |more: &str| {
        let world = second(&of("twin")).with(CREDENTIAL_PATH, SECRET, &of("org"));
        let source = "[source.org]\n";
        world.with("slm.toml", source, &format!("[source.twin]\ngithub = {{ org = \"Acme\", token-env = \"T\"{more} }}\n{source}"))
    };
    let message = only(&two("")).2;
    assert!(message.starts_with("secret `SESSION_KEY` of `acme` already belongs to consumer `ci`"), "{message}");
    assert_eq!(two(", base-url = \"https://github.example.com/api/v3\"").found(), []);
}

#[test]
fn one_workflow_deploys_one_credential() {
    let flow = "github-workflow-dispatch = { source = \"org\", repo = \"acme/app\", workflow = \"deploy.yml\", branch = \"main\" }";
    let (code, _, message) = only(&second(flow).with(CREDENTIAL_PATH, SECRET, flow));
    let says = format!("workflow `deploy.yml` of `acme/app` already belongs to consumer `ci` of `{CREDENTIAL_PATH}`");
    assert_eq!((code, message), ("slm::shared-workflow", says));
    assert_eq!(second(&flow.replace("deploy.yml", "other.yml")).with(CREDENTIAL_PATH, SECRET, flow).found(), []);
    // Two consumers of one credential want the same version, and one run brings it to both.
    let again = format!("{flow}\n[[consumer]]\nid = \"again\"\n{flow}");
    assert_eq!(world().with(CREDENTIAL_PATH, SECRET, &again).found(), []);
}

#[test]
fn a_secret_that_another_consumer_hides_is_pointed_at_unless_that_is_meant() {
    let at = |place: &str| format!("github-actions-secret = {{ source = \"org\", name = \"SESSION_KEY\", {place} }}");
    let repo = at("repo = \"acme/app\"");
    let found = |wide: &str, near: &str| second(wide).with(CREDENTIAL_PATH, SECRET, near).found();
    let says = |wide: &str, near: &str, may: &str| {
        let found = found(wide, near);
        let help = format!("`overridden-in = [\"{may}\"]`");
        assert!(found.len() == 1 && found[0].0 == "slm::hidden-secret" && found[0].2.contains(&help), "{found:#?}");
    };
    says(&repo, SECRET, "prod");
    says(&at("visibility = \"private\""), &repo, "acme/app");
    says(&at("visibility = \"private\""), SECRET, "acme/app/prod");
    says(&at("visibility = \"selected\", repos = [\"acme/web\", \"Acme/App\"]"), &repo, "acme/app");
    for wide in [
        at("repo = \"acme/app\", overridden-in = [\"prod\"]"),
        at("repo = \"acme/web\""),
        at("visibility = \"selected\", repos = [\"acme/web\"]"),
        at("overridden-in = [\"acme/app\"]"),
        at("overridden-in = [\"acme/app/prod\"]"),
        at("store = \"dependabot\""),
        at("repo = \"acme/app\"").replace("SESSION_KEY", "OTHER"),
    ] {
        assert_eq!(found(&wide, SECRET), [], "{wide}");
    }
    // The variable that chooses a half of a set is read like a secret; what a single secret is noted in is not.
    let set = at("repo = \"acme/app\", set = { K = \"{{ value.k }}\" }");
    let near = at("repo = \"acme/app\", environment = \"prod\", set = { L = \"{{ value.k }}\" }");
    says(&set, &near, "prod");
    assert_eq!(found(&at("repo = \"acme/app\""), &near), []);
}
