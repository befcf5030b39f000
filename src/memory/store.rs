//! See the memory module.
