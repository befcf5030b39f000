//! Numbers that count and measure, with signs, units, money, percent and ranges.

use super::{
    super::{
        Reading,
        reader::{Number, Reader},
        units::{Currency, Unit, currency_at, unit_at},
    },
    date::follows_number,
    equals_follows, number,
};

/// A number with what it is a number of.
struct Quantity {
    negative: bool,
    number: Number,
    scale: &'static str,
    of: Of,
}

/// What a number is a number of.
#[derive(Clone, Copy)]
enum Of {
    /// Whatever the text goes on to say.
    Words,
    /// Hundredths or thousandths.
    Parts(&'static str),
    Unit(&'static Unit),
    Money(&'static Currency),
}

/// Words for powers of ten behind money: `$3M`, `¥5万`.
const SCALES: &[(&str, &str)] = &[
    ("万亿", "万亿"),
    ("亿", "亿"),
    ("千万", "千万"),
    ("百万", "百万"),
    ("万", "万"),
    ("k", "千"),
    ("m", "百万"),
    ("b", "十亿"),
];

/// Measure words before which two is 两 and not 二.
const MEASURES: &str = "个只条张本件位名次天年周岁元块角毛米斤克升吨杯碗瓶盘盒包箱袋双对副套间座栋层辆架艘台部首篇段句页群伙批堆朵棵株根支枝把颗粒片滴\
    声阵场趟遍顿番倍种类样份家户匹点刻百千万亿口头众人股把滴匙勺尾扇幅门项届轮款集封枚瓣串束团";
const LONG_MEASURES: &[&str] = &[
    "分钟", "小时", "公斤", "公里", "公分", "厘米", "毫米", "英里", "英寸", "平方", "立方", "毫升", "星期", "礼拜",
    "秒",
];
/// Where 两 would be wrong all the same.
const NOT_COUNTED: &[&str] = &["年级", "月", "点几", "百五", "层楼的"];

/// `3/4` → 四分之三.
pub fn fraction(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let negative = if is_negative(&mut reader) { "负" } else { "" };
    let over: u64 = reader.digits(1..=4)?.parse().ok()?;
    let under: u64 = reader.eat("/").then(|| reader.digits(1..=4))??.parse().ok().filter(|under| *under > 0)?;
    if reader.rest().starts_with(['/', '.', '-']) {
        return None;
    }
    let words = match (over, under) {
        // All day, all week.
        (24, 7) => "七乘二十四小时".to_owned(),
        _ => format!("{negative}{}分之{}", number::cardinal(under), number::cardinal(over)),
    };
    Some((words, reader))
}

/// A number with its unit, or a range of them: `-5℃`, `3-5km`, `10%~20%`, `¥12.5`, `2个`.
pub fn quantity(reader: Reader) -> Reading {
    let (first, behind) = measured(reader)?;
    let ordinal = reader.read().ends_with('第');
    let Some((last, end)) = range(behind) else { return Some((first.words(behind, ordinal), behind)) };
    // Backwards it is a score: 3-2.
    let is_score = matches!((first.of, last.of), (Of::Words, Of::Words))
        && !first.negative
        && !counted(end)
        && first.number.integer() > last.number.integer();
    let between = if is_score { "比" } else { "到" };
    let (from, to) = match (first.of, last.of) {
        // 3-5km measures both by the last one's unit, ¥3-5 by the first one's.
        (Of::Unit(_) | Of::Words, of @ Of::Unit(_)) => (Quantity { of, ..first }.amount(end, ordinal), last),
        (of @ Of::Money(_), Of::Words) => (first.amount(end, ordinal), Quantity { of, ..last }),
        (Of::Words, of @ Of::Parts(_)) => (Quantity { of, ..first }.words(end, ordinal), last),
        (Of::Words, _) | (Of::Money(_), Of::Money(_)) => (first.amount(end, ordinal), last),
        _ => (first.words(behind, ordinal), last),
    };
    Some((format!("{from}{between}{}", to.words(end, ordinal)), end))
}

/// The other end of a range, if one begins at the cursor.
fn range(mut reader: Reader<'_>) -> Option<(Quantity, Reader<'_>)> {
    reader.eat_one(&['-', '~'])?;
    let is_range = reader.peek().is_some_and(|next| next.is_ascii_digit() || matches!(next, '¥' | '$'));
    let (last, end) = measured(reader)?;
    (is_range && !equals_follows(reader) && !end.rest().starts_with('-')).then_some((last, end))
}

/// Takes a minus that belongs to the number behind it.
fn is_negative(reader: &mut Reader) -> bool {
    let mut ahead = *reader;
    let after_operand = |before: char| before.is_ascii_alphanumeric() || matches!(before, ')' | '²' | '³' | '%');
    let is_sign = !reader.before().is_some_and(after_operand)
        && ahead.eat_one(&['-', '−']).is_some()
        && ahead.peek().is_some_and(|next| next.is_ascii_digit());
    if is_sign {
        *reader = ahead;
    }
    is_sign
}

fn measured(mut reader: Reader<'_>) -> Option<(Quantity, Reader<'_>)> {
    let negative = is_negative(&mut reader);
    if let Some((currency, length)) =
        currency_at(reader.rest()).filter(|_| !reader.before().is_some_and(|before| before.is_ascii_alphabetic()))
    {
        reader.eat(&reader.rest()[..length]);
        reader.spaces();
        let negative = negative || is_negative(&mut reader);
        let number = reader.number()?;
        let scale = reader.eat_word(SCALES).unwrap_or_default();
        if !reader.eat("元") {
            reader.eat("块");
        }
        return Some((Quantity { negative, number, scale, of: Of::Money(currency) }, reader));
    }
    let number = reader.number()?;
    let mut behind = reader;
    behind.spaces();
    let of = if behind.eat("%") {
        Of::Parts("百分之")
    } else if behind.eat("‰") {
        Of::Parts("千分之")
    } else if let Some((unit, length)) = unit_at(behind.rest()) {
        behind.eat(&behind.rest()[..length]);
        Of::Unit(unit)
    } else if let Some((currency, length)) =
        currency_at(behind.rest()).filter(|(_, length)| !starts_with_digit(&behind.rest()[*length..]))
    {
        behind.eat(&behind.rest()[..length]);
        Of::Money(currency)
    } else {
        behind = reader;
        Of::Words
    };
    Some((Quantity { negative, number, scale: "", of }, behind))
}

impl Quantity {
    /// The whole of it; `behind` is what follows, `ordinal` whether 第 stands before.
    fn words(&self, behind: Reader, ordinal: bool) -> String {
        let amount = self.amount(behind, ordinal);
        match self.of {
            Of::Words => amount,
            Of::Parts(parts) => match amount.strip_prefix('负') {
                Some(amount) => format!("负{parts}{amount}"),
                None => format!("{parts}{amount}"),
            },
            Of::Unit(unit) => format!("{amount}{}", unit.zh),
            Of::Money(currency) => format!("{amount}{}", currency.zh),
        }
    }

    /// The number and its scale, without the unit.
    fn amount(&self, behind: Reader, ordinal: bool) -> String {
        let two = self.number.whole == "2" && self.number.fraction.is_none() && !ordinal;
        let counts = match self.of {
            Of::Words => counted(behind),
            Of::Parts(_) => false,
            Of::Unit(unit) => counted(Reader::new(unit.zh)),
            Of::Money(_) => true,
        };
        let number = match self.number.integer() {
            Some(value) if ordinal => number::cardinal(value),
            _ if two && counts => "两".into(),
            _ => number::read(&self.number),
        };
        let is_cold = matches!(self.of, Of::Unit(unit) if unit.zh.ends_with('度'));
        let sign = match self.negative {
            true if is_cold => "零下",
            true => "负",
            false => "",
        };
        format!("{sign}{number}{}", self.scale)
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|next: char| next.is_ascii_digit())
}

/// Whether what follows is a measure word that takes 两.
fn counted(behind: Reader) -> bool {
    let text = behind.rest().trim_start();
    let starts = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    !starts(NOT_COUNTED) && (text.starts_with(|next: char| MEASURES.contains(next)) || starts(LONG_MEASURES))
}
