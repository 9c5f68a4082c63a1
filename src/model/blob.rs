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

/// Appends `bytes` to `out` as one zlib stream. Where compressing spares less than an eighth, as of digests and keys, they stand in it as
/// they are: whoever verifies a locker reads every byte of it again, and unpacking what was hardly packed took half of their time.
///
/// # Errors
/// When they cannot be compressed.
pub fn deflate(with: &mut Compress, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    compress(with, bytes, out)?;
    let plain = plain_length(bytes.len());
    if plain - plain / 8 <= out.len() - start {
        // The sum at the end is that of the bytes, however they are packed.
        let sum = out.last_chunk::<4>().copied().unwrap_or_default();
        out.truncate(start);
        out.reserve(plain);
        store(bytes, sum, out);
    }
    Ok(())
}

/// The most bytes of a block that is not compressed.
const BLOCK: usize = u16::MAX as usize;

/// How long the stream of [`store`] is.
fn plain_length(bytes: usize) -> usize {
    2 + 5 * bytes.div_ceil(BLOCK).max(1) + bytes + 4
}

/// Appends `bytes`, whose Adler-32 is `sum`, as a zlib stream of blocks that are not compressed.
fn store(bytes: &[u8], sum: [u8; 4], out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x78, 0x01]);
    let mut rest = bytes;
    loop {
        let (block, after) = rest.split_at(rest.len().min(BLOCK));
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(after.is_empty()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    out.extend_from_slice(&sum);
}

/// The `length` bytes of a stream that [`deflate`] wrote as they are, when they are one block and have their sum: what most streams of a
/// locker are takes no unpacking. `None` of any other, which may be a good one all the same.
#[must_use]
pub fn stored(stream: &[u8], length: usize) -> Option<&[u8]> {
    let block = u16::try_from(length).ok()?;
    let rest = stream.strip_prefix(&[0x78, 0x01, 1])?;
    let rest = rest.strip_prefix(&block.to_le_bytes())?.strip_prefix(&(!block).to_le_bytes())?;
    let (bytes, rest) = rest.split_at_checked(length)?;
    let sum = u32::from_be_bytes(*rest.first_chunk()?);
    (simd_adler32::adler32(&bytes) == sum).then_some(bytes)
}

fn compress(with: &mut Compress, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
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

    #[test]
    fn what_compresses_by_less_than_an_eighth_stands_as_it_is() {
        let digests = |bytes: usize| {
            let words = (0_u64..).map(|at| format!("{:016x}", (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)));
            let mut text: Vec<u8> = words.take(bytes / 16 + 1).collect::<String>().into();
            text.truncate(bytes);
            text
        };
        for length in [100, 640, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 200_000] {
            let bytes: Vec<u8> =
                digests(length).iter().zip(0_u32..).map(|(byte, at)| byte ^ (at.wrapping_mul(2_654_435_761) >> 27) as u8).collect();
            let blob = Blob::compressed(&bytes);
            let Blob::Zlib { stream, .. } = &blob else { panic!("not a stream") };
            assert_eq!(stream.len(), plain_length(length));
            assert_eq!(stream[7..7 + length.min(BLOCK)], bytes[..length.min(BLOCK)]);
            assert_eq!(&*blob.bytes().unwrap(), &*bytes);
            let one = (length <= BLOCK).then_some(&*bytes);
            assert_eq!(stored(&[stream, &b"what follows"[..]].concat(), length), one);
            assert_eq!((stored(stream, length - 1), stored(&stream[..stream.len() - 1], length)), (None, None));
            for at in (0..7).chain([7 + length / 2, stream.len() - 1]) {
                let mut other = stream.to_vec();
                other[at] ^= 2;
                assert_eq!(stored(&other, length), None, "byte {at} of {length}");
            }
        }
        let mut lines = b"{\"status\":\"compliant\",\"digest\":\"\"}\n".repeat(10);
        lines.extend(digests(300));
        let Blob::Zlib { stream, .. } = Blob::compressed(&lines) else { panic!("not a stream") };
        assert!(stream.len() < lines.len() * 7 / 8, "{} of {}", stream.len(), lines.len());
    }
}
