//! See the voice module.
