//! The hash log: a Merkle tree kept as tiles, and the signed notes that say how large it is and what it hashes to.
//!
//! ```text
//! entry ─▶ bundle ─▶ leaf hash ─▶ tile ─▶ root ─▶ checkpoint ─▶ signed note
//! ```
//!
//! Pure: files are read through a closure by their path below the log's folder, and what is to be written is handed back.
//! Hashing is RFC 6962 and RFC 9162; the rest is C2SP tlog-tiles, tlog-checkpoint and signed-note, so that the tools of others
//! can check a log without ours.

mod append;
mod check;
mod checkpoint;
mod growing;
mod merkle;
mod note;
mod tiles;

#[cfg(test)]
mod test_log;

pub use append::{Appended, Appender};
pub use check::check;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use growing::{Frontier, Growing};
pub use merkle::{Hash, Head, ProofError, leaf_hash, node_hash, root_of, verify_consistency, verify_inclusion};
pub use note::{NoteError, Opened, Signature, Signer, Verifier, compose, open, signature_lines};
pub use tiles::{Entries, LogError, MAX_ENTRY, Tiles, bundle_path, entries, grown, root, tile_path};
