//! Notes others signed, our own, and every way to spoil one.

use super::*;

/// The key, text and signature of the documentation of golang.org/x/mod/sumdb/note.
const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const SKEY: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const LINE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn peter() -> Verifier {
    Verifier::parse(VKEY).unwrap()
}

fn signer(name: &str, seed: u8) -> Signer {
    Signer::new(name, &[seed; 32]).unwrap()
}

fn opened(note: &str, verifiers: &[&Verifier]) -> Result<Vec<String>, NoteError> {
    let verifiers: Vec<_> = verifiers.iter().copied().cloned().collect();
    open(note.as_bytes(), &verifiers).map(|opened| opened.signers)
}

#[test]
fn the_example_of_go_opens() {
    let note = format!("{TEXT}\n{LINE}");
    let expected = Opened { text: TEXT.to_owned(), signers: vec!["PeterNeumann".to_owned()] };
    assert_eq!(open(note.as_bytes(), &[peter()]), Ok(expected));
    assert_eq!((peter().name(), peter().id(), peter().vkey().as_str()), ("PeterNeumann", [0xc7, 0x4f, 0x20, 0xa3], VKEY));
}

#[test]
fn signing_the_example_of_go_gives_its_bytes() {
    let seed = BASE64.decode(SKEY).unwrap();
    let signer = Signer::new("PeterNeumann", seed[1..].try_into().unwrap()).unwrap();
    assert_eq!(signer.verifier().vkey(), VKEY);
    assert_eq!(compose(TEXT, &[signer.sign(TEXT).unwrap()]), Ok(format!("{TEXT}\n{LINE}")));
}

#[test]
fn checkpoints_of_sum_golang_org_open_also_with_a_witness_beside() {
    let log = Verifier::parse("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8").unwrap();
    for note in [
        "go.sum database tree\n6476701\nmb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=\n\n\
         — sum.golang.org Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWEPWL+o3GeoWwOoAw=\n",
        "go.sum database tree\n15067302\ngJyioq6dwR9n+NjEWORfYmH+ubeYm3kH42BBQ0bTpYI=\n\n\
         — sum.golang.org Az3grp1rvWOs5NKlr/xR4GLN/CDyzzakmt1o61uSxYKpK1SerqOP2ClbX/peKUZjYnyomH5Xz7GZG3TpB7OeKn4E2ww=\n\
         — test.example.com qTGhC/xIPQ0AXKHK6Y+9ypRfuvMZWPjRXM8NiOg5M1WREn07VQXyuIXM3NRNav3ieVFLUqDRK77PWDmL6w8w84UqeAw=\n",
    ] {
        assert_eq!(opened(note, &[&log]), Ok(vec!["sum.golang.org".to_owned()]));
        assert_eq!(opened(note, &[&peter()]), Err(NoteError::Unsigned));
    }
}

#[test]
fn a_vkey_has_one_spelling() {
    for start in 0..=VKEY.len() {
        for end in start..=VKEY.len() {
            assert_eq!(Verifier::parse(&VKEY[start..end]).is_ok(), (start, end) == (0, VKEY.len()), "{start}..{end}");
        }
    }
    for at in 0..VKEY.len() {
        for to in (0..128).filter(|to| *to != VKEY.as_bytes()[at]) {
            let mut changed = VKEY.as_bytes().to_vec();
            changed[at] = to;
            assert!(Verifier::parse(std::str::from_utf8(&changed).unwrap()).is_err(), "byte {at} is {to}");
        }
    }
    // The id fits, the key does not: too long, and of another type. From the tests of Go.
    assert_eq!(
        Verifier::parse("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==").err(),
        Some(NoteError::Key)
    );
    assert_eq!(Verifier::parse("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").err(), Some(NoteError::Key));
    assert!(Verifier::parse(&VKEY.replace("c74f20a3", "C74F20A3")).is_err());
}

#[test]
fn a_key_anyone_can_sign_for_is_none() {
    let mut identity = [0; 32];
    identity[0] = 1;
    assert_eq!(Verifier::new("a", &identity), Err(NoteError::Key));
    assert_eq!(Verifier::new("a", &[0; 32]), Err(NoteError::Key));
}

