//! Any result as text; every renderer returns a value and writes nowhere.

pub mod diagnostics;
