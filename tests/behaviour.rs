//! Behaviours of whole companions, one module each.
