//! The examples of the README, with its very files.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_iam::Client as Iam;
use aws_sdk_iam::config::{Credentials, SharedCredentialsProvider};

use crate::aws::config;
use crate::aws_proxy::Proxy;
use crate::github_server::{self, TOKEN};
use crate::support::{Server, World};

const README: &str = include_str!("../../README.md");
const USER: &str = "arn:aws:iam::123456789012:user/ci-deployer";
const LEASE: Duration = Duration::from_secs(25);

/// The block of the README that begins with a comment that names `file`, without waiting times that nobody has here.
fn example(file: &str) -> String {
    let start = README.find(&format!("# {file}")).unwrap();
    let text = &README[start..start + README[start..].find("```").unwrap()];
    let mut text = text.to_owned();
    for (written, here) in
        [("lease = \"15m\"", "lease = \"25s\""), ("quiet = \"4h\"", "quiet = \"0s\""), ("soak = \"1d\"", "soak = \"0s\"")]
    {
        assert!(text.contains(written), "{written}");
        text = text.replace(written, here);
    }
    text
}

fn world(aws: &str, github: &str) -> World {
    let world = World::new()
        .with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("NO_PROXY", "127.0.0.1")
        .with("ACME_TOKEN", TOKEN);
    world.ship(&["ROT-01"]);
    world.write(
        "slm.toml",
        &format!(
            "[source.prod]\naws = {{ account = \"123456789012\", regions = [\"eu-west-1\"], endpoint = \"{aws}\" }}\n\n\
             [source.acme]\ngithub = {{ org = \"acme\", token-env = \"ACME_TOKEN\", base-url = \"{github}\" }}\n\n\
             [tiers]\ndefault = \"standard\"\nlimits = {{ standard = \"60d\" }}\n"
        ),
    );
    world.write("credentials/deployer.toml", &example("credentials/deployer.toml"));
    world.commit();
    world
}

/// What the last run read as the two halves of the key, chosen as the workflow of the README chooses.
fn deployed(github: &github_server::Server) -> (String, String) {
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        assert!(README.contains(&format!("{name}: ${{{{ secrets[format('{name}_{{0}}', vars.SLM_DEPLOYER)] }}}}")), "{name}");
    }
    github.with(|state| {
        let read: &BTreeMap<String, String> = &state.dispatched.last().unwrap().read;
        let half = |name: &str| read[&format!("{name}_{}", read["SLM_DEPLOYER"])].clone();
        (half("AWS_ACCESS_KEY_ID"), half("AWS_SECRET_ACCESS_KEY"))
    })
}

/// Who AWS says the key is, if it lets it in.
async fn who(endpoint: &str, (id, secret): &(String, String)) -> Option<String> {
    let key = Credentials::new(id, secret, None, None, "example");
    let own =
        config(endpoint, "eu-west-1", None).await.to_builder().credentials_provider(SharedCredentialsProvider::new(key)).build();
    aws_sdk_sts::Client::new(&own).get_caller_identity().send().await.ok()?.arn
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_readme_ends_with_the_old_key_refused() {
    let (moto, github) = (Server::moto(), github_server::Server::start());
    let proxy = Proxy::before(&moto.endpoint);
    let iam = Iam::new(&config(&moto.endpoint, "eu-west-1", None).await);
    iam.create_user().user_name("ci-deployer").send().await.unwrap();
    let world = world(&proxy.endpoint, &github.with(|state| state.root.clone()));
    world.slm(&["check"]).exits(0);
    world.slm(&["apply", "--auto-approve"]).says("rotate    deployer  done");
    let first = deployed(&github);

    println!("{}", world.slm(&["apply", "--auto-approve", "--force", "deployer"]).says("waits until").out);
    let promoted = Instant::now();
    let second = deployed(&github);
    assert_ne!(first, second);
    assert_eq!(github.with(|state| state.dispatched.len()), 2, "one deployment a value");
    for key in [&first, &second] {
        assert_eq!(who(&proxy.endpoint, key).await.as_deref(), Some(USER), "both work meanwhile");
    }

    std::thread::sleep((LEASE + Duration::from_secs(2)).saturating_sub(promoted.elapsed()));
    println!("{}", world.slm(&["apply", "--auto-approve"]).says("finish    deployer  done").out);
    assert_eq!(who(&proxy.endpoint, &first).await, None, "the old key is refused");
    assert_eq!(who(&proxy.endpoint, &second).await.as_deref(), Some(USER));
    assert_eq!(deployed(&github), second);
    world.slm(&["status", "deployer"]).says("nothing is left to do");
}

#[test]
fn the_tables_of_figures_are_those_that_were_measured_last() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let ran = std::process::Command::new("python3").arg(root.join("scripts/figures-table")).arg("--check").output().unwrap();
    assert_eq!((ran.status.code(), String::from_utf8_lossy(&ran.stderr)), (Some(0), "".into()));
}
