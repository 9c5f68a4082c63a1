//! How slm asks an agent what its application runs, and how the agent proves it.
//!
//! Both hold one key. The question carries a fresh nonce and is signed by the key, so that nobody else has anything computed from a
//! secret. The statement answers that nonce under the same key. The proof is `HMAC(value, "slm|" credential "|" consumer "|" version
//! "|" nonce)`, which only who has the value can make, and travels under the key again: whoever reads it on the way cannot try
//! guesses against it. The version stands for the rotation, whose id it is derived from.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::model::id::{ConsumerId, CredentialId, VersionId};
use crate::model::secret::Secret;

/// The header of the signature of a question.
pub const SIGNATURE: &str = "x-slm-signature-256";
/// The shortest key: 128 bits.
const SHORTEST: usize = 16;
/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// The key that slm and an agent share.
pub struct Key(Secret);

/// What an agent is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// What it has.
    Observe,
    /// To take a version into use now, and then what it has.
    Deliver,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Question {
    /// What is asked.
    pub event: Event,
    /// Of which credential.
    pub credential: CredentialId,
    /// By which consumer of it.
    pub consumer: ConsumerId,
    /// What is to be taken into use.
    pub version: Option<VersionId>,
    /// Never used before.
    pub nonce: String,
}

/// What an agent says about one secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Statement {
    /// The credential.
    pub credential: CredentialId,
    /// The consumer.
    pub consumer: ConsumerId,
    /// The nonce of the question.
    pub nonce: String,
    /// The version in its files.
    pub stored: Option<VersionId>,
    /// The version its application was seen healthy with: the stored one, or none.
    pub running: Option<VersionId>,
    /// The version it went back from, because its application was not healthy with it.
    pub refused: Option<VersionId>,
    /// Seconds since its source last answered, when it does not answer.
    pub stale: Option<u64>,
}

/// A statement as it is sent. Its text is what is signed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    statement: String,
    seal: String,
    proof: Option<String>,
}

/// A statement that the key vouches for.
pub struct Checked {
    /// What was said.
    pub statement: Statement,
    text: String,
    proof: Option<String>,
}

impl Question {
    /// A question with a nonce of its own.
    #[must_use]
    pub fn new(event: Event, credential: &CredentialId, consumer: &ConsumerId, version: Option<&VersionId>) -> Self {
        let mut nonce = [0; 16];
        OsRng.fill_bytes(&mut nonce);
        Self { event, credential: credential.clone(), consumer: consumer.clone(), version: version.cloned(), nonce: hex(&nonce) }
    }
}

impl Key {
    /// The key in `secret`, without the white space around it; `None` when it is too short.
    #[must_use]
    pub fn new(secret: &Secret) -> Option<Self> {
        let bytes = secret.expose().trim_ascii();
        (bytes.len() >= SHORTEST).then(|| Self(Secret::new(bytes.to_vec())))
    }

    /// `question` as it is sent, and its signature.
    #[must_use]
    pub fn ask(&self, question: &Question) -> (String, String) {
        let body = serde_json::json!(question).to_string();
        let signature = self.mac(&[b"question|", body.as_bytes()]);
        (body, format!("sha256={}", hex(&signature.finalize().into_bytes())))
    }

    /// The question in `body`, when the key signed it.
    #[must_use]
    pub fn admit(&self, body: &[u8], signature: &str) -> Option<Question> {
        let told = unhex(signature.strip_prefix("sha256=")?)?;
        self.mac(&[b"question|", body]).verify_slice(&told).ok()?;
        serde_json::from_slice(body).ok()
    }

    /// `statement` as it is sent, with a proof of its stored version when `value` is at hand.
    #[must_use]
    pub fn answer(&self, statement: &Statement, value: Option<&Secret>) -> String {
        let text = serde_json::json!(statement).to_string();
        let seal = hex(&self.mac(&[b"statement|", text.as_bytes()]).finalize().into_bytes());
        let proof = value.and_then(|value| self.proof(statement, &text, value));
        let proof = proof.map(|proof| hex(&proof.finalize().into_bytes()));
        serde_json::json!(Sealed { statement: text, seal, proof }).to_string()
    }

    /// The answer to `question` in `body`.
    ///
    /// # Errors
    /// In a few words, when it is none, the key does not vouch for it, or it answers another question.
    pub fn check(&self, question: &Question, body: &[u8]) -> Result<Checked, &'static str> {
        let sealed: Sealed = serde_json::from_slice(body).map_err(|_| "the answer is not an agent's")?;
        let seal = unhex(&sealed.seal).unwrap_or_default();
        let vouched = self.mac(&[b"statement|", sealed.statement.as_bytes()]).verify_slice(&seal).is_ok();
        if !vouched {
            return Err("the answer is signed by another key");
        }
        let statement: Statement = serde_json::from_str(&sealed.statement).map_err(|_| "the answer is not an agent's")?;
        let asked = (&question.nonce, &question.credential, &question.consumer);
        if asked != (&statement.nonce, &statement.credential, &statement.consumer) {
            return Err("the answer is to another question");
        }
        Ok(Checked { statement, text: sealed.statement, proof: sealed.proof })
    }

    /// Whether `checked` proves that `value` is the stored version; `None` when it proves nothing.
    #[must_use]
    pub fn proves(&self, checked: &Checked, value: &Secret) -> Option<bool> {
        let told = unhex(checked.proof.as_deref()?)?;
        Some(self.proof(&checked.statement, &checked.text, value)?.verify_slice(&told).is_ok())
    }

    fn proof(&self, said: &Statement, text: &str, value: &Secret) -> Option<Hmac<Sha256>> {
        let Statement { credential, consumer, nonce, .. } = said;
        let message = format!("slm|{credential}|{consumer}|{}|{nonce}", said.stored.as_ref()?);
        let own = Zeroizing::new(<[u8; 32]>::from(mac(value.expose(), &[message.as_bytes()]).finalize().into_bytes()));
        Some(self.mac(&[b"proof|", text.as_bytes(), b"|", own.as_slice()]))
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        mac(self.0.expose(), parts)
    }
}

