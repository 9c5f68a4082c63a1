//! The files of one secret and the stamp beside the first of them, which is all the state there is.
//!
//! A version on trial stands in the stamp as `trying` before a file is touched, and each file it replaces keeps a second name,
//! `<path>.slm-before`, until the application is seen well. Killed anywhere, the next pass finds either and goes on from it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use minijinja::context;
use zeroize::Zeroizing;

use super::config::{Config, FileConfig, SecretConfig};
use crate::model::id::{CredentialId, VersionId};
use crate::model::secret::Secret;
use crate::transport::atomic::{self, Owner};
use crate::transport::template;
use crate::world::{ErrorClass, WorldError};

/// A file that holds a secret is its owner's alone unless the config says otherwise.
const MODE: u32 = 0o600;

/// The files of one secret.
pub(super) struct Files {
    files: Vec<Rendered>,
    credential: CredentialId,
}

struct Rendered {
    path: PathBuf,
    template: String,
    mode: u32,
    owner: Owner,
}

/// What the files are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The version in them.
    pub(super) stored: Option<VersionId>,
    /// The version the application was seen well with.
    pub(super) running: Option<VersionId>,
    /// The version that was gone back from.
    pub(super) refused: Option<VersionId>,
    /// The version on trial.
    pub(super) trying: Option<VersionId>,
}

impl Stamp {
    /// True when nothing is left to do for `version`, as far as a stamp can tell.
    pub(super) fn settled(&self, version: &VersionId) -> bool {
        self.trying.is_none() && self.stored.as_ref() == Some(version) && self.running.as_ref() == Some(version)
    }

    fn parse(text: &str) -> Self {
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(VersionId::from);
        Self { stored: line("stored"), running: line("running"), refused: line("refused"), trying: line("trying") }
    }

    fn text(&self) -> String {
        let lines = [("stored", &self.stored), ("running", &self.running), ("refused", &self.refused), ("trying", &self.trying)];
        lines.iter().filter_map(|(key, id)| Some(format!("{key} {}\n", id.as_ref()?))).collect()
    }
}

impl Files {
    /// The files of `secret`, by `config`.
    ///
    /// # Errors
    /// [`ErrorClass::Permanent`] when a mode, an owner or a template file is not what it has to be.
    pub(super) fn new(config: &Config, secret: &SecretConfig) -> Result<Self, WorldError> {
        let files = secret.file.iter().map(|file| {
            Rendered::new(config, file).map_err(|cause| failure(ErrorClass::Permanent, &operation("use", &file.path), &cause))
        });
        Ok(Self { files: files.collect::<Result<_, _>>()?, credential: secret.credential.clone() })
    }

    fn stamp_path(&self) -> PathBuf {
        self.files.first().map(|file| beside(&file.path, ".slm")).unwrap_or_default()
    }

