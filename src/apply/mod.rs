//! The rotation engine: observe, decide, perform one thing, observe again. It has no memory, so resuming is starting.

pub mod decide;
pub mod engine;
#[cfg(test)]
mod explore;
pub mod gate;
mod look;
pub mod names;
pub mod observation;
mod write;
