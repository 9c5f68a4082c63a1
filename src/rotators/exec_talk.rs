//! One exchange with a program that carries out a kind: it is started, given its request and a value, and heard to its end.

#![expect(clippy::disallowed_methods, reason = "the program of its operator, with the variables that were named")]

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::process::{ExitStatus, Stdio};

use serde_json::Value as Json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::exec::Plugin;
use crate::model::secret::Secret;
use crate::transport::programs::{self, Group};

/// The most a program may say.
const REPLY: u64 = 1 << 20;
/// The most a value may hold, as in Secrets Manager.
const VALUE: u64 = 64 << 10;
/// Makes descriptor 2, which is a socket of ours, descriptor 3 and starts the program in its place. The text is fixed: no word of the
/// config is read by the shell.
const START: &str = "exec \"$@\" 3<&2 2>/dev/null";

impl Plugin {
    fn start(&self, values: Pair) -> std::io::Result<(Child, Group)> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", START, "sh"]).args(&self.config.command).current_dir(&self.root).env_clear();
        let given = self.config.env.iter().map(String::as_str).chain(["PATH"]);
        command.envs(given.filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::from(OwnedFd::from(values)));
        programs::start(&mut command)
    }

    /// Hands it `request` and `value`; gives how it ended, what it said and what it handed over. When nobody waits for that any more, it is
    /// killed with all it started.
    pub(super) async fn talk(
        &self,
        request: &Json,
        value: Option<&Secret>,
    ) -> std::io::Result<(ExitStatus, Zeroizing<Vec<u8>>, Secret)> {
        let (ours, theirs) = Pair::pair()?;
        ours.set_nonblocking(true)?;
        let (mut child, group) = self.start(theirs)?;
        let (mut stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (mut reader, mut writer) = UnixStream::from_std(ours)?.into_split();
        let write = async {
            if let Some(stdin) = &mut stdin {
                // A program that reads nothing has ended or answers without; its reply says which.
                let _ = stdin.write_all(request.to_string().as_bytes()).await;
            }
            drop(stdin.take());
            if let Some(value) = value {
                let _ = writer.write_all(value.expose()).await;
            }
            let _ = writer.shutdown().await;
        };
        let said = async {
            match stdout {
                Some(mut stdout) => all(&mut stdout, REPLY).await,
                None => Ok(Zeroizing::default()),
            }
        };
        let ((), said, handed) = tokio::join!(write, said, all(&mut reader, VALUE));
        let mut handed = match handed {
            // It closed its end with the value unread. Such a step hands nothing over, and its reply says how it went.
            Err(unread) if value.is_some() && unread.kind() == std::io::ErrorKind::ConnectionReset => Zeroizing::default(),
            handed => handed?,
        };
        let ended = child.wait().await?;
        group.ended();
        Ok((ended, said?, Secret::new(std::mem::take(&mut *handed))))
    }
}

/// Everything that comes, which must not be more than `most`.
async fn all(from: &mut (impl AsyncRead + Unpin), most: u64) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // Never grown, so that no copy is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(most + 1).unwrap_or(0)));
    from.take(most + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > most { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}
