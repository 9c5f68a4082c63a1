//! Files as they are written, loaded and taken over.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::model::catalog::Health;
use crate::model::time::Limit;

fn file(root: &Path, template: Option<&str>, mode: Option<&str>, reload: Option<&[&str]>) -> RenderedFile {
    let config = FileConsumer {
        path: "sub/app.ini".to_owned(),
        template: template.map(str::to_owned),
        mode: mode.map(str::to_owned),
        reload: reload.map(|words| words.iter().map(|word| (*word).to_owned()).collect()),
        ..FileConsumer::default()
    };
    RenderedFile::new(root.to_owned(), "db".into(), config).unwrap()
}

fn value(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_delivery_renders_sets_the_mode_and_is_adopted_after_the_reload() {
    let root = tempfile::tempdir().unwrap();
    let reload: &[&str] = &["cp", "sub/app.ini", "reloaded"];
    let file = file(root.path(), Some("pw={{ value }} # {{ credential }} {{ version }}\n"), Some("0640"), Some(reload));
    assert_eq!(file.observe().await.unwrap(), ConsumerView::default());
    file.deliver(&"v1".into(), &value("a<&\"b")).await.unwrap();
    assert_eq!(file.observe().await.unwrap(), ConsumerView { stored: Some("v1".into()), ..ConsumerView::default() });
    file.activate(&"v1".into()).await.unwrap();
    assert_eq!(file.observe().await.unwrap().running, Some("v1".into()));
    assert_eq!(fs::read_to_string(root.path().join("reloaded")).unwrap(), "pw=a<&\"b # db v1\n");
    let path = root.path().join("sub/app.ini");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(!fs::read_to_string(root.path().join("sub/app.ini.slm")).unwrap().contains("a<"));
    assert_eq!(fs::read_dir(root.path().join("sub")).unwrap().count(), 2);
}

#[tokio::test]
async fn a_failing_reload_is_not_adopted() {
    let root = tempfile::tempdir().unwrap();
    let file = file(root.path(), None, None, Some(&["false"]));
    file.deliver(&"v1".into(), &value("x")).await.unwrap();
    assert!(file.activate(&"v1".into()).await.is_err());
    assert_eq!(file.observe().await.unwrap().running, None);
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Loaded by a command that says so in `loaded`, and well by what `health` says.
fn watched(root: &Path, health: Health) -> RenderedFile {
    let reload = Some(words(&["touch", "loaded"]));
    let config = FileConsumer { path: "app.ini".to_owned(), reload, health: Some(health), ..FileConsumer::default() };
    RenderedFile::new(root.to_owned(), "db".into(), config).unwrap()
}

#[tokio::test]
async fn a_version_runs_when_it_was_loaded_and_whoever_reads_it_is_well() {
    let root = tempfile::tempdir().unwrap();
    let command = |program: &[&str]| Health { command: Some(words(program)), within: Some(Limit::seconds(1)), ..Health::default() };
    let file = watched(root.path(), command(&["test", "-e", "well"]));
    file.deliver(&"v1".into(), &value("x")).await.unwrap();
    let error = file.activate(&"v1".into()).await.unwrap_err();
    assert_eq!((error.class, error.cause.contains("health command")), (ErrorClass::Transient, true), "{error}");
    assert!(root.path().join("loaded").exists());
    assert_eq!(file.observe().await.unwrap(), ConsumerView { stored: Some("v1".into()), ..ConsumerView::default() });
    fs::write(root.path().join("well"), "").unwrap();
    file.activate(&"v1".into()).await.unwrap();
    assert_eq!(file.observe().await.unwrap().running, Some("v1".into()));
    file.deliver(&"v2".into(), &value("y")).await.unwrap();
    let ill = watched(root.path(), command(&["false"]));
    ill.activate(&"v2".into()).await.unwrap_err();
    assert_eq!(ill.observe().await.unwrap().running, Some("v1".into()), "the version before stays the one that is known to run");
}

#[tokio::test]
async fn an_address_is_well_when_it_answers_with_what_is_expected() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/healthz", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = io::Read::read(&mut stream, &mut [0; 1024]);
            let _ = io::Write::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
        }
    });
    let root = tempfile::tempdir().unwrap();
    for (expect, well) in [(None, true), (Some(204), true), (Some(200), false)] {
        let within = Some(Limit::seconds(1));
        let file = watched(root.path(), Health { url: Some(url.clone()), expect, within, command: None });
        let version = VersionId::from(format!("v{expect:?}"));
        file.deliver(&version, &value("x")).await.unwrap();
        let begun = file.activate(&version).await;
        assert_eq!(begun.as_ref().err().map(|error| error.cause.as_str()), (!well).then_some("its health address says HTTP 204"));
        assert_eq!(file.observe().await.unwrap().running == Some(version), well);
    }
}

