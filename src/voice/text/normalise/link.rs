//! Addresses: of pages, said short, and of mail, said whole.

use super::{Language, Reading, chinese, english, reader::Reader};

/// Longer ones are no addresses that anyone would listen to.
const LONGEST: usize = 2048;

/// An address at the cursor. A page is said as its host without `www.`, the path is left out.
pub fn link(reader: Reader, language: Language) -> Reading {
    let begins = reader.peek().is_some_and(|sign| sign.is_ascii_alphanumeric());
    if !begins || reader.before().is_some_and(in_address) {
        return None;
    }
    let mut behind = reader;
    let address = behind.take_while(in_address);
    let trimmed = address.trim_end_matches(|sign: char| !sign.is_ascii_alphanumeric());
    if trimmed.len() > LONGEST {
        return None;
    }
    let spoken = words(trimmed, language)?;
    let mut behind = reader;
    behind.eat(trimmed);
    Some((spoken, behind))
}

fn words(address: &str, language: Language) -> Option<String> {
    let (at, dot) = match language {
        Language::Zh => (" 艾特 ", "点"),
        Language::En => (" at ", " dot "),
    };
    let say = |part: &str| {
        let mut said = String::new();
        for sign in part.chars() {
            match sign {
                '.' => said.push_str(dot),
                '0'..='9' if language == Language::Zh => {
                    said.push_str(&chinese::number::digits(sign.encode_utf8(&mut [0])))
                }
                '0'..='9' => said.extend([" ", &english::number::digits(sign.encode_utf8(&mut [0])), " "]),
                _ if sign.is_ascii_alphanumeric() => said.push(sign),
                _ => said.push(' '),
            }
        }
        said
    };
    if let Some((name, host)) = address.split_once('@') {
        let valid = !name.is_empty() && is_host(host);
        return valid.then(|| format!("{}{at}{}", say(name), say(host)));
    }
    let scheme = ["https://", "http://", "ftp://"].into_iter().find(|scheme| address.starts_with(scheme));
    let bare = address.strip_prefix(scheme.unwrap_or_default())?;
    let host = bare.split(['/', '?', '#', ':']).next().unwrap_or(bare);
    let named = host.strip_prefix("www.").unwrap_or(host);
    let known = scheme.is_some() || named.len() < host.len() || (is_host(host) && has_known_ending(host));
    (known && !named.is_empty()).then(|| say(named))
}

fn is_host(host: &str) -> bool {
    let labels = || host.split('.');
    labels().count() >= 2
        && labels()
            .all(|label| !label.is_empty() && label.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '-'))
        && labels()
            .next_back()
            .is_some_and(|last| last.len() >= 2 && last.chars().all(|sign| sign.is_ascii_alphabetic()))
}

/// Without a scheme only these make an address of dotted words: `main.rs` is none.
fn has_known_ending(host: &str) -> bool {
    const ENDINGS: &[&str] =
        &["com", "cn", "org", "net", "io", "ai", "edu", "gov", "dev", "app", "me", "tv", "jp", "uk", "de", "hk", "tw"];
    host.rsplit('.').next().is_some_and(|last| ENDINGS.contains(&last.to_ascii_lowercase().as_str()))
}

/// The characters of addresses.
fn in_address(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || "-._~:/?#@$&+=%".contains(sign)
}
