//! See the hearing module.
