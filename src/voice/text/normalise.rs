//! See the text module.