#[tokio::test]
async fn a_file_gets_its_owner_before_anybody_else_may_read_it() {
    use std::os::unix::fs::MetadataExt as _;
    let root = tempfile::tempdir().unwrap();
    let ours = fs::metadata(root.path()).unwrap();
    let owned = |owner: String, group: Option<String>| {
        let config = FileConsumer { path: "app.ini".to_owned(), owner: Some(owner), group, ..FileConsumer::default() };
        RenderedFile::new(root.path().to_owned(), "db".into(), config)
    };
    // Only root may give a file away.
    let (user, group) = if ours.uid() == 0 { (12_345, 23_456) } else { (ours.uid(), ours.gid()) };
    let file = owned(user.to_string(), Some(group.to_string())).unwrap();
    file.deliver(&"v1".into(), &value("x")).await.unwrap();
    let is = fs::metadata(root.path().join("app.ini")).unwrap();
    assert_eq!((is.uid(), is.gid(), is.mode() & 0o777), (user, group, 0o600));
    let named = owned("root".to_owned(), None).unwrap();
    assert_eq!(named.owner, Owner { user: Some(0), group: None });
    let error = owned("no-such-user".to_owned(), None).err().unwrap();
    assert_eq!((error.class, error.cause.contains("`no-such-user`")), (ErrorClass::Permanent, true), "{error}");
}

#[tokio::test]
async fn a_reload_command_sees_nothing_of_our_environment_but_a_few_variables() {
    let root = tempfile::tempdir().unwrap();
    // What every test is started with by cargo, as a token would be.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let file = file(root.path(), None, None, Some(&["sh", "-c", "env > seen"]));
    file.deliver(&"v1".into(), &value("x")).await.unwrap();
    file.activate(&"v1".into()).await.unwrap();
    let seen = fs::read_to_string(root.path().join("seen")).unwrap();
    assert!(seen.contains("PATH=") && !seen.contains("CARGO_MANIFEST_DIR"), "{seen}");
}

#[tokio::test]
async fn a_file_without_its_sidecar_or_the_reverse_is_delivered_again() {
    let root = tempfile::tempdir().unwrap();
    let file = file(root.path(), None, None, None);
    for gone in ["sub/app.ini", "sub/app.ini.slm"] {
        file.deliver(&"v1".into(), &value("x")).await.unwrap();
        fs::remove_file(root.path().join(gone)).unwrap();
        assert_eq!(file.observe().await.unwrap().stored, None);
    }
    file.deliver(&"v1".into(), &value("x")).await.unwrap();
    assert_eq!(fs::read_to_string(root.path().join("sub/app.ini")).unwrap(), "x");
}

#[tokio::test]
async fn a_folder_that_stays_held_is_an_error_and_not_the_end() {
    let root = tempfile::tempdir().unwrap();
    let file = file(root.path(), None, None, None);
    let held = file.hold().await.unwrap();
    let error = file.deliver(&"v1".into(), &value("x")).await.unwrap_err();
    assert_eq!((error.class, root.path().join("sub/app.ini").exists()), (ErrorClass::Transient, false));
    drop(held);
    file.deliver(&"v1".into(), &value("x")).await.unwrap();
}

