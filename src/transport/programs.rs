//! Programs of an operator that are ended with all they started: each is in a process group of its own, which is killed as a whole.

use std::io;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// The processes of a program. They are killed when this is dropped before the program has [`Group::ended`].
pub struct Group(Option<Pid>);

/// Starts `command` in a group of its own: Ctrl-C in a terminal stops slm after it, and not it. Drop the group before the child, whose
/// number may be given to another once it was waited for.
///
/// # Errors
/// When it cannot be started.
pub fn start(command: &mut Command) -> io::Result<(Child, Group)> {
    let child = command.process_group(0).kill_on_drop(true).spawn()?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    Ok((child, Group(group)))
}

impl Group {
    /// The program was waited for. What it left running, a daemon say, goes on.
    pub fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // One that is gone already needs no end.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
