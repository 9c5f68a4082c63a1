//! One integration binary, so that it links once: real counterparts, or servers that answer recorded shapes.

mod aws;
mod layers;
mod record;
mod rules;
