//! A file rendered on this machine, with a sidecar `<path>.slm` that says which version it holds and which one runs.

#![expect(clippy::disallowed_methods, reason = "it writes files of applications")]

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use async_trait::async_trait;
use minijinja::context;
use zeroize::Zeroizing;

use super::command::{self, Failed};
use super::health;
use super::several::Several;
use super::template;
use crate::model::catalog::FileConsumer;
use crate::model::id::{CredentialId, VersionId};
use crate::model::secret::Secret;
use crate::transport::atomic::{self, Owner};
use crate::world::{Consumer, ConsumerView, ErrorClass, Member, Shared, WorldError};

/// How long a reload command may take.
const RELOAD_TIMEOUT: Duration = Duration::from_mins(1);
/// How often the folder is tried: ten seconds in all, where a delivery takes milliseconds.
const HOLD_TRIES: u32 = if cfg!(test) { 3 } else { 500 };
/// Pause between two tries.
const HOLD_PAUSE: Duration = Duration::from_millis(20);
/// A file that holds a secret is its owner's alone unless the config repo says otherwise.
const DEFAULT_MODE: u32 = 0o600;

/// One rendered file.
pub struct RenderedFile {
    path: PathBuf,
    root: PathBuf,
    credential: CredentialId,
    config: FileConsumer,
    mode: u32,
    owner: Owner,
}

impl RenderedFile {
    /// The file of `config` for `credential`; a relative path counts from `root`, where reload commands run as well.
    ///
    /// # Errors
    /// [`ErrorClass::Permanent`] when the mode is not octal, the reload command is empty, or this machine does not know the owner.
    pub fn new(root: PathBuf, credential: CredentialId, config: FileConsumer) -> Result<Self, WorldError> {
        let wrong = |cause: &str| failure(ErrorClass::Permanent, &format!("use file `{}`", config.path), cause);
        let mode = match &config.mode {
            None => DEFAULT_MODE,
            Some(text) => {
                u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(|| wrong("its mode is not octal"))?
            }
        };
        if config.reload.as_ref().is_some_and(Vec::is_empty) {
            return Err(wrong("its reload command is empty"));
        }
        let owner = Owner::named(config.owner.as_deref(), config.group.as_deref()).map_err(|cause| wrong(&cause))?;
        Ok(Self { path: root.join(&config.path), root, credential, config, mode, owner })
    }

    fn sidecar(&self) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(".slm");
        PathBuf::from(path)
    }

    fn view(&self) -> io::Result<ConsumerView> {
        if !self.path.try_exists()? {
            return Ok(ConsumerView::default());
        }
        let text = match fs::read_to_string(self.sidecar()) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(ConsumerView::default()),
            Err(cause) => return Err(cause),
        };
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(VersionId::from);
        Ok(ConsumerView { stored: line("stored"), running: line("running"), ..ConsumerView::default() })
    }

    /// Holds off other writers in the folder of the file until it is dropped. Where folders cannot be locked, only the check of the
    /// version in force before each delivery stands between two writers.
    async fn hold(&self) -> io::Result<fs::File> {
        let path = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(path)?;
        let folder = fs::File::open(path)?;
        for _ in 0..HOLD_TRIES {
            match folder.try_lock() {
                Err(TryLockError::WouldBlock) => tokio::time::sleep(HOLD_PAUSE).await,
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(folder),
            }
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "another process holds its folder"))
    }

    fn note(&self, view: &ConsumerView) -> io::Result<()> {
        let line = |key: &str, id: &Option<VersionId>| id.as_ref().map_or_else(String::new, |id| format!("{key} {id}\n"));
        let text = line("stored", &view.stored) + &line("running", &view.running);
        atomic::replace(&self.sidecar(), text.as_bytes(), 0o644)
    }

    fn render(&self, version: &VersionId, value: &Secret) -> Result<Zeroizing<String>, WorldError> {
        let operation = format!("render file `{}`", self.config.path);
        let value = value.expose_text().map_err(|error| failure(ErrorClass::Permanent, &operation, &error.to_string()))?;
        let template = self.config.template.as_deref().unwrap_or("{{ value }}");
        let json: serde_json::Value = serde_json::from_str(value).unwrap_or_default();
        let json = minijinja::value::Serde(&json);
        let known = context! { value => value, json => json, version => version.as_str(), credential => self.credential.as_str() };
        template::render(template, known).map_err(|cause| failure(ErrorClass::Permanent, &operation, &cause))
    }

    fn reloading(&self) -> String {
        format!("reload file `{}`", self.config.path)
    }

    /// True when `version`, which the file holds, was loaded.
    fn loaded(&self, version: &VersionId) -> Result<bool, WorldError> {
        let view = self.view().map_err(|cause| atomic::failure(&self.reloading(), &cause))?;
        let other = || failure(ErrorClass::Conflict, &self.reloading(), "it holds another version");
        if view.stored.as_ref() == Some(version) { Ok(view.running.as_ref() == Some(version)) } else { Err(other()) }
    }

    /// Notes that `version` was loaded, unless another writer has come meanwhile: then nobody knows which was.
    async fn note_loaded(&self, version: &VersionId) -> Result<(), WorldError> {
        let failed = |cause| atomic::failure(&self.reloading(), &cause);
        let _held = self.hold().await.map_err(failed)?;
        self.loaded(version)?;
        let view = ConsumerView { stored: Some(version.clone()), running: Some(version.clone()), ..ConsumerView::default() };
        self.note(&view).map_err(failed)
    }

    async fn reload(&self, operation: &str) -> Result<(), WorldError> {
        let Some(words) = &self.config.reload else { return Ok(()) };
        command::run(words, &self.root, RELOAD_TIMEOUT).await.map_err(|failed| {
            let class = if matches!(failed, Failed::Start(_)) { ErrorClass::Permanent } else { ErrorClass::Transient };
            failure(class, operation, &format!("its reload command {failed}"))
        })
    }
}

