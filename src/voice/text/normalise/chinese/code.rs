//! Numbers that name rather than count, read digit by digit: telephones, versions, models, rooms.

use super::{
    super::{
        Reading,
        reader::Reader,
        units::{currency_at, unit_at},
    },
    date::{follows_number, goes_on},
    number,
};

/// Longer chains of digits and hyphens are no telephone numbers.
const LONGEST_PHONE: usize = 24;

/// A telephone number: `13800138000`, `138-0013-8000`, `+86 138 0013 8000`, `010-12345678`, `400-800-1234`.
pub fn phone(reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let mut behind = reader;
    let bracketed = behind.eat_one(&['(', '（']).is_some();
    let is_abroad = behind.eat("+") && behind.peek().is_some_and(|next| next.is_ascii_digit());
    let mut groups: Vec<&str> = Vec::new();
    let mut length = 0;
    loop {
        let mut ahead = behind;
        let is_area = bracketed && groups.len() == 1;
        if is_area && ahead.eat_one(&[')', '）']).is_none()
            || !is_area && !groups.is_empty() && ahead.eat_one(&['-', ' ']).is_none()
        {
            break;
        }
        let Some(group) = ahead.digits(1..=12) else { break };
        length += group.len() + 1;
        if length > LONGEST_PHONE {
            return None;
        }
        groups.push(group);
        behind = ahead;
    }
    if behind.rest().starts_with(|next: char| next.is_ascii_alphanumeric()) {
        return None;
    }
    let all = groups.concat();
    let local = if is_abroad { all.strip_prefix("86").unwrap_or(&all) } else { &all };
    let is_mobile = local.len() == 11 && local.starts_with('1') && !local[1..].starts_with(['0', '1', '2']);
    let written = &reader.rest()[..behind.read().len() - reader.read().len()];
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let is_line = match lengths[..] {
        [3 | 4, 7 | 8] => groups[0].starts_with('0'),
        [3, 3, 4] => !written.contains(' '),
        [10] => all.starts_with("400") || all.starts_with("800"),
        _ => false,
    };
    // Three or more groups with hyphens that are no date name something.
    let is_chain = groups.len() >= 3 && all.len() >= 7 && !written.contains(' ');
    (is_mobile || is_line || is_chain || is_abroad && all.len() >= 8)
        .then(|| (format!("{}{}", if is_abroad { "加" } else { "" }, number::dialled(&all)), behind))
}

/// `3.5.1`, `v2.0`, `192.168.1.1`.
pub fn version(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let marked =
        reader.rest().starts_with(['v', 'V']) && reader.rest()[1..].starts_with(|next: char| next.is_ascii_digit());
    if marked {
        reader.next();
    }
    let mut parts = vec![reader.digits(1..=usize::MAX)?];
    loop {
        let mut ahead = reader;
        let part = if ahead.eat(".") { ahead.digits(1..=usize::MAX) } else { None };
        let Some(part) = part else { break };
        parts.push(part);
        reader = ahead;
    }
    if parts.len() < 3 && !marked {
        return None;
    }
    let is_address = parts.len() == 4;
    let words: Vec<String> = parts
        .iter()
        .map(|part| match part.parse::<u64>() {
            Ok(value) if !is_address && value < 100 && !part.starts_with('0') => number::cardinal(value),
            _ if is_address => number::dialled(part),
            _ => number::digits(part),
        })
        .collect();
    Some((format!("{}{}", if marked { "V" } else { "" }, words.join("点")), reader))
}

/// A number grown together with Latin letters: `A4`, `GPT-4.5`, `CA1234`, `1080P`, `3D`.
pub fn model(mut reader: Reader) -> Reading {
    let read = reader.read();
    let stem = read.strip_suffix('-').unwrap_or(read);
    let behind_letters = stem.ends_with(|last: char| last.is_ascii_alphabetic());
    if reader.rest().starts_with('-') && read.ends_with(|last: char| last.is_ascii_alphabetic()) {
        reader.next();
        let digit_follows = reader.peek().is_some_and(|next| next.is_ascii_digit());
        return if digit_follows { model(reader) } else { None };
    }
    let start = reader;
    let number = reader.number()?;
    let before_letters = !follows_number(start) && reader.rest().starts_with(|next: char| next.is_ascii_alphabetic());
    let measures = unit_at(reader.rest()).is_some() || currency_at(reader.rest()).is_some();
    if measures || !behind_letters && !before_letters {
        return None;
    }
    let words = match number.whole.len() {
        1 | 2 if !number.whole.starts_with('0') || number.whole == "0" => number::read(&number),
        4 if number.whole.starts_with("20") && !number.grouped => number::digits(&number.whole),
        _ if number.grouped || number.fraction.is_some() => number::read(&number),
        _ => number::dialled(&number.whole),
    };
    Some((words, reader))
}

/// A number that the words around it call a code: 验证码8848, 密码是1234, 302室, 打110.
pub fn code(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let read = reader.read();
    let digits = reader.digits(2..=usize::MAX)?;
    if goes_on(reader, &['.', ':', '/']) {
        return None;
    }
    let context = context(read);
    let named = |names: &[&str]| names.iter().any(|name| context.ends_with(name));
    let after = reader.rest();
    let is_service = SERVICES.contains(&digits) && named(&["打", "拨", "拨打", "打了", "叫"]);
    let is_room = (3..=4).contains(&digits.len())
        && ["室", "房", "号房", "路", "次列车", "次航班"].iter().any(|room| after.starts_with(room));
    let dials = named(DIALLED) || is_service || is_room;
    let words = if dials {
        number::dialled(digits)
    } else if named(SPELLED) || (digits.starts_with('0') && digits.len() > 1) {
        number::digits(digits)
    } else {
        return None;
    };
    Some((words, reader))
}

/// The last words before a number, without what may stand between a name and its number.
fn context(read: &str) -> &str {
    let mut context = read.trim_end_matches([' ', '：', ':', '“', '是', '为', '（', '(']);
    for link in ["号码", "号"] {
        context = context.strip_suffix(link).filter(|rest| !rest.is_empty()).unwrap_or(context);
    }
    context
}

const SERVICES: &[&str] =
    &["110", "119", "120", "122", "114", "911", "12306", "12315", "12345", "12320", "10086", "10010", "10000", "95588"];

/// What is called or driven by number; 一 is said 幺.
const DIALLED: &[&str] =
    &["电话", "手机", "热线", "拨打", "房间", "房", "航班", "车次", "QQ", "微信", "客服", "分机", "传真", "尾"];

/// What is spelled out.
const SPELLED: &[&str] = &[
    "验证码",
    "密码",
    "编",
    "学",
    "工",
    "车牌",
    "账",
    "卡",
    "邮编",
    "门牌",
    "单",
    "订单",
    "代码",
    "编码",
    "序列",
    "身份证",
    "ID",
    "Id",
    "id",
    "邀请码",
    "取件码",
];
