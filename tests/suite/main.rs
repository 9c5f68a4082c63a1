//! The one integration binary: real counterparts, or servers that answer recorded shapes.

mod aws;
