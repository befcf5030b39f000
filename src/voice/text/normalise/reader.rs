//! A cursor over text, for rules that read a number, a date or a unit and leave no trace when they fail.

/// A position in a text. Copying it is how a rule looks ahead: the copy is thrown away if the rule does not fit.
#[derive(Clone, Copy)]
pub struct Reader<'t> {
    text: &'t str,
    at: usize,
}

/// A number as written, thousands separators taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// The digits before the point, at least one.
    pub whole: String,
    /// The digits behind the point, if there is one.
    pub fraction: Option<String>,
    /// Whether it was written with thousands separators.
    pub grouped: bool,
}

impl<'t> Reader<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// What is still to be read.
    pub fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// What has been read.
    pub fn read(&self) -> &'t str {
        &self.text[..self.at]
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The character before the cursor.
    pub fn before(&self) -> Option<char> {
        self.read().chars().next_back()
    }

    /// Takes one character.
    pub fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Takes `expected` if it comes next.
    pub fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        self.at += if found { expected.len() } else { 0 };
        found
    }

    /// Takes one of `signs` if it comes next.
    pub fn eat_one(&mut self, signs: &[char]) -> Option<char> {
        let next = self.peek().filter(|next| signs.contains(next))?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Takes the first entry of a table whose key, in any case, comes next as a whole word. Keys are in lower case, the
    /// longer before the shorter.
    pub fn eat_word<T: Copy>(&mut self, table: &[(&str, T)]) -> Option<T> {
        let &(word, value) = table.iter().find(|(word, _)| {
            let rest = self.rest();
            rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
                && !(word.ends_with(|last: char| last.is_ascii_alphanumeric())
                    && rest[word.len()..].starts_with(|next: char| next.is_ascii_alphanumeric()))
        })?;
        self.at += word.len();
        Some(value)
    }

    /// Takes spaces and tells how many there were.
    pub fn spaces(&mut self) -> usize {
        self.take_while(|sign| sign == ' ').len()
    }

    pub fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|sign| !wanted(sign)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    /// Takes `count` digits, at least and at most, that no further digit follows.
    pub fn digits(&mut self, count: std::ops::RangeInclusive<usize>) -> Option<&'t str> {
        let mut ahead = *self;
        let digits = ahead.take_while(|sign| sign.is_ascii_digit());
        count.contains(&digits.len()).then(|| {
            *self = ahead;
            digits
        })
    }

    /// Takes up to `most` digits within `range`: a month, an hour.
    pub fn within(&mut self, most: usize, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let mut ahead = *self;
        let value = ahead.digits(1..=most)?.parse().ok().filter(|value| range.contains(value))?;
        *self = ahead;
        Some(value)
    }

    /// Takes a number: `12`, `1,234.5`. A point counts only between digits.
    pub fn number(&mut self) -> Option<Number> {
        let mut whole = self.digits(1..=usize::MAX)?.to_owned();
        let mut grouped = false;
        if whole.len() <= 3 {
            let mut ahead = *self;
            while ahead.eat(",")
                && let Some(group) = ahead.digits(3..=3)
            {
                whole.push_str(group);
                grouped = true;
                *self = ahead;
            }
        }
        let mut ahead = *self;
        let fraction = if ahead.eat(".") { ahead.digits(1..=usize::MAX).map(str::to_owned) } else { None };
        if fraction.is_some() {
            *self = ahead;
        }
        Some(Number { whole, fraction, grouped })
    }
}

impl Number {
    /// The whole number, if it is one of at most `u64`.
    pub fn integer(&self) -> Option<u64> {
        if self.fraction.is_some() { None } else { self.whole.parse().ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_they_stop_being_numbers() {
        let cases = [
            ("12", "12", None, ""),
            ("1,234,567.5x", "1234567", Some("5"), "x"),
            ("1,23", "1", None, ",23"),
            ("1,2345", "1", None, ",2345"),
            ("3.", "3", None, "."),
            ("3.5.1", "3", Some("5"), ".1"),
        ];
        for (text, whole, fraction, rest) in cases {
            let mut reader = Reader::new(text);
            let number = reader.number().unwrap();
            assert_eq!((&*number.whole, number.fraction.as_deref(), reader.rest()), (whole, fraction, rest), "{text}");
        }
    }

    #[test]
    fn a_word_ends_at_its_end() {
        let table = [("km/h", 1), ("km", 2), ("m", 3)];
        assert_eq!(Reader::new("KM/H").eat_word(&table), Some(1));
        assert_eq!(Reader::new("km。").eat_word(&table), Some(2));
        assert_eq!(Reader::new("money").eat_word(&table), None);
    }
}
