//! Bytes to keep: as they are, or compressed as soon as they came.

use std::borrow::Cow;
use std::io::{self, Read as _};
use std::sync::Arc;

use flate2::read::ZlibDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};

/// Bytes to keep. A clone shares them.
#[derive(Clone)]
pub enum Blob {
    /// As they are.
    Plain(Arc<[u8]>),
    /// A zlib stream, which is what a git pack wants.
    Zlib {
        /// The stream.
        stream: Arc<[u8]>,
        /// How many bytes are in it.
        length: usize,
    },
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Plain(bytes.into())
    }
}

impl Blob {
    /// `bytes`, compressed.
    #[must_use]
    pub fn compressed(bytes: &[u8]) -> Self {
        let mut stream = Vec::with_capacity(bytes.len() / 4 + 64);
        match deflate(&mut compressor(), bytes, &mut stream) {
            Ok(()) => Self::Zlib { stream: stream.into(), length: bytes.len() },
            Err(_) => Self::Plain(bytes.into()),
        }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn length(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Zlib { length, .. } => *length,
        }
    }

    /// The bytes as they were.
    ///
    /// # Errors
    /// When the stream is not whole.
    pub fn bytes(&self) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::Plain(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Zlib { stream, length } => {
                let mut bytes = Vec::with_capacity(*length);
                ZlibDecoder::new(&**stream).read_to_end(&mut bytes)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        matches!((self.bytes(), other.bytes()), (Ok(one), Ok(two)) if one == two)
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({} bytes)", self.length())
    }
}

/// The way everything is compressed. Level 1: half the time of level 6 for a fifth more space; `git gc` packs it tighter when it
/// comes by.
#[must_use]
pub fn compressor() -> Compress {
    Compress::new(Compression::new(1), true)
}

/// Appends `bytes` to `out` as one zlib stream.
///
/// # Errors
/// When they cannot be compressed.
pub fn deflate(with: &mut Compress, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    with.reset();
    loop {
        let read = usize::try_from(with.total_in()).map_err(io::Error::other)?;
        out.reserve((bytes.len() - read) / 4 + 64);
        match with.compress_vec(&bytes[read..], out, FlushCompress::Finish)? {
            Status::StreamEnd => return Ok(()),
            Status::Ok | Status::BufError => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_comes_back() {
        let noise: Vec<u8> = (0..100_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for bytes in [vec![], b"one".to_vec(), vec![7; 300_000], noise] {
            let blob = Blob::compressed(&bytes);
            assert_eq!((blob.length(), &*blob.bytes().unwrap()), (bytes.len(), &*bytes));
            assert_eq!(blob, Blob::from(bytes));
        }
        let Blob::Zlib { stream, .. } = Blob::compressed(&[7; 300_000]) else { panic!("not compressed") };
        assert!(stream.len() < 3_000, "{} bytes", stream.len());
    }
}
