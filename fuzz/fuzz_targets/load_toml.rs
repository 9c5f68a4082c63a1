//! Any bytes as one of the TOML files of a small valid config repo: everything that is wrong with it or a catalog, and the catalog
//! compiles.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slm_fuzz::policy::Rules;
use slm_fuzz::repo;

fuzz_target!(|data: &[u8]| {
    if let Some(catalog) = repo::with(&repo::TOML, data) {
        Rules::compile(&catalog).unwrap_or_else(|error| panic!("what was checked must compile: {error}"));
    }
});
