//! Who runs the agent: signals that ask it something, and systemd, which is told how it goes.

#![expect(clippy::disallowed_methods, reason = "systemd says in a variable where it listens")]

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that are taken.
pub(super) struct Signals {
    hang_up: Signal,
    end: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes them from now on.
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            end: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one: true asks for another look, false for the end.
    pub(super) async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.hang_up.recv() => true,
            _ = self.end.recv() => false,
            _ = self.interrupt.recv() => false,
        }
    }
}

/// Tells systemd `status`, and that the first look is over when `ready`.
pub(super) fn tell(ready: bool, status: &str) {
    send(&format!("{}STATUS={}", if ready { "READY=1\n" } else { "" }, status.replace('\n', " ")));
}

/// Tells systemd that this is the end.
pub(super) fn stopping() {
    send("STOPPING=1");
}

fn send(text: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    // Nobody listens when it was not started by systemd.
    let _ = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address));
}
