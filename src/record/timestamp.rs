//! Timestamps of an authority (RFC 3161): the question, and whether an answer is one of whom we trust. Offline, without a clock.
//!
//! The structures are walked by hand over `der`, so that what was signed is hashed as it came; chains and signatures are checked by
//! `webpki`, as those of TLS are, as of the instant that the token gives.

use std::fmt;
use std::time::Duration;

use der::asn1::Any;
use der::{Decode as _, Encode as _, Reader as _, SliceReader, Tagged as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::log::Hash;
use crate::model::time::Timestamp;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const TIME: u8 = 0x18;
const FIRST: u8 = 0xa0;

// Content bytes of object identifiers.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
const SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 12];
const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 47];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];
/// The last byte is the algorithm: 1 is RSA without a digest.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];

/// What is asked: that these bytes were seen.
pub struct Query {
    hash: Hash,
    nonce: [u8; 8],
}

/// What an authority says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When it says that it saw the bytes.
    pub at: Timestamp,
    /// SHA-256 of them.
    pub imprint: Hash,
    /// What was asked along with them, to know the answer by.
    pub nonce: Option<Vec<u8>>,
    /// Who says so: the subject of its certificate.
    pub authority: String,
}

/// Why a token says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StampError {
    /// No answer of an authority.
    Form,
    /// The authority refused, with this status.
    Refused(u8),
    /// An algorithm that is not known here.
    Algorithm,
    /// It does not name the certificate that signed it, or does not have it.
    Certificate,
    /// The certificate is not one for timestamps and nothing else.
    Purpose,
    /// No authority that is trusted vouches for the certificate at that instant.
    Untrusted(String),
    /// The signature is not over what it says.
    Signature,
}

impl fmt::Display for StampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("it is no answer of a timestamp authority"),
            Self::Refused(status) => write!(f, "the authority refused, with status {status}"),
            Self::Algorithm => f.write_str("it is made by an algorithm that is not known here"),
            Self::Certificate => f.write_str("it does not carry the certificate that it is signed by"),
            Self::Purpose => f.write_str("its certificate is not for timestamps alone"),
            Self::Untrusted(why) => write!(f, "none of the authorities in `ca` vouches for its certificate: {why}"),
            Self::Signature => f.write_str("its signature is wrong"),
        }
    }
}

impl std::error::Error for StampError {}

impl From<der::Error> for StampError {
    fn from(_: der::Error) -> Self {
        Self::Form
    }
}

impl Query {
    /// Asks for SHA-256 of `bytes`; `nonce` is drawn anew for each.
    #[must_use]
    pub fn new(bytes: &[u8], mut nonce: [u8; 8]) -> Self {
        // A positive integer with one spelling: no sign, no zero in front.
        nonce[0] = (nonce[0] & 0x7f) | 0x40;
        Self { hash: Sha256::digest(bytes).into(), nonce }
    }

    /// The bytes to send: version 1, the imprint, the nonce, and that the certificate is wanted.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        let mut out = vec![SEQUENCE, 67, INTEGER, 1, 1, SEQUENCE, 49, SEQUENCE, 13, OID, 9];
        out.extend_from_slice(SHA256);
        out.extend_from_slice(&[5, 0, OCTETS, 32]);
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(&[INTEGER, 8]);
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&[1, 1, 0xff]);
        out
    }

    /// Whether `stamp` is the answer to this and to nothing else.
    #[must_use]
    pub fn is_answered_by(&self, stamp: &Stamp) -> bool {
        stamp.imprint == self.hash && stamp.nonce.as_deref() == Some(&self.nonce[..])
    }
}

/// The certificates in `pem`; none when there are none, or one cannot be read.
#[must_use]
pub fn authorities(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().unwrap_or_default()
}

/// Reads `response` (RFC 3161, `TimeStampResp`), and believes it only when its signer was vouched for by one of `roots` at the instant
/// that it gives.
///
/// # Errors
/// When it is none, or cannot be believed.
pub fn open(response: &[u8], roots: &[CertificateDer<'_>]) -> Result<Stamp, StampError> {
    let token = Token::read(response)?;
    let (at, imprint, nonce) = told(&token.content)?;
    let signer = token.signer()?;
    let der = CertificateDer::from(signer.as_slice());
    let leaf = EndEntityCert::try_from(&der).map_err(|_| StampError::Certificate)?;
    token.signed_by(&leaf)?;
    let authority = subject(signer)?;
    let anchors: Vec<_> = roots.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
    let others: Vec<_> = token.certificates.iter().map(|other| CertificateDer::from(other.as_slice())).collect();
    let seconds = u64::try_from(at.as_second()).map_err(|_| StampError::Form)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    // That of the signer was looked at; authorities between it and a root may be for anything, or must be for this.
    let usage = KeyUsage::required_if_present(TIME_STAMPING);
    leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &others, time, usage, None, None)
        .map_err(|error| StampError::Untrusted(error.to_string()))?;
    Ok(Stamp { at, imprint, nonce, authority })
}

