//! Tests of slm from outside, in one binary so that it links once.

mod record;
