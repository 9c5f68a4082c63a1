//! The text of a checkpoint (C2SP tlog-checkpoint): whose log it is, how large it is, and what it hashes to.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::merkle::{Head, root_of};

/// Which line of a checkpoint is not as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointError {
    /// The first: it is empty or has a control character.
    Origin,
    /// The second: no decimal number, or a zero before one.
    Size,
    /// The third: no hash in base64, or of an empty log not the hash of nothing.
    Root,
    /// One after: it is empty or has a control character.
    Extension,
    /// The last: it does not end in a newline.
    End,
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Origin => "the checkpoint does not say whose log it is of",
            Self::Size => "the checkpoint does not say how large the log is",
            Self::Root => "the checkpoint does not say what the log hashes to",
            Self::Extension => "the checkpoint has an extension line that cannot be one",
            Self::End => "the checkpoint does not end in a newline",
        })
    }
}

impl std::error::Error for CheckpointError {}

/// What a log says of itself at one moment. Written, it is the text of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    head: Head,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint of the log `origin` at `head`. Extension lines are opaque, and better left out.
    ///
    /// # Errors
    /// When one of them cannot be written as lines.
    pub fn new(origin: &str, head: Head, extensions: Vec<String>) -> Result<Self, CheckpointError> {
        if !is_line(origin) {
            return Err(CheckpointError::Origin);
        }
        if head.size == 0 && head.root != root_of(&[]) {
            return Err(CheckpointError::Root);
        }
        if !extensions.iter().all(|line| is_line(line)) {
            return Err(CheckpointError::Extension);
        }
        Ok(Self { origin: origin.to_owned(), head, extensions })
    }

    /// Reads what [`Checkpoint`] writes, and no other spelling of it.
    ///
    /// # Errors
    /// The first line that is not as it must be.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::End)?.split('\n');
        let origin = lines.next().ok_or(CheckpointError::Origin)?;
        let size = lines.next().and_then(parse_size).ok_or(CheckpointError::Size)?;
        let root = lines.next().and_then(|line| BASE64.decode(line).ok()).ok_or(CheckpointError::Root)?;
        let root = root.try_into().map_err(|_| CheckpointError::Root)?;
        Self::new(origin, Head { size, root }, lines.map(str::to_owned).collect())
    }

    /// Whose log it is of.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its size and root.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The lines after.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, head: Head { size, root }, extensions } = self;
        write!(f, "{origin}\n{size}\n{}\n", BASE64.encode(root))?;
        extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn is_line(line: &str) -> bool {
    !line.is_empty() && !line.contains(|c| c < ' ')
}

/// Digits alone, and no zero before another: `parse` would take a plus and zeros.
fn parse_size(line: &str) -> Option<u64> {
    let digits = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit());
    if digits && (line == "0" || !line.starts_with('0')) { line.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_example_of_the_specification_reads_and_writes() {
        let read = Checkpoint::parse(EXAMPLE).unwrap();
        assert_eq!((read.origin(), read.head().size, read.extensions()), ("example.com/behind-the-sofa", 20_852_163, &[][..]));
        assert_eq!(read.head().root[..4], [0x0a, 0xc5, 0x18, 0x6a]);
        assert_eq!(read.to_string(), EXAMPLE);
        let extended = format!("{EXAMPLE}one\ntwo three\n");
        let read = Checkpoint::parse(&extended).unwrap();
        assert_eq!(read.extensions(), ["one", "two three"]);
        assert_eq!(read.to_string(), extended);
    }

    #[test]
    fn every_other_spelling_is_refused_by_its_line() {
        use CheckpointError::*;
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        let short = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==";
        for (text, error) in [
            (String::new(), End),
            ("\n".into(), Size),
            ("a\n".into(), Size),
            ("a\n1\n".into(), Root),
            (format!("a\n1\n{root}"), End),
            (format!("\n1\n{root}\n"), Origin),
            (format!("a\tb\n1\n{root}\n"), Origin),
            (format!("a\r\n1\r\n{root}\r\n"), Size),
            (format!("a\n01\n{root}\n"), Size),
            (format!("a\n00\n{root}\n"), Size),
            (format!("a\n+1\n{root}\n"), Size),
            (format!("a\n-1\n{root}\n"), Size),
            (format!("a\n 1\n{root}\n"), Size),
            (format!("a\n\n{root}\n"), Size),
            (format!("a\n0x1\n{root}\n"), Size),
            (format!("a\n18446744073709551616\n{root}\n"), Size),
            (format!("a\n0\n{root}\n"), Root),
            (format!("a\n1\n{short}\n"), Root),
            (format!("a\n1\n{}\n", root.trim_end_matches('=')), Root),
            (format!("a\n1\n{}\n", root.replace("2I=", "2J=")), Root),
            (format!("a\n1\n{}\n", root.replace('/', "_")), Root),
            (format!("a\n1\n{root} \n"), Root),
            (format!("a\n1\n{root}\n\n"), Extension),
            (format!("a\n1\n{root}\nx\n\ny\n"), Extension),
            (format!("a\n1\n{root}\nx\u{7}\n"), Extension),
        ] {
            assert_eq!(Checkpoint::parse(&text), Err(error), "{text:?}");
        }
        assert_eq!(Checkpoint::parse(&format!("a\n{}\n{root}\n", u64::MAX)).unwrap().head().size, u64::MAX);
    }

    #[test]
    fn the_empty_log_has_one_root() {
        let empty = "a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
        assert_eq!(Checkpoint::parse(empty).unwrap().to_string(), empty);
    }

    #[test]
    fn what_cannot_be_read_is_not_made() {
        let head = Head { size: 1, root: [0; 32] };
        assert_eq!(Checkpoint::new("", head, vec![]), Err(CheckpointError::Origin));
        assert_eq!(Checkpoint::new("a\nb", head, vec![]), Err(CheckpointError::Origin));
        assert_eq!(Checkpoint::new("a", head, vec![String::new()]), Err(CheckpointError::Extension));
        let made = Checkpoint::new("a b+c", head, vec!["x".into()]).unwrap();
        assert_eq!(Checkpoint::parse(&made.to_string()), Ok(made));
    }

    #[test]
    fn no_changed_byte_reads_as_the_same_checkpoint() {
        let read = Checkpoint::parse(EXAMPLE).unwrap();
        for at in 0..EXAMPLE.len() {
            for to in 0..128 {
                let mut bytes = EXAMPLE.as_bytes().to_vec();
                if std::mem::replace(&mut bytes[at], to) == to {
                    continue;
                }
                let changed = Checkpoint::parse(std::str::from_utf8(&bytes).unwrap());
                assert_ne!(changed.as_ref(), Ok(&read), "byte {at} is {to}");
            }
        }
    }
}