/// The content of `any`, which must have the tag `octet`.
fn content(any: &Any, octet: u8) -> Result<&[u8], StampError> {
    if u8::from(any.tag()) == octet { Ok(any.value()) } else { Err(StampError::Form) }
}

/// What stands one after the other in `bytes`.
fn members(bytes: &[u8]) -> Result<Vec<Any>, StampError> {
    let mut reader = SliceReader::new(bytes)?;
    let mut all = Vec::new();
    while !reader.is_finished() {
        all.push(Any::decode(&mut reader)?);
    }
    Ok(all)
}

/// The members of a sequence.
fn sequence(any: &Any) -> Result<Vec<Any>, StampError> {
    members(content(any, SEQUENCE)?)
}

/// What is in an explicit tag.
fn inside(any: &Any) -> Result<Any, StampError> {
    Ok(Any::from_der(content(any, FIRST)?)?)
}

fn digest(algorithm: &[u8], bytes: &[u8]) -> Result<Vec<u8>, StampError> {
    match algorithm {
        SHA256 => Ok(Sha256::digest(bytes).to_vec()),
        SHA384 => Ok(Sha384::digest(bytes).to_vec()),
        SHA512 => Ok(Sha512::digest(bytes).to_vec()),
        _ => Err(StampError::Algorithm),
    }
}

/// The object identifier at the beginning of an algorithm.
fn algorithm(any: &Any) -> Result<Vec<u8>, StampError> {
    let [oid, ..] = &sequence(any)?[..] else { return Err(StampError::Form) };
    Ok(content(oid, OID)?.to_vec())
}

/// The hash of some bytes.
type By<'a> = &'a dyn Fn(&[u8]) -> Result<Vec<u8>, StampError>;

