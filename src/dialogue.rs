//! A companion and its turns.
