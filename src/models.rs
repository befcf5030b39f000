//! Model files: the manifest, where they live, and how they get there.

pub mod convert;