#[test]
fn a_name_has_no_space_plus_or_control_character() {
    for name in ["", " ", "a b", "a+b", "a\tb", "a\n", "a\u{a0}b", "a\u{2028}", "a\u{3000}", "a\0"] {
        assert!(matches!(Signer::new(name, &[1; 32]), Err(NoteError::Name(_))), "{name:?}");
        assert!(Signature::unchecked(name, [0; 4], vec![1]).is_err(), "{name:?}");
    }
    for name in ["example.com/log", "日本", "a-b_c:d", "—"] {
        let signer = signer(name, 1);
        assert_eq!(Verifier::parse(&signer.verifier().vkey()).as_ref(), Ok(signer.verifier()));
        let note = compose("x\n", &[signer.sign("x\n").unwrap()]).unwrap();
        assert_eq!(opened(&note, &[signer.verifier()]), Ok(vec![name.to_owned()]));
    }
}

#[test]
fn many_keys_sign_and_those_known_are_named_in_order() {
    let (a, b, c) = (signer("a", 1), signer("b", 2), signer("c", 3));
    let text = "one\n\n— a b\n\ntwo\n\n";
    let note = compose(text, &[b.sign(text).unwrap(), a.sign(text).unwrap(), c.sign(text).unwrap()]).unwrap();
    assert_eq!(opened(&note, &[a.verifier(), b.verifier()]), Ok(vec!["b".to_owned(), "a".to_owned()]));
    assert_eq!(open(note.as_bytes(), &[c.verifier().clone()]).unwrap().text, text);
    assert_eq!(opened(&note, &[]), Err(NoteError::Unsigned));
}

#[test]
fn a_signature_made_elsewhere_is_taken_in_only_if_it_holds() {
    let signer = signer("kms", 7);
    let made = SigningKey::from_bytes(&[7; 32]).sign(b"x\n").to_bytes();
    let signature = signer.verifier().signature("x\n", &made).unwrap();
    assert_eq!(signature, signer.sign("x\n").unwrap());
    let wrong = Err(NoteError::Signature("kms".to_owned()));
    assert_eq!(signer.verifier().signature("y\n", &made), wrong);
    assert_eq!(signer.verifier().signature("x\n", &made[..63]), wrong);
    assert_eq!(signer.verifier().signature("x", &made), Err(NoteError::Text));
}

#[test]
fn a_wrong_signature_of_a_known_key_spoils_the_note_beside_a_right_one() {
    let (a, b) = (signer("a", 1), signer("b", 2));
    let note = compose("x\n", &[a.sign("x\n").unwrap(), b.sign("y\n").unwrap()]).unwrap();
    assert_eq!(opened(&note, &[a.verifier(), b.verifier()]), Err(NoteError::Signature("b".to_owned())));
    assert_eq!(opened(&note, &[a.verifier()]), Ok(vec!["a".to_owned()]));
    let twice = compose("x\n", &[a.sign("x\n").unwrap(), a.sign("x\n").unwrap()]).unwrap();
    assert_eq!(opened(&twice, &[a.verifier()]), Ok(vec!["a".to_owned()]));
    let second_wrong = compose("x\n", &[a.sign("x\n").unwrap(), a.sign("y\n").unwrap()]).unwrap();
    assert_eq!(opened(&second_wrong, &[a.verifier()]), Err(NoteError::Signature("a".to_owned())));
}

#[test]
fn a_key_is_known_by_its_name_and_its_id_together() {
    let (a, other) = (signer("a", 1), signer("a", 2));
    let note = compose("x\n", &[a.sign("x\n").unwrap()]).unwrap();
    assert_eq!(opened(&note, &[other.verifier()]), Err(NoteError::Unsigned));
    let stranger = Signature::unchecked("b", a.verifier().id(), vec![1]).unwrap();
    let note = compose("x\n", &[stranger, a.sign("x\n").unwrap()]).unwrap();
    assert_eq!(opened(&note, &[a.verifier(), other.verifier()]), Ok(vec!["a".to_owned()]));
    let mut twin = other.verifier().clone();
    twin.id = a.verifier().id();
    assert_eq!(opened(&note, &[a.verifier(), &twin]), Err(NoteError::Ambiguous("a".to_owned())));
    assert_eq!(opened(&note, &[a.verifier(), a.verifier()]), Ok(vec!["a".to_owned()]));
}

