//! Plain data, no I/O: the words of the domain, shared by every stage.

pub mod assessment;
pub mod blob;
pub mod calendar;
pub mod catalog;
mod consumer;
pub mod decisions;
pub mod diagnostic;
pub mod fact;
pub mod gate;
pub mod id;
pub mod locker;
pub mod names;
pub mod outcome;
pub mod outlook;
pub mod past;
pub mod period;
pub mod plan;
pub mod preflight;
pub mod receipt;
pub mod registers;
pub mod rights;
pub mod rotator;
pub mod secret;
pub mod snapshot;
pub mod standing;
pub mod time;
pub mod usage;