impl RenderedFile {
    /// Waits until whoever reads the file goes on well: until then the version does not run.
    async fn well(&self) -> Result<(), WorldError> {
        let Some(health) = &self.config.health else { return Ok(()) };
        let operation = format!("see who reads file `{}` well", self.config.path);
        health::well(health, &self.root).await.map_err(|cause| failure(ErrorClass::Transient, &operation, &cause))
    }
}

#[async_trait]
impl Consumer for RenderedFile {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.view().map_err(|cause| atomic::failure(&format!("look at file `{}`", self.config.path), &cause))
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        let operation = format!("write file `{}`", self.config.path);
        let io = |cause| atomic::failure(&operation, &cause);
        let _held = self.hold().await.map_err(io)?;
        let view = self.view().map_err(io)?;
        if view.stored.as_ref() == Some(version) {
            return Ok(());
        }
        let text = self.render(version, value)?;
        // The file before its sidecar: a crash between the two only delivers the same again.
        atomic::replace_owned(&self.path, text.as_bytes(), self.mode, self.owner)
            .and_then(|()| {
                self.note(&ConsumerView { running: view.running, stored: Some(version.clone()), ..ConsumerView::default() })
            })
            .map_err(io)
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        if self.loaded(version)? {
            return Ok(());
        }
        self.reload(&self.reloading()).await?;
        self.well().await?;
        self.note_loaded(version).await
    }
}

#[async_trait]
impl Shared for Several<RenderedFile> {
    /// Runs the one command, and notes it beside every file that held its version before and holds it after.
    async fn begin(&self, members: &[(Member, VersionId)]) -> Result<(), WorldError> {
        // What stands in the way of one is told by itself.
        let all: Vec<_> = self.among(members).filter(|(one, version)| matches!(one.loaded(version), Ok(false))).collect();
        let Some((first, _)) = all.first() else { return Ok(()) };
        first.reload(&first.reloading()).await?;
        let mut failed = Ok(());
        for (one, version) in all {
            let begun = match one.well().await {
                Ok(()) => one.note_loaded(version).await,
                Err(error) => Err(error),
            };
            failed = failed.and(begun);
        }
        failed
    }
}

fn failure(class: ErrorClass, operation: &str, cause: &str) -> WorldError {
    WorldError { class, operation: operation.to_owned(), cause: cause.to_owned() }
}

#[cfg(test)]
mod tests {
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
        let command =
            |program: &[&str]| Health { command: Some(words(program)), within: Some(Limit::seconds(1)), ..Health::default() };
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
        assert_eq!(
            ill.observe().await.unwrap().running,
            Some("v1".into()),
            "the version before stays the one that is known to run"
        );
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
            assert_eq!(
                begun.as_ref().err().map(|error| error.cause.as_str()),
                (!well).then_some("its health address says HTTP 204")
            );
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
        for template in
            ["{{ missing }}", "{{ value.a.b }}", "{{ value | nope }}", "{{ value", "{{ value + 1 }}", "{% include value %}"]
        {
            let file = file(root.path(), Some(template), None, None);
            let error = file.deliver(&"v1".into(), &value("CANARY")).await.unwrap_err();
            assert!(!format!("{error:?} {error}").contains("CANARY"), "{template}");
            assert_eq!(error.class, ErrorClass::Permanent);
            assert!(!root.path().join("sub/app.ini").exists());
        }
    }
}
