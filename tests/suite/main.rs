//! One integration binary, so that it links once.

mod layers;
mod record;
mod rules;