/// HMAC-SHA256 takes a longer key by its hash, a shorter one filled up.
fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; BLOCK]);
    let hashed: [u8; 32];
    let key = if key.len() > BLOCK {
        hashed = Sha256::digest(key).into();
        hashed.as_slice()
    } else {
        key
    };
    block[..key.len()].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
    parts.iter().for_each(|part| mac.update(part));
    mac
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(&Secret::new(text.as_bytes().to_vec())).unwrap()
    }

    fn said(question: &Question, stored: &str) -> Statement {
        let stored = Some(VersionId::from(stored));
        let Question { credential, consumer, nonce, .. } = question.clone();
        Statement { credential, consumer, nonce, running: stored.clone(), stored, refused: None, stale: None }
    }

    fn question() -> Question {
        Question::new(Event::Observe, &"db".into(), &"web".into(), None)
    }

    #[test]
    fn the_code_is_the_published_one() {
        // RFC 4231, test cases 2 and 6.
        for (key, message, starts) in [
            (b"Jefe".to_vec(), &b"what do ya want for nothing?"[..], "5bdcc146bf60754e6a042426089575c7"),
            (vec![0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First", "60e431591ee0b67f0d8a26aacbf5b77f"),
        ] {
            assert!(hex(&mac(&key, &[message]).finalize().into_bytes()).starts_with(starts), "{starts}");
        }
    }

    #[test]
    fn only_who_has_the_key_may_ask_and_answer() {
        let (ours, other) = (key("0123456789abcdef\n"), key("fedcba9876543210"));
        let question = question();
        let (body, signature) = ours.ask(&question);
        assert_eq!(ours.admit(body.as_bytes(), &signature), Some(question.clone()));
        assert_eq!(other.admit(body.as_bytes(), &signature), None);
        assert_eq!(ours.admit(body.replace("observe", "deliver").as_bytes(), &signature), None);
        assert_eq!(ours.admit(body.as_bytes(), "sha256="), None);
        let answer = other.answer(&said(&question, "v1"), None);
        assert_eq!(ours.check(&question, answer.as_bytes()).err(), Some("the answer is signed by another key"));
        assert!(Key::new(&Secret::new(b"  0123456789abcde \n".to_vec())).is_none());
    }

    #[test]
    fn an_answer_is_to_one_question_and_cannot_be_played_again() {
        let ours = key("0123456789abcdef");
        let (first, second) = (question(), question());
        assert_ne!(first.nonce, second.nonce);
        let answer = ours.answer(&said(&first, "v1"), None);
        assert_eq!(ours.check(&first, answer.as_bytes()).map(|checked| checked.statement), Ok(said(&first, "v1")));
        assert_eq!(ours.check(&second, answer.as_bytes()).err(), Some("the answer is to another question"));
        let other = Question { consumer: "api".into(), ..first.clone() };
        assert_eq!(ours.check(&other, answer.as_bytes()).err(), Some("the answer is to another question"));
        let changed = answer.replace("v1", "v2");
        assert_eq!(ours.check(&first, changed.as_bytes()).err(), Some("the answer is signed by another key"));
    }

    #[test]
    fn a_proof_is_of_one_value_and_says_nothing_of_it_without_the_key() {
        let ours = key("0123456789abcdef");
        let question = question();
        let value = |text: &str| Secret::new(text.as_bytes().to_vec());
        let answer = ours.answer(&said(&question, "v1"), Some(&value("s3cret")));
        let checked = ours.check(&question, answer.as_bytes()).unwrap();
        assert_eq!((ours.proves(&checked, &value("s3cret")), ours.proves(&checked, &value("s3cres"))), (Some(true), Some(false)));
        let message = format!("slm|db|web|v1|{}", question.nonce);
        let bare = hex(&mac(b"s3cret", &[message.as_bytes()]).finalize().into_bytes());
        assert!(!answer.contains(&bare) && !answer.contains("s3cret"));
        // The proof of one statement does not stand under another.
        let later = ours.check(&question, ours.answer(&said(&question, "v2"), None).as_bytes()).unwrap();
        assert_eq!(ours.proves(&later, &value("s3cret")), None);
        let moved = Checked { proof: checked.proof, ..later };
        assert_eq!(ours.proves(&moved, &value("s3cret")), Some(false));
    }
}