    /// What the files are.
    pub(super) fn stamp(&self) -> Result<Stamp, WorldError> {
        let path = self.stamp_path();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Stamp::parse(&text)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Stamp::default()),
            Err(cause) => Err(atomic::failure(&operation("read", &path), &cause)),
        }
    }

    /// Says what they are.
    pub(super) fn note(&self, stamp: &Stamp) -> Result<(), WorldError> {
        let path = self.stamp_path();
        let written = folder_of(&path).and_then(|()| atomic::replace(&path, stamp.text().as_bytes(), 0o644));
        written.map_err(|cause| atomic::failure(&operation("write", &path), &cause))
    }

    /// What they would hold with `value` as `version`.
    pub(super) fn render(&self, version: &VersionId, value: &Secret) -> Result<Vec<Zeroizing<String>>, WorldError> {
        let each = self.files.iter().map(|file| {
            let failed = |cause: &str| failure(ErrorClass::Permanent, &operation("render", &file.path), cause);
            let text = value.expose_text().map_err(|error| failed(&error.to_string()))?;
            let json = serde_json::from_str::<serde_json::Value>(text).ok().filter(serde_json::Value::is_object);
            let json = json.map_or(minijinja::Value::UNDEFINED, |json| minijinja::value::Serde(json).into());
            let (version, credential) = (version.as_str(), self.credential.as_str());
            let known = context! { value => text, json, version, credential };
            template::render(&file.template, known).map_err(|cause| failed(&cause))
        });
        each.collect()
    }

    /// True when they hold `texts` already.
    pub(super) fn hold(&self, texts: &[Zeroizing<String>]) -> bool {
        self.files.iter().zip(texts).all(|(file, text)| file.holds(text.as_bytes()).is_ok_and(|holds| holds))
    }

    /// Has each hold its text; with `keep` what is there keeps its second name, unless an earlier one does.
    pub(super) fn replace(&self, texts: &[Zeroizing<String>], keep: bool) -> Result<(), WorldError> {
        for (file, text) in self.files.iter().zip(texts) {
            file.replace(text.as_bytes(), keep).map_err(|cause| atomic::failure(&operation("write", &file.path), &cause))?;
        }
        Ok(())
    }

    /// Puts back what was before; true when there was anything.
    pub(super) fn restore(&self) -> Result<bool, WorldError> {
        let mut any = false;
        for file in &self.files {
            match fs::rename(file.before(), &file.path) {
                Ok(()) => any = true,
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(atomic::failure(&operation("restore", &file.path), &cause)),
            }
        }
        // Renaming onto a second name of the same file leaves both.
        self.settle()?;
        Ok(any)
    }

    /// Forgets what was before.
    pub(super) fn settle(&self) -> Result<(), WorldError> {
        for file in &self.files {
            match fs::remove_file(file.before()) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(atomic::failure(&operation("tidy up beside", &file.path), &cause));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Rendered {
    fn new(config: &Config, file: &FileConfig) -> Result<Self, String> {
        let octal = |text: &String| u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
        let mode = file.mode.as_ref().map_or(Some(MODE), octal).ok_or("its mode is not octal")?;
        let template = match (&file.template, &file.template_file) {
            (_, Some(path)) => fs::read_to_string(config.at(path)).map_err(|cause| format!("its template file: {cause}"))?,
            (text, None) => text.clone().unwrap_or_else(|| "{{ value }}".to_owned()),
        };
        let owner = Owner::named(file.owner.as_deref(), file.group.as_deref())?;
        Ok(Self { path: config.at(&file.path), template, mode, owner })
    }

    fn before(&self) -> PathBuf {
        beside(&self.path, ".slm-before")
    }

    /// True when nothing of it would change.
    fn holds(&self, content: &[u8]) -> io::Result<bool> {
        let is = fs::symlink_metadata(&self.path)?;
        let owned = |given: Option<u32>, is: u32| given.is_none_or(|given| given == is);
        let looks = is.is_file()
            && is.mode() & 0o7777 == self.mode
            && owned(self.owner.user, is.uid())
            && owned(self.owner.group, is.gid());
        Ok(looks && Zeroizing::new(fs::read(&self.path)?).as_slice() == content)
    }

    fn replace(&self, content: &[u8], keep: bool) -> io::Result<()> {
        if self.holds(content).is_ok_and(|holds| holds) {
            return Ok(());
        }
        folder_of(&self.path)?;
        if keep {
            match fs::hard_link(&self.path, self.before()) {
                // There was nothing, or a trial goes on that was begun with something else.
                Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {}
                linked => linked?,
            }
        }
        atomic::replace_owned(&self.path, content, self.mode, self.owner)
    }
}

fn folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn operation(what: &str, path: &Path) -> String {
    format!("{what} file `{}`", path.display())
}

fn failure(class: ErrorClass, operation: &str, cause: &str) -> WorldError {
    WorldError { class, operation: operation.to_owned(), cause: cause.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path, template: &str) -> Files {
        let rendered =
            |name: &str| Rendered { path: folder.join(name), template: template.to_owned(), mode: MODE, owner: Owner::default() };
        Files { files: vec![rendered("sub/a"), rendered("b")], credential: "db".into() }
    }

    fn texts(files: &Files, value: &str) -> Vec<Zeroizing<String>> {
        files.render(&"v1".into(), &Secret::new(value.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn what_was_before_comes_back_whatever_was_tried_in_between() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), "{{ value }} {{ version }}\n");
        files.replace(&texts(&files, "good"), false).unwrap();
        // A trial is cut off after its first file, and another one is begun.
        files.replace(&texts(&files, "bad")[..1], true).unwrap();
        files.replace(&texts(&files, "worse"), true).unwrap();
        assert!(files.hold(&texts(&files, "worse")));
        assert!(files.restore().unwrap());
        assert!(files.hold(&texts(&files, "good")) && !files.restore().unwrap());
        files.replace(&texts(&files, "new"), true).unwrap();
        files.settle().unwrap();
        assert!(!files.restore().unwrap() && files.hold(&texts(&files, "new")));
        assert_eq!(fs::read_dir(folder.path().join("sub")).unwrap().count(), 1);
    }

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), "x");
        assert_eq!(files.stamp().unwrap(), Stamp::default());
        let stamp = Stamp { stored: Some("a".into()), running: Some("a".into()), refused: Some("b".into()), trying: None };
        files.note(&stamp).unwrap();
        assert_eq!(files.stamp().unwrap(), stamp);
        assert!(stamp.settled(&"a".into()) && !stamp.settled(&"b".into()));
        assert!(!Stamp { trying: Some("a".into()), ..stamp }.settled(&"a".into()));
    }

    #[test]
    fn a_json_value_is_taken_apart_and_an_error_does_not_say_it() {
        let folder = tempfile::tempdir().unwrap();
        let value = Secret::new(br#"{"user":"u","password":"CANARY<&"}"#.to_vec());
        let text = files(folder.path(), "{{ json.user }}:{{ json.password }}").render(&"v".into(), &value).unwrap();
        assert_eq!(text[0].as_str(), "u:CANARY<&");
        for template in ["{{ json.none }}", "{{ value.a.b }}", "{{ value + 1 }}", "{{ value"] {
            let error = files(folder.path(), template).render(&"v".into(), &value).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{template}");
        }
    }
}
