//! Behaviours of whole companions, one module each.

#[path = "behaviour/avatar.rs"]
mod avatar;
