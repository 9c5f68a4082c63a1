//! The pure part of slm, compiled from its own files.
//!
//! `load`, `policy` and the two small modules name nothing but `model` and each other, which `tests/suite/layers.rs` keeps true; so a fuzzer needs
//! no client of any vendor and builds in minutes.

#![forbid(unsafe_code)]

#[path = "../../src/load/mod.rs"]
pub mod load;
#[path = "../../src/model/mod.rs"]
pub mod model;
#[path = "../../src/policy/mod.rs"]
pub mod policy;
#[path = "../../src/record"]
#[allow(dead_code, reason = "what only its siblings in the crate call")]
pub mod record {
    //! One module of `record`.
    pub mod canonical;
}
#[path = "../../src/report"]
pub mod report {
    //! One module of `report`.
    pub mod diagnostics;
}
pub mod repo;
