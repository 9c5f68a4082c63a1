//! Secret bytes that cannot speak: no `Debug`, `Display`, `Serialize`, `Clone` or `PartialEq`; zeroed on drop.

use zeroize::Zeroizing;

/// The value of a credential. It leaves this type only through [`Secret::expose`], which only stores, rotators and consumers call.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of `bytes`; they are zeroed when the value is dropped.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text.
    ///
    /// # Errors
    /// When they are not UTF-8; the error does not hold them.
    pub fn expose_text(&self) -> Result<&str, NotText> {
        std::str::from_utf8(&self.0).map_err(|_| NotText)
    }
}

/// A secret that must be text is not.
#[derive(Debug)]
pub struct NotText;

impl std::fmt::Display for NotText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the value is not UTF-8 text")
    }
}

impl std::error::Error for NotText {}

/// `line` with what stands between `//` and `@` in a URL taken out.
#[must_use]
pub fn without_credentials(line: &str) -> String {
    line.split(' ')
        .map(|word| match (word.find("//"), word.rfind('@')) {
            (Some(start), Some(end)) if start < end => format!("{}{}", &word[..start + 2], &word[end + 1..]),
            _ => word.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::Secret;

    /// Does not compile once [`Secret`] has one of these traits: then it is not clear which of two impls is meant.
    macro_rules! never {
        ($($what:path),+) => {$(
            const _: fn() = || {
                trait Clear<Which> {
                    fn seen() {}
                }
                impl<T: ?Sized> Clear<()> for T {}
                impl<T: ?Sized + $what> Clear<u8> for T {}
                let _ = <Secret as Clear<_>>::seen;
            };
        )+};
    }

    never!(
        std::fmt::Debug,
        std::fmt::Display,
        std::fmt::LowerHex,
        serde::Serialize,
        Clone,
        Copy,
        PartialEq,
        PartialOrd,
        std::hash::Hash
    );
    never!(Default, AsRef<[u8]>, AsRef<str>, std::borrow::Borrow<[u8]>, std::ops::Deref<Target = [u8]>, IntoIterator);

    #[test]
    fn a_value_leaves_its_type_as_it_came_and_what_is_no_text_is_not_shown() {
        assert_eq!(Secret::new(b"a b".to_vec()).expose_text().ok(), Some("a b"));
        let wrong = Secret::new(vec![b'c', 0xff]);
        assert_eq!(wrong.expose(), [b'c', 0xff]);
        assert_eq!(
            wrong.expose_text().map_err(|error| format!("{error} {error:?}")),
            Err("the value is not UTF-8 text NotText".to_owned())
        );
    }
}
