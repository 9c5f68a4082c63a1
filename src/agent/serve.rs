//! Answers what slm asks: one small signed HTTP request a connection, one signed answer.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::together::Mouth;
use super::watched::Board;
use crate::model::id::{ConsumerId, CredentialId, VersionId};
use crate::transport::attest::{Event, Key, Question, SIGNATURE, Statement};

/// The longest request read.
const LIMIT: usize = 16 * 1024;
/// How long a request may take to arrive.
const ARRIVE: Duration = Duration::from_secs(5);
/// How long a version may take to come into use before the answer says that it has not.
const TAKE: Duration = Duration::from_mins(5);
/// Connections at once; more wait.
const AT_ONCE: usize = 16;

/// What the loop of an application is told of a secret.
pub(super) enum Word {
    /// Its source may have changed.
    Look,
    /// What was refused is to be tried again.
    Again,
    /// slm wants this version taken into use; says when that was tried.
    Take(VersionId, oneshot::Sender<()>),
}

/// One secret that can be asked about.
pub(super) struct Place {
    pub(super) credential: CredentialId,
    pub(super) consumer: ConsumerId,
    pub(super) board: Board,
    pub(super) mouth: Mouth,
}

/// Listens at `address` and answers about `places` whoever has `key`.
///
/// # Errors
/// When it cannot listen there.
pub(super) async fn serve(address: SocketAddr, key: Key, places: Vec<Place>) -> std::io::Result<impl Future<Output = ()>> {
    let listener = TcpListener::bind(address).await?;
    let shared = Arc::new((key, places));
    let room = Arc::new(Semaphore::new(AT_ONCE));
    Ok(async move {
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let shared = Arc::clone(&shared);
                    tokio::spawn(async move {
                        talk(stream, &shared.0, &shared.1).await;
                        drop(permit);
                    });
                }
                // Too many files are open, as a rule: some will be closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    })
}

async fn talk(mut stream: TcpStream, key: &Key, places: &[Place]) {
    let request = timeout(ARRIVE, receive(&mut stream)).await;
    let answer = match request {
        Ok(Some((signature, body))) => match key.admit(&body, &signature) {
            Some(question) => answer(&question, key, places).await,
            None => Err("401 Unauthorized"),
        },
        Ok(None) => Err("400 Bad Request"),
        Err(_) => Err("408 Request Timeout"),
    };
    let (status, body) = answer.map_or_else(|status| (status, String::new()), |body| ("200 OK", body));
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
    let _ = timeout(ARRIVE, async {
        stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
}

/// The signature and the body of one request; `None` when it is not of the one shape there is.
async fn receive(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = std::str::from_utf8(&bytes[..end]).ok()?;
            let header = |name: &str| {
                let fields = head.lines().filter_map(|line| line.split_once(':'));
                fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
            };
            let length: usize = header("content-length")?.parse().ok().filter(|length| *length <= LIMIT)?;
            let signature = header(SIGNATURE).filter(|_| head.starts_with("POST "))?;
            let mut body = bytes.split_off(end + 4);
            let missing = length.checked_sub(body.len())?;
            stream.take(missing as u64).read_to_end(&mut body).await.ok()?;
            return (body.len() == length).then_some((signature, body));
        }
        if bytes.len() > LIMIT || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn answer(question: &Question, key: &Key, places: &[Place]) -> Result<String, &'static str> {
    let asked = |place: &&Place| place.credential == question.credential && place.consumer == question.consumer;
    let place = places.iter().find(asked).ok_or("404 Not Found")?;
    if let (Event::Deliver, Some(version)) = (question.event, &question.version) {
        let (sender, done) = oneshot::channel();
        if !place.mouth.say(Word::Take(version.clone(), sender)).await {
            return Err("503 Service Unavailable");
        }
        // Tried or not: the statement says what came of it.
        let _ = timeout(TAKE, done).await;
    }
    let known = place.board.lock().unwrap_or_else(PoisonError::into_inner);
    let statement = Statement {
        credential: question.credential.clone(),
        consumer: question.consumer.clone(),
        nonce: question.nonce.clone(),
        stored: known.stamp.stored.clone(),
        running: known.stamp.running.clone(),
        refused: known.stamp.refused.clone(),
        stale: known.seen.filter(|_| known.down).map(|seen| seen.elapsed().as_secs()),
    };
    Ok(key.answer(&statement, known.value.as_deref()))
}
