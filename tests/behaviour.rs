//! Behaviours of whole companions, one module each.

#[path = "behaviour/brain.rs"]
mod brain;
#[path = "behaviour/brain_files.rs"]
mod brain_files;
