//! See the convert module.
