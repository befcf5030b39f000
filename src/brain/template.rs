//! See the brain module.
