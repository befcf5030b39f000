//! Behaviours of whole companions, one module each.

#[path = "behaviour/brain.rs"]
mod brain;
