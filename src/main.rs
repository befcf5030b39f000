//! The `companion` command.

fn main() {}
