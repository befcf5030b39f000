//! What is written, and what is said.

use super::*;

fn dump(language: Language, from: &str, to: &str) {
    let input = std::fs::read_to_string(std::env::var(from).unwrap()).unwrap();
    let mut out = String::new();
    for line in input.lines() {
        out += &format!("{line}\t{}\n", normalise(line, language));
    }
    std::fs::write(std::env::var(to).unwrap(), out).unwrap();
}

#[test]
fn dumps() {
    dump(Language::Zh, "NZH_IN", "NZH_OUT");
    dump(Language::En, "NEN_IN", "NEN_OUT");
}
