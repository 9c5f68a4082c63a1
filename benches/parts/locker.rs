//! A config repo in git, and evidence on a branch of it in the shape that runs leave behind.

use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use slm::model::time::Timestamp;

/// What git says in the folder `root`.
pub fn git(root: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Commits everything in the folder `root`.
pub fn commit(root: &Path, message: &str) {
    git(root, &["add", "-A"]);
    git(root, &["-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", message]);
}

/// The evidence as it is written, a commit a run.
pub struct Evidence {
    git: Child,
    out: BufWriter<ChildStdin>,
}

impl Evidence {
    /// Of the config repo in the folder `root`.
    pub fn of(root: &Path) -> Self {
        let mut git =
            Command::new("git").arg("-C").arg(root).args(["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
        let out = BufWriter::new(git.stdin.take().unwrap());
        Self { git, out }
    }

    /// Begins the commit of the run of an instant; gives the id of the run.
    pub fn run(&mut self, at: Timestamp) -> String {
        let (id, second) = (format!("{}-00000000", at.strftime("%Y%m%dT%H%M%SZ")), at.as_second());
        let message = format!("run {id}: 0 of 0 actions done\n");
        let who = format!("slm <slm@localhost> {second} +0000");
        let length = message.len();
        write!(self.out, "commit refs/heads/slm/evidence\nauthor {who}\ncommitter {who}\ndata {length}\n{message}").unwrap();
        id
    }

    /// A file of that commit.
    pub fn file(&mut self, path: &str, text: &str) {
        write!(self.out, "M 100644 inline {path}\ndata {}\n{text}\n", text.len()).unwrap();
    }

    /// Ends it.
    pub fn done(self) {
        let Self { mut git, mut out } = self;
        out.flush().unwrap();
        drop(out);
        assert!(git.wait().unwrap().success());
    }
}
