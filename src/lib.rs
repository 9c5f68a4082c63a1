//! slm: a reconciler for security promises.
//!
//! ```text
//! text ─▶ load ─▶ observe ─▶ evaluate ─▶ plan ─▶ apply ─▶ record ─▶ git
//!          │        │           │         │        │         │
//!       Catalog  Snapshot   Assessment   Plan   Outcome   commit       report renders any of these
//! ```
//!
//! `load evaluate plan diff report` are pure: the instant is a parameter, and nothing is read or written. `observe apply record`
//! touch the world through the traits in [`world`] alone. The layer rule is a test, `tests/suite/layers.rs`.
//!
//! [`agent`] is the application side of a rotation, a process of its own: it takes a version into use and proves it.
//!
//! Where to add things: a collector, rotator or consumer is one file beside its kin, and the few places that CONTRIBUTING.md names; a
//! control or a framework is TOML and Cedar under `controls/` and `policies/`, never Rust; a verb is one file in `cli/`.

pub mod agent;
pub mod anchors;
pub mod apply;
pub mod cli;
pub mod collectors;
pub mod consumers;
pub mod diff;
pub mod evaluate;
pub mod host;
pub mod load;
pub mod model;
pub mod notifiers;
pub mod objects;
pub mod observe;
pub mod plan;
pub mod policy;
pub mod record;
pub mod report;
pub mod rotators;
pub mod sinks;
pub mod transport;
pub mod world;
