//! Behaviours of whole companions, one module each.

#[path = "behaviour/layout.rs"]
mod layout;
#[path = "behaviour/turns.rs"]
mod turns;
