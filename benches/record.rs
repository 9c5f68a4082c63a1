//! Figures of the locker: one commit of many artefacts, against `git fast-import` of the same.
fn main() {}
