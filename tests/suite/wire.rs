//! A wire before a database, at which the built binary is killed; and what holds of a credential after a run of its rotation was killed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Ran, World};

/// Who is killed, and the words that have to be said on one connection before: by the answer to the last of them.
type Kill = Option<(u32, &'static [&'static str])>;

/// Passes on what it is told, until somebody is to be killed; it ends with the process.
pub struct Wire {
    pub port: u16,
    kill: Arc<Mutex<Kill>>,
}

impl Wire {
    /// Before the server at `port` of this machine.
    pub fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Self { port: listener.local_addr().unwrap().port(), kill: Arc::default() };
        let kill = Arc::clone(&wire.kill);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (kill, dying) = (Arc::clone(&kill), Arc::new(AtomicU32::new(0)));
                let (asking, asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let doomed = Arc::clone(&dying);
                std::thread::spawn(move || asks(asking, asked, &kill, &doomed));
                std::thread::spawn(move || answers(server, client, &dying));
            }
        });
        wire
    }

    /// Runs `arguments`, killed by what the server answers to the last of `words`; false when it was not.
    pub fn killed(&self, world: &World, arguments: &[&str], words: &'static [&'static str]) -> bool {
        let ran = world.slm_watched(arguments, |process| *self.kill.lock().unwrap() = Some((process, words)));
        ran.is_none() && self.kill.lock().unwrap().is_none()
    }
}

/// Passes on what `client` says, and notes whom the next answer kills.
fn asks(mut client: TcpStream, mut server: TcpStream, kill: &Mutex<Kill>, dying: &AtomicU32) {
    let (mut bytes, mut said) = ([0; 65_536], 0);
    while let Ok(length @ 1..) = client.read(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..length]).to_lowercase();
        let mut kill = kill.lock().unwrap();
        if let Some((process, words)) = *kill {
            said += words[said..].iter().take_while(|word| text.contains(**word)).count();
            if said == words.len() {
                *kill = None;
                dying.store(process, Ordering::SeqCst);
            }
        }
        drop(kill);
        if server.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
}

/// Passes on what `server` says, unless it kills who would hear it.
fn answers(mut server: TcpStream, mut client: TcpStream, dying: &AtomicU32) {
    let mut bytes = [0; 65_536];
    while let Ok(length @ 1..) = server.read(&mut bytes) {
        let process = dying.load(Ordering::SeqCst);
        if process != 0 {
            assert!(std::process::Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
            break;
        }
        if client.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
}

/// Runs until another value than now is in `file`; at any time what is there is let in, as `works` tells, and so is, at the end, what was
/// there before. Gives both, and what was said.
pub async fn gone_on(world: &World, file: &str, works: impl AsyncFn(String) -> bool) -> (String, String, Vec<Ran>) {
    let (before, mut said) = (world.read(file), Vec::new());
    for _ in 0..12 {
        assert!(works(before.clone()).await, "the value in use is gone");
        said.push(tokio::task::block_in_place(|| world.heard(&["rotate", "session-key"])));
        let now = world.read(file);
        if now != before {
            assert!(works(now.clone()).await && works(before.clone()).await, "one of them is not let in");
            return (before, now, said);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    panic!("the new value never came into force: {}", said.last().unwrap().out);
}