#[test]
fn any_changed_byte_is_refused() {
    let a = signer("a", 1);
    let note = compose("x\n", &[a.sign("x\n").unwrap()]).unwrap().into_bytes();
    let open = |note: &[u8]| open(note, &[a.verifier().clone()]);
    assert_eq!(open(&note).unwrap().text, "x\n");
    for at in 0..note.len() {
        for flip in [0x01, 0x80] {
            let mut changed = note.clone();
            changed[at] ^= flip;
            assert!(open(&changed).is_err(), "byte {at} ^ {flip}");
        }
        let (mut shorter, mut longer) = (note.clone(), note.clone());
        shorter.remove(at);
        longer.insert(at, b'\n');
        assert!(open(&shorter).is_err(), "without byte {at}");
        assert!(open(&longer).is_err(), "newline before byte {at}");
        assert!(open(&note[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn what_is_no_note_is_refused() {
    let good = format!("x\n\n{LINE}");
    for note in [
        String::new(),
        "x\n".into(),
        "x\n\n".into(),
        TEXT.into(),
        format!("{TEXT}{LINE}"),
        format!("\n{LINE}"),
        good.trim_end().into(),
        format!("{good}x\n"),
        format!("{good}\n"),
        good.replace('—', "-"),
        good.replace("— ", "—"),
        good.replace("— P", "—  P"),
        good.replace("Neumann", "Neu+mann"),
        good.replace("Neumann", "Neu\u{a0}mann"),
        good.replace("= ", "=").replace('=', ""),
        good.replace("=\n", "=\r\n"),
        good.replace("=\n", "= \n"),
        "x\n\n— a AAAA\n".into(),
        "x\n\n— a AAAAAA==\n".into(),
        "x\n\n— a \n".into(),
        format!("{good}— a x y\n"),
        good.replacen('x', "\t", 1),
    ] {
        assert_eq!(opened(&note, &[&peter()]), Err(NoteError::Form), "{note:?}");
    }
    assert_eq!(open(b"x\xff\n\n", &[]), Err(NoteError::Form));
}

#[test]
fn a_note_has_at_most_a_hundred_signatures_and_a_million_bytes() {
    let a = signer("a", 1);
    let mine = a.sign("x\n").unwrap();
    let stranger = Signature::unchecked("b", [9; 4], vec![0; 5000]).unwrap();
    let many = |count| [vec![mine.clone()], vec![stranger.clone(); count]].concat();
    assert_eq!(opened(&compose("x\n", &many(99)).unwrap(), &[a.verifier()]), Ok(vec!["a".to_owned()]));
    assert_eq!(compose("x\n", &many(100)), Err(NoteError::TooLarge));
    let lines: String = many(100).iter().map(Signature::line).collect();
    assert_eq!(opened(&format!("x\n\n{lines}"), &[a.verifier()]), Err(NoteError::TooLarge));
    let long = format!("{}\n", "x".repeat(MAX_NOTE));
    assert_eq!(compose(&long, &[a.sign(&long).unwrap()]), Err(NoteError::TooLarge));
    assert_eq!(opened(&long, &[a.verifier()]), Err(NoteError::TooLarge));
    assert_eq!(compose("x\n", &[]), Err(NoteError::Unsigned));
}

#[test]
fn a_text_that_could_not_be_read_again_is_not_signed() {
    for text in ["", "x", "x\r\n", "\t\n", "x\0\n"] {
        assert_eq!(signer("a", 1).sign(text), Err(NoteError::Text), "{text:?}");
        assert_eq!(compose(text, &[signer("a", 1).sign("x\n").unwrap()]), Err(NoteError::Text), "{text:?}");
    }
}

/// It would not compile otherwise: a signer that had one of these would have two ways to be `Silent`.
#[test]
fn a_signer_cannot_speak_or_be_copied() {
    trait Silent<Way> {
        fn checked() {}
    }
    struct Speaks;
    struct Shows;
    struct Copies;
    impl<T> Silent<()> for T {}
    impl<T: fmt::Debug> Silent<Speaks> for T {}
    impl<T: fmt::Display> Silent<Shows> for T {}
    impl<T: Clone> Silent<Copies> for T {}
    <Signer as Silent<_>>::checked();
}
