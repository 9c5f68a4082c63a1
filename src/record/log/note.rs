//! Signed notes (C2SP signed-note): text, a blank line, and a line for each Ed25519 key that signed it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The most signature lines a note may have. The specification asks for 16 at least.
const MAX_SIGNATURES: usize = 100;
/// The most bytes a note may have: as many signatures, each of the largest kind in use, and as much text.
const MAX_NOTE: usize = 1_000_000;
/// The type byte of Ed25519.
const ED25519: u8 = 1;
const DASH: &str = "\u{2014} ";

/// Why a key, a signature or a note is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoteError {
    /// No text of a note: no newline at its end, or a control character in it.
    Text,
    /// No note: not UTF-8, or not a text, a blank line and signature lines.
    Form,
    /// More bytes or signatures than are read.
    TooLarge,
    /// No name of a key: empty, or with a space, a plus or a control character in it.
    Name(String),
    /// No verifier key of Ed25519, or its id is not that of its name and bytes.
    Key,
    /// Two of the given keys have this name and the same id.
    Ambiguous(String),
    /// The key of this name did not make its signature over this text.
    Signature(String),
    /// None of the given keys signed.
    Unsigned,
    /// Whoever keeps the key did not sign, for this reason.
    Elsewhere(String),
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("the text of a note ends in a newline and has no control characters"),
            Self::Form => f.write_str("this is no signed note"),
            Self::TooLarge => f.write_str("the note is too large"),
            Self::Name(name) => write!(f, "`{}` cannot be the name of a key", name.escape_debug()),
            Self::Key => f.write_str("this is no verifier key of ed25519"),
            Self::Ambiguous(name) => write!(f, "two keys are called `{name}` and have the same id"),
            Self::Signature(name) => write!(f, "the signature of `{name}` is wrong"),
            Self::Unsigned => f.write_str("no known key signed the note"),
            Self::Elsewhere(why) => write!(f, "the key does not sign: {why}"),
        }
    }
}

impl std::error::Error for NoteError {}

/// A public key and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl Verifier {
    /// The verifier of the key `name` whose public half is `public`.
    ///
    /// # Errors
    /// When the name is not one, or the bytes are no public key, or one under which anyone can sign.
    pub fn new(name: &str, public: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let key = VerifyingKey::from_bytes(public).map_err(|_| NoteError::Key)?;
        if key.is_weak() {
            return Err(NoteError::Key);
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, public), key })
    }

    /// Reads `name+id+base64`, as [`Verifier::vkey`] writes it.
    ///
    /// # Errors
    /// When it is not of that form, not of Ed25519, or the id is not that of the name and the key.
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        let [name, _, key] = vkey.splitn(3, '+').collect::<Vec<_>>()[..] else { return Err(NoteError::Key) };
        let key = BASE64.decode(key).map_err(|_| NoteError::Key)?;
        let Some((&ED25519, public)) = key.split_first() else { return Err(NoteError::Key) };
        let verifier = Self::new(name, public.try_into().map_err(|_| NoteError::Key)?)?;
        // The one spelling of these three; this is also where the id is compared.
        if verifier.vkey() == vkey { Ok(verifier) } else { Err(NoteError::Key) }
    }

    /// The key as others take it: its name, its id in hex, and its type and bytes in base64, with pluses between.
    #[must_use]
    pub fn vkey(&self) -> String {
        let typed = [&[ED25519], &self.key.as_bytes()[..]].concat();
        format!("{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), BASE64.encode(typed))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id: with the name it says which key a signature is from. It is short, and proves nothing.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Takes in a signature over `text` that was made elsewhere.
    ///
    /// # Errors
    /// When this key did not make it over this text.
    pub fn signature(&self, text: &str, bytes: &[u8]) -> Result<Signature, NoteError> {
        check_text(text)?;
        let wrong = || NoteError::Signature(self.name.clone());
        let signature = ed25519_dalek::Signature::from_slice(bytes).map_err(|_| wrong())?;
        self.key.verify_strict(text.as_bytes(), &signature).map_err(|_| wrong())?;
        Ok(Signature { name: self.name.clone(), id: self.id, bytes: bytes.to_vec() })
    }
}

/// Has somebody else sign a text.
type Sign = dyn Fn(&[u8]) -> Result<Vec<u8>, String> + Send + Sync;

/// Who makes the signatures.
enum By {
    /// This process. On the heap, so that moving the signer leaves no copy behind.
    Seed(Box<Zeroizing<[u8; 32]>>),
    /// Whoever keeps the key.
    Elsewhere(Box<Sign>),
}

/// A private key that signs, in this process or where it is kept. It cannot speak: no `Debug`, `Display` or `Clone`; zeroed on drop.
pub struct Signer {
    by: By,
    verifier: Verifier,
}

impl Signer {
    /// The signer of the key `name` that has grown from `seed` (RFC 8032); the caller wipes its own copy.
    ///
    /// # Errors
    /// When the name is not one.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let verifier = Verifier::new(name, SigningKey::from_bytes(seed).verifying_key().as_bytes())?;
        Ok(Self { by: By::Seed(Box::new(Zeroizing::new(*seed))), verifier })
    }

    /// The signer of a key that somebody else keeps, whose public half is `verifier`. What `sign` gives is believed only when it is a
    /// signature of that key.
    #[must_use]
    pub fn elsewhere(verifier: Verifier, sign: impl Fn(&[u8]) -> Result<Vec<u8>, String> + Send + Sync + 'static) -> Self {
        Self { by: By::Elsewhere(Box::new(sign)), verifier }
    }

    /// Its public half.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Signs `text`.
    ///
    /// # Errors
    /// When it is no text of a note, or whoever keeps the key does not sign it.
    pub fn sign(&self, text: &str) -> Result<Signature, NoteError> {
        check_text(text)?;
        match &self.by {
            By::Seed(seed) => {
                let bytes = SigningKey::from_bytes(seed).sign(text.as_bytes()).to_bytes().to_vec();
                Ok(Signature { name: self.verifier.name.clone(), id: self.verifier.id, bytes })
            }
            By::Elsewhere(sign) => self.verifier.signature(text, &sign(text.as_bytes()).map_err(NoteError::Elsewhere)?),
        }
    }
}

