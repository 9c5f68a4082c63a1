//! Any bytes as a saved plan: refused, or written in canonical form and read again without a change.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slm_fuzz::model::plan::Plan;
use slm_fuzz::record::canonical;

fuzz_target!(|data: &[u8]| {
    let Ok(plan) = serde_json::from_slice::<Plan>(data) else { return };
    let line = canonical::json(&plan).expect("a plan has no floats");
    assert!(line.iter().position(|byte| *byte == b'\n') == Some(line.len() - 1), "one line");
    let again: Plan = serde_json::from_slice(&line).expect("what was written is read");
    assert_eq!(canonical::json(&again).expect("a plan has no floats"), line, "a second time says the same");
});
