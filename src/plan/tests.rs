//! Plans over built worlds.
