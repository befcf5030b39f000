//! Punctuation as Kokoro knows it.

/// What Kokoro knows a punctuation mark as; empty for what is none.
pub fn of(sign: char) -> &'static str {
    match sign {
        '，' | '、' | ',' | '､' => ",",
        '。' | '．' | '.' | '｡' => ".",
        '！' | '!' => "!",
        '？' | '?' => "?",
        '：' | ':' => ":",
        '；' | ';' => ";",
        '…' => "…",
        '—' | '–' | '～' | '~' => "—",
        '“' | '「' | '『' | '《' | '〈' | '【' => "“",
        '”' | '」' | '』' | '》' | '〉' | '】' => "”",
        '（' | '(' => "(",
        '）' | ')' => ")",
        _ if sign.is_whitespace() => " ",
        _ => "",
    }
}

/// Writes a mark with the space that it stands in: `xau↓, “xau↓” (xau↓)`.
pub fn write(mark: &str, out: &mut String) {
    if matches!(mark, "…" | "—") && out.trim_end().ends_with(mark) {
        return;
    }
    let opens = matches!(mark, "“" | "(");
    if !opens && mark != " " {
        out.truncate(out.trim_end().len());
    }
    if out.is_empty() && !opens {
        return;
    }
    if mark == " " || opens {
        if !out.is_empty() && !out.ends_with([' ', '“', '(']) {
            out.push(' ');
        }
        out.push_str(mark.trim());
    } else {
        out.push_str(mark);
        out.push(' ');
    }
}