#[tokio::test]
async fn a_template_takes_a_field_of_a_json_value() {
    let root = tempfile::tempdir().unwrap();
    let one = file(root.path(), Some("{{ json.value }}{{ json.id }}"), None, None);
    one.deliver(&"v1".into(), &value(r#"{"id":1,"value":"a\"b"}"#)).await.unwrap();
    assert_eq!(std::fs::read_to_string(root.path().join("sub/app.ini")).unwrap(), "a\"b1");
    let error = one.deliver(&"v2".into(), &value("no JSON")).await.unwrap_err();
    assert_eq!((error.class, error.cause.contains("no JSON")), (ErrorClass::Permanent, false), "{error}");
    assert_eq!(std::fs::read_to_string(root.path().join("sub/app.ini")).unwrap(), "a\"b1");
}

#[tokio::test]
async fn a_template_error_does_not_say_the_value() {
    let root = tempfile::tempdir().unwrap();
    for template in ["{{ missing }}", "{{ value.a.b }}", "{{ value | nope }}", "{{ value", "{{ value + 1 }}", "{% include value %}"]
    {
        let file = file(root.path(), Some(template), None, None);
        let error = file.deliver(&"v1".into(), &value("CANARY")).await.unwrap_err();
        assert!(!format!("{error:?} {error}").contains("CANARY"), "{template}");
        assert_eq!(error.class, ErrorClass::Permanent);
        assert!(!root.path().join("sub/app.ini").exists());
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_file_that_is_declared_otherwise_by_now_is_written_anew_and_loaded_though_its_version_is_the_same() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("sub/app.ini");
    let reload: &[&str] = &["cp", "sub/app.ini", "reloaded"];
    let bring = async |file: &RenderedFile| {
        file.deliver(&"v1".into(), &value("x")).await.unwrap();
        file.activate(&"v1".into()).await.unwrap();
        file.observe().await.unwrap().running
    };
    let first = file(root.path(), Some("a={{ value }}"), Some("0644"), Some(reload));
    assert_eq!(bring(&first).await, Some("v1".into()));
    for (template, permits) in [("b={{ value }}", "0644"), ("b={{ value }}", "0600")] {
        let next = file(root.path(), Some(template), Some(permits), Some(reload));
        assert_eq!(next.observe().await.unwrap(), ConsumerView::default(), "{template} {permits}");
        assert_eq!(bring(&next).await, Some("v1".into()));
        assert_eq!(fs::read_to_string(root.path().join("reloaded")).unwrap(), "b=x");
        assert_eq!(mode(&path), u32::from_str_radix(permits, 8).unwrap());
    }
    let same = file(root.path(), Some("b={{ value }}"), Some("600"), None);
    assert_eq!(
        same.observe().await.unwrap().running,
        Some("v1".into()),
        "a mode is no other by how it is written, nor by a reload"
    );
}

#[tokio::test]
async fn a_file_of_an_older_slm_is_written_anew_when_its_mode_is_looser_and_is_let_be_when_not() {
    let root = tempfile::tempdir().unwrap();
    let loose = file(root.path(), None, Some("0644"), None);
    loose.deliver(&"v1".into(), &value("x")).await.unwrap();
    fs::write(loose.sidecar(), "stored v1\nrunning v1\n").unwrap();
    assert_eq!(loose.observe().await.unwrap().running, Some("v1".into()));
    let tight = file(root.path(), None, Some("0640"), None);
    assert_eq!(tight.observe().await.unwrap(), ConsumerView::default());
    tight.deliver(&"v1".into(), &value("x")).await.unwrap();
    assert_eq!((mode(&root.path().join("sub/app.ini")), tight.observe().await.unwrap().stored), (0o640, Some("v1".into())));
}
