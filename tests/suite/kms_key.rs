//! The log of the evidence signed by a key that never leaves KMS, on an emulator that has keys of that kind.

use std::sync::Arc;

use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use slm::record::log::{Signer, Verifier, compose, open};
use slm::transport::kms_key::KmsKey;
use slm::world::ErrorClass;

use crate::aws::config;
use crate::support::{Server, World, git};

const REGION: &str = "eu-west-1";
const TEXT: &str = "acme.example/slm\n1\nroot\n";

async fn make(server: &Server, kind: KeySpec) -> String {
    let client = Client::new(&config(&server.endpoint, REGION, None).await);
    let made = client.create_key().key_spec(kind).key_usage(KeyUsageType::SignVerify).send().await.unwrap();
    made.key_metadata.unwrap().key_id
}

#[tokio::test]
async fn what_kms_signs_is_a_note_that_anyone_can_open() {
    let server = Server::ministack();
    let id = make(&server, KeySpec::EccNistEdwards25519).await;
    let config = config(&server.endpoint, REGION, None).await;
    let key = KmsKey::open(&config, &id).await.unwrap();
    let signature = key.sign(TEXT.as_bytes()).await.unwrap();
    let verifier = Verifier::new("acme.example/slm", key.public()).unwrap();
    let good = signature.clone();
    let signer = Signer::elsewhere(verifier.clone(), move |_| Ok(good.clone()));
    let note = compose(TEXT, &[signer.sign(TEXT).unwrap()]).unwrap();
    assert_eq!(open(note.as_bytes(), std::slice::from_ref(&verifier)).unwrap().text, TEXT);
    // What is no signature of that key over that text is not taken.
    assert!(signer.sign("another\n").is_err());
    let silent = Signer::elsewhere(verifier, |_| Err("AccessDenied (HTTP 400)".to_owned()));
    assert_eq!(silent.sign(TEXT).unwrap_err().to_string(), "the key does not sign: AccessDenied (HTTP 400)");

    let other = make(&server, KeySpec::EccNistP256).await;
    let error = KmsKey::open(&config, &other).await.err().unwrap();
    assert_eq!((error.class, error.cause.as_str()), (ErrorClass::Permanent, "it is no key of the kind `ECC_NIST_EDWARDS25519`"));
    assert!(KmsKey::open(&config, "00000000-0000-0000-0000-000000000000").await.is_err());
}

fn keys(world: &World) -> Vec<String> {
    let said = world.slm(&["verify", "--no-memory", "--format", "json"]).exits(3).json();
    said["keys"].as_array().unwrap().iter().map(|key| key["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_signed_by_kms_and_one_key_of_kms_hands_over_to_the_next() {
    let server = Arc::new(Server::ministack());
    let (first, second) = (make(&server, KeySpec::EccNistEdwards25519).await, make(&server, KeySpec::EccNistEdwards25519).await);
    let world = World::scaffolded()
        .with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("NO_PROXY", "127.0.0.1");
    let text = world.read("slm.toml");
    let source = format!(
        "\n[source.prod]\naws = {{ account = \"123456789012\", regions = [\"{REGION}\"], endpoint = \"{}\" }}\n",
        server.endpoint
    );
    let key = |id: &str| format!("{{ source = \"prod\", region = \"{REGION}\", kms = \"{id}\" }}");
    let with = |keys: &str| world.write("slm.toml", &format!("{text}\n[locker.log]\norigin = \"acme\"\n{keys}\n{source}"));
    with(&format!("key = {}", key(&first)));
    world.commit();
    world.slm(&["check"]).exits(0);
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    let one = keys(&world);
    assert_eq!(one.len(), 1);
    world.slm(&["verify", "--no-memory", "--key", &one[0]]).exits(0).says("1 commit");

    // Another key alone is refused before anything is applied; with the one before it takes over.
    with(&format!("key = {}", key(&second)));
    world.slm(&["apply", "--auto-approve"]).exits(7).says("must be the value before the one in force to hand over");
    with(&format!("key = {}\nbefore = {}", key(&second), key(&first)));
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    with(&format!("key = {}", key(&second)));
    world.slm(&["apply", "--auto-approve"]).says("Recorded as ");
    let both = keys(&world);
    assert_eq!((both.len(), &both[0]), (2, &one[0]));
    for pinned in &both {
        world.slm(&["verify", "--no-memory", "--key", pinned]).exits(0).says("3 commits");
    }
    git(&world.root(), &["fsck", "--full", "--strict", "--no-dangling"]);
}
