//! Any bytes as a policy file or the schema of a small valid config repo: everything that is wrong with it or a catalog, whose rules
//! compile and on which the native evaluation and Cedar agree.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slm_fuzz::repo;

fuzz_target!(|data: &[u8]| {
    if let Some(catalog) = repo::with(&repo::CEDAR, data) {
        repo::judge(&catalog);
    }
});
