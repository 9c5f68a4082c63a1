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