/// One key's signature over one text, of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl Signature {
    /// A signature of another type or by a key not at hand, as given: nothing about it is checked but that it can be written.
    ///
    /// # Errors
    /// When the name is not one, or there are no bytes.
    pub fn unchecked(name: &str, id: [u8; 4], bytes: Vec<u8>) -> Result<Self, NoteError> {
        check_name(name)?;
        if bytes.is_empty() { Err(NoteError::Form) } else { Ok(Self { name: name.to_owned(), id, bytes }) }
    }

    fn line(&self) -> String {
        format!("{DASH}{} {}\n", self.name, BASE64.encode([&self.id[..], &self.bytes].concat()))
    }

    fn parse(line: &str) -> Result<Self, NoteError> {
        let (name, bytes) = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')).ok_or(NoteError::Form)?;
        let bytes = BASE64.decode(bytes).map_err(|_| NoteError::Form)?;
        let (id, bytes) = bytes.split_first_chunk().ok_or(NoteError::Form)?;
        Self::unchecked(name, *id, bytes.to_vec()).map_err(|_| NoteError::Form)
    }
}

/// The note of `text` and `signatures`, in their order.
///
/// # Errors
/// When the text is not one, or there are none or too many signatures, or the whole is too large to be read again.
pub fn compose(text: &str, signatures: &[Signature]) -> Result<String, NoteError> {
    check_text(text)?;
    let note = format!("{text}\n{}", signatures.iter().map(Signature::line).collect::<String>());
    match signatures.len() {
        0 => Err(NoteError::Unsigned),
        1..=MAX_SIGNATURES if note.len() <= MAX_NOTE => Ok(note),
        _ => Err(NoteError::TooLarge),
    }
}

/// A note that known keys signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What they signed, with the newline at its end.
    pub text: String,
    /// Their names, in the order of the first signature of each key.
    pub signers: Vec<String>,
}

/// Opens a note. Signatures of keys that are not among `verifiers` are passed over.
///
/// # Errors
/// When it is no note, none of `verifiers` signed it, or a signature of one of them is wrong.
pub fn open(note: &[u8], verifiers: &[Verifier]) -> Result<Opened, NoteError> {
    if note.len() > MAX_NOTE {
        return Err(NoteError::TooLarge);
    }
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Form)?;
    let at = note.rfind("\n\n").ok_or(NoteError::Form)? + 1;
    let (text, lines) = (&note[..at], &note[at + 1..]);
    check_text(text).and_then(|()| check_text(lines)).map_err(|_| NoteError::Form)?;
    let signatures = lines.lines().take(MAX_SIGNATURES + 1).map(Signature::parse).collect::<Result<Vec<_>, _>>()?;
    if signatures.len() > MAX_SIGNATURES {
        return Err(NoteError::TooLarge);
    }
    let mut signed = Vec::<&Verifier>::new();
    for signature in &signatures {
        let Some(verifier) = known(verifiers, signature)? else { continue };
        verifier.signature(text, &signature.bytes)?;
        if !signed.contains(&verifier) {
            signed.push(verifier);
        }
    }
    if signed.is_empty() {
        return Err(NoteError::Unsigned);
    }
    Ok(Opened { text: text.to_owned(), signers: signed.into_iter().map(|verifier| verifier.name.clone()).collect() })
}

/// How many lines of signatures `note` has, whoever they are of; a text without any is no note and has none.
#[must_use]
pub fn signature_lines(note: &[u8]) -> usize {
    let note = String::from_utf8_lossy(note);
    note.split_once("\n\n").map_or(0, |(_, signatures)| signatures.lines().count())
}

/// The verifier that `signature` says it is from.
fn known<'v>(verifiers: &'v [Verifier], signature: &Signature) -> Result<Option<&'v Verifier>, NoteError> {
    let mut found = verifiers.iter().filter(|verifier| verifier.name == signature.name && verifier.id == signature.id);
    let first = found.next();
    if found.any(|other| Some(other) != first) {
        return Err(NoteError::Ambiguous(signature.name.clone()));
    }
    Ok(first)
}

fn key_id(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let [a, b, c, d, ..] =
        <[u8; 32]>::from(Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(public).finalize());
    [a, b, c, d]
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = |c: char| c.is_whitespace() || c == '+' || c < ' ';
    if name.is_empty() || name.contains(bad) { Err(NoteError::Name(name.to_owned())) } else { Ok(()) }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if text.ends_with('\n') && !text.contains(|c| c < ' ' && c != '\n') { Ok(()) } else { Err(NoteError::Text) }
}

#[cfg(test)]
#[path = "note_tests.rs"]
mod tests;
