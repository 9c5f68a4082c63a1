//! Any text as one of the TOML files of a small valid config repo.

#![no_main]

mod repo;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let path = repo::TOML[usize::from(*choice) % repo::TOML.len()];
    repo::load_with(path, text);
});
