//! The rotation engine: observe, decide, perform one thing, observe again. It has no memory, so resuming is starting.

mod contents;
pub mod decide;
mod effect;
pub mod engine;
#[cfg(test)]
mod explore;
pub mod fenced;
pub mod gate;
pub mod job;
mod look;
pub mod managed;
pub mod observation;
pub mod stored;
pub mod together;
mod write;
