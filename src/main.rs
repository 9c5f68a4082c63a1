//! Parse arguments, run one verb, return its exit code.

fn main() {}