/// A token taken apart.
struct Token {
    /// What is signed of, as it came.
    content: Vec<u8>,
    certificates: Vec<Vec<u8>>,
    /// The signed attributes, as the set that is signed.
    attributes: Any,
    digest: Vec<u8>,
    signature_algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Token {
    fn read(response: &[u8]) -> Result<Self, StampError> {
        let response = sequence(&Any::from_der(response)?)?;
        let [status, token @ ..] = &response[..] else { return Err(StampError::Form) };
        let [status, ..] = &sequence(status)?[..] else { return Err(StampError::Form) };
        match content(status, INTEGER)? {
            // Granted, as asked or with changes.
            [0 | 1] => {}
            [status] => return Err(StampError::Refused(*status)),
            _ => return Err(StampError::Form),
        }
        let [token] = token else { return Err(StampError::Form) };
        let [kind, signed] = &sequence(token)?[..] else { return Err(StampError::Form) };
        if content(kind, OID)? != SIGNED_DATA {
            return Err(StampError::Form);
        }
        let signed = sequence(&inside(signed)?)?;
        let [_, _, info, between @ .., signers] = &signed[..] else { return Err(StampError::Form) };
        let [kind, info] = &sequence(info)?[..] else { return Err(StampError::Form) };
        if content(kind, OID)? != TST_INFO {
            return Err(StampError::Form);
        }
        let certificates = between.iter().find(|any| u8::from(any.tag()) == FIRST).ok_or(StampError::Certificate)?;
        let certificates = members(certificates.value())?.iter().map(Any::to_der).collect::<Result<_, _>>()?;
        let [signer] = &members(content(signers, SET)?)?[..] else { return Err(StampError::Form) };
        let [_, _, digest, attributes, signature_algorithm, signature, ..] = &sequence(signer)?[..] else {
            return Err(StampError::Form);
        };
        Ok(Self {
            content: content(&inside(info)?, OCTETS)?.to_vec(),
            certificates,
            attributes: Any::new(der::Tag::Set, content(attributes, FIRST)?)?,
            digest: algorithm(digest)?,
            signature_algorithm: algorithm(signature_algorithm)?,
            signature: content(signature, OCTETS)?.to_vec(),
        })
    }

    /// The one value of the signed attribute `oid`, when it is there once.
    fn attribute(&self, oid: &[u8]) -> Result<Option<Any>, StampError> {
        let mut found = None;
        for attribute in members(self.attributes.value())? {
            let [name, values] = &sequence(&attribute)?[..] else { return Err(StampError::Form) };
            if content(name, OID)? != oid {
                continue;
            }
            let [value] = &members(content(values, SET)?)?[..] else { return Err(StampError::Form) };
            if found.replace(value.clone()).is_some() {
                return Err(StampError::Form);
            }
        }
        Ok(found)
    }

    /// The certificate that the signed attributes name by its hash (RFC 2634, RFC 5816).
    fn signer(&self) -> Result<&Vec<u8>, StampError> {
        let first = |any: &Any| -> Result<Vec<Any>, StampError> {
            let [certificates, ..] = &sequence(any)?[..] else { return Err(StampError::Form) };
            let [one, ..] = &sequence(certificates)?[..] else { return Err(StampError::Form) };
            sequence(one)
        };
        match (self.attribute(SIGNING_CERTIFICATE_V2)?, self.attribute(SIGNING_CERTIFICATE)?) {
            (Some(value), _) => {
                let mut named = first(&value)?;
                let told = named.first().filter(|any| u8::from(any.tag()) == SEQUENCE).map(algorithm).transpose()?;
                if told.is_some() {
                    named.remove(0);
                }
                let with = told.unwrap_or_else(|| SHA256.to_vec());
                self.hashed(&named, &|bytes| digest(&with, bytes))
            }
            (None, Some(value)) => self.hashed(&first(&value)?, &|bytes| Ok(Sha1::digest(bytes).to_vec())),
            (None, None) => Err(StampError::Certificate),
        }
    }

    /// The certificate whose hash stands first in `named`.
    fn hashed(&self, named: &[Any], by: By<'_>) -> Result<&Vec<u8>, StampError> {
        let [hash, ..] = named else { return Err(StampError::Form) };
        let hash = content(hash, OCTETS)?;
        for certificate in &self.certificates {
            if by(certificate)? == hash {
                return Ok(certificate);
            }
        }
        Err(StampError::Certificate)
    }

    /// Whether the attributes are of this content and signed by the key of `leaf`.
    fn signed_by(&self, leaf: &EndEntityCert<'_>) -> Result<(), StampError> {
        let kind = self.attribute(CONTENT_TYPE)?.ok_or(StampError::Form)?;
        let hash = self.attribute(MESSAGE_DIGEST)?.ok_or(StampError::Form)?;
        if content(&kind, OID)? != TST_INFO || content(&hash, OCTETS)? != digest(&self.digest, &self.content)? {
            return Err(StampError::Signature);
        }
        // RSA is named alone as well as with the digest.
        let wanted = match (self.signature_algorithm == RSA, self.digest.as_slice()) {
            (false, _) => self.signature_algorithm.clone(),
            (true, SHA256) => with_last(RSA, 11),
            (true, SHA384) => with_last(RSA, 12),
            (true, SHA512) => with_last(RSA, 13),
            (true, _) => return Err(StampError::Algorithm),
        };
        let is = |id: &[u8]| id.get(2..).is_some_and(|id| id.starts_with(&wanted)) && id.get(1) == Some(&(wanted.len() as u8));
        let mut known = webpki::ALL_VERIFICATION_ALGS.iter().filter(|one| is(one.signature_alg_id().as_ref())).peekable();
        if known.peek().is_none() {
            return Err(StampError::Algorithm);
        }
        let message = self.attributes.to_der()?;
        let fits = known.any(|one| leaf.verify_signature(*one, &message, &self.signature).is_ok());
        if fits { Ok(()) } else { Err(StampError::Signature) }
    }
}

fn with_last(oid: &[u8], last: u8) -> Vec<u8> {
    let mut oid = oid.to_vec();
    if let Some(byte) = oid.last_mut() {
        *byte = last;
    }
    oid
}

/// What the authority says: when, of which bytes, in answer to what.
fn told(info: &[u8]) -> Result<(Timestamp, Hash, Option<Vec<u8>>), StampError> {
    let info = sequence(&Any::from_der(info)?)?;
    let [version, _, imprint, _, time, rest @ ..] = &info[..] else { return Err(StampError::Form) };
    if content(version, INTEGER)? != [1] {
        return Err(StampError::Form);
    }
    let [hashed_by, hash] = &sequence(imprint)?[..] else { return Err(StampError::Form) };
    if algorithm(hashed_by)? != SHA256 {
        return Err(StampError::Algorithm);
    }
    let imprint = Hash::try_from(content(hash, OCTETS)?).map_err(|_| StampError::Form)?;
    let nonce = rest.iter().find(|any| u8::from(any.tag()) == INTEGER).map(|any| any.value().to_vec());
    Ok((instant(content(time, TIME)?).ok_or(StampError::Form)?, imprint, nonce))
}

/// A generalized time in UTC, with or without a fraction of a second.
fn instant(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let [year, month, day, hour, minute, second] =
        [&whole[..4], &whole[4..6], &whole[6..8], &whole[8..10], &whole[10..12], &whole[12..]];
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction}Z").parse().ok()
}

/// The subject of `certificate`, which must be one for timestamps and nothing else (RFC 3161, 2.3).
fn subject(certificate: &[u8]) -> Result<String, StampError> {
    let certificate = x509_cert::Certificate::from_der(certificate).map_err(|_| StampError::Certificate)?;
    let extensions = certificate.tbs_certificate.extensions.unwrap_or_default();
    let usage = extensions.iter().find(|one| one.extn_id.as_bytes() == EXTENDED_KEY_USAGE).ok_or(StampError::Purpose)?;
    let alone = [&[SEQUENCE, 10, OID, 8], TIME_STAMPING].concat();
    if !usage.critical || usage.extn_value.as_bytes() != alone {
        return Err(StampError::Purpose);
    }
    // A certificate may say anything; a terminal must not obey it.
    Ok(certificate.tbs_certificate.subject.to_string().chars().filter(|one| !one.is_control()).collect())
}

#[cfg(test)]
#[path = "timestamp_tests.rs"]
mod tests;
