//! Tokens of real authorities, made with `openssl ts` over the same bytes.

use super::*;

const DATA: &[u8] = include_bytes!("../../fixtures/timestamps/data");

macro_rules! made {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../fixtures/timestamps/", $name, ".tsr")).as_slice(),
            include_bytes!(concat!("../../fixtures/timestamps/", $name, ".pem")).as_slice(),
        )
    };
}

/// RSA; RSA below a middle authority; P-384 below P-256; one that names its certificate by SHA-1 and gives fractions of a second.
const MADE: [(&str, &[u8], &[u8]); 4] = [made!("rsa"), made!("mid"), made!("ec"), made!("old")];

#[test]
fn tokens_of_every_kind_are_believed_by_who_trusts_their_root() {
    for (name, token, root) in MADE {
        let stamp = open(token, &authorities(root)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(stamp.imprint, Hash::from(Sha256::digest(DATA)), "{name}");
        assert_eq!(stamp.authority, "CN=Acme timestamps,O=Acme", "{name}");
        // A zero comes first where the number would be negative without it.
        assert_eq!(stamp.nonce.unwrap().iter().skip_while(|byte| **byte == 0).count(), 8, "{name}");
        assert!(stamp.at.to_string().starts_with("2026-11-29T08:5"), "{name}: {}", stamp.at);
        assert_eq!(stamp.at.subsec_nanosecond() != 0, name == "old", "{name}: {}", stamp.at);
    }
}

#[test]
fn a_token_of_another_authority_or_of_none_is_not_believed() {
    for (name, token, _) in MADE {
        for (other, _, root) in MADE.iter().filter(|(other, ..)| *other != name) {
            assert!(matches!(open(token, &authorities(root)), Err(StampError::Untrusted(_))), "{name} by {other}");
        }
        assert!(matches!(open(token, &[]), Err(StampError::Untrusted(_))), "{name}");
    }
}

#[test]
fn no_changed_byte_says_anything_else() {
    for (name, token, root) in MADE {
        let roots = authorities(root);
        let said = open(token, &roots).unwrap();
        let mut passed = 0;
        for at in 0..token.len() {
            let mut bytes = token.to_vec();
            bytes[at] ^= 0x04;
            // What is not signed, as which version the container is of, may be another and says nothing else.
            if let Ok(stamp) = open(&bytes, &roots) {
                assert_eq!(stamp, said, "{name}: byte {at}");
                passed += 1;
            }
            assert!(open(&token[..at], &roots).is_err(), "{name}: cut at {at}");
        }
        assert!(passed * 10 < token.len(), "{name}: {passed} of {} bytes are not looked at", token.len());
    }
}

#[test]
fn a_question_is_answered_by_its_own_answer_alone() {
    let query = Query::new(DATA, [0xff, 1, 2, 3, 4, 5, 6, 7]);
    let bytes = query.encoded();
    assert_eq!(bytes.len(), 69);
    assert_eq!(bytes[bytes.len() - 13..], [2, 8, 0x7f, 1, 2, 3, 4, 5, 6, 7, 1, 1, 0xff]);
    let answer = |bytes: &[u8], nonce: Option<&[u8]>| Stamp {
        at: Timestamp::UNIX_EPOCH,
        imprint: Sha256::digest(bytes).into(),
        nonce: nonce.map(<[u8]>::to_vec),
        authority: String::new(),
    };
    assert!(query.is_answered_by(&answer(DATA, Some(&[0x7f, 1, 2, 3, 4, 5, 6, 7]))));
    assert!(!query.is_answered_by(&answer(DATA, Some(&[0x7f, 1, 2, 3, 4, 5, 6, 8]))));
    assert!(!query.is_answered_by(&answer(DATA, None)));
    assert!(!query.is_answered_by(&answer(b"else", Some(&[0x7f, 1, 2, 3, 4, 5, 6, 7]))));
}

#[test]
fn a_refusal_is_told_by_its_status() {
    assert_eq!(open(&[0x30, 5, 0x30, 3, 2, 1, 2], &[]), Err(StampError::Refused(2)));
    assert_eq!(open(b"<html>", &[]), Err(StampError::Form));
    assert_eq!(open(&[], &[]), Err(StampError::Form));
}

#[test]
fn an_instant_has_all_its_digits_and_is_in_utc() {
    assert_eq!(instant(b"20261129085519Z").unwrap().to_string(), "2026-11-29T08:55:19Z");
    assert_eq!(instant(b"20261129085519.25Z").unwrap().to_string(), "2026-11-29T08:55:19.25Z");
    for other in
        ["20261129085519", "202611290855Z", "20261329085519Z", "20261129085519+0100", "20261129085519.Z", "2026112908551 Z"]
    {
        assert_eq!(instant(other.as_bytes()), None, "{other}");
    }
}
