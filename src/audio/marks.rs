//! What the speaker tells of its sound, and what a listener makes of it.

use std::collections::VecDeque;

/// Which samples leave the speaker when: a stretch of sound without gaps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// Which queue it belongs to: stopping a voice begins a new one.
    pub epoch: u64,
    /// When its first sample reaches the ear, in seconds on the speaker's clock.
    pub at: f64,
    /// How long it sounds, in seconds.
    pub span: f64,
    /// The number of its first sample.
    pub from: f64,
    /// The number of the sample after its last.
    pub to: f64,
}

/// The marks that the speaker has made and the listener has not passed.
#[derive(Debug, Default)]
pub struct Marks(VecDeque<Mark>);

impl Marks {
    /// Appends a mark; they come in the order of their sound.
    pub fn push(&mut self, mark: Mark) {
        self.0.push_back(mark);
    }

    /// Forgets all marks.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The position heard at a time, and whether there is sound at that time; `None` before the first mark.
    pub fn at(&mut self, now: f64) -> Option<(f64, bool)> {
        while self.0.get(1).is_some_and(|next| next.at <= now) {
            self.0.pop_front();
        }
        let mark = self.0.front().filter(|mark| mark.at <= now)?;
        let share = if mark.span > 0.0 { ((now - mark.at) / mark.span).min(1.0) } else { 1.0 };
        // A mark that ends now still sounds: the next one may only be late in coming.
        Some((mark.from + (mark.to - mark.from) * share, now <= mark.at + mark.span * 1.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_tell_the_position_between_them_and_gaps() {
        let mut marks = Marks::default();
        assert_eq!(marks.at(0.0), None);
        let mark = |at: f64, from: f64| Mark { epoch: 0, at, span: 0.01, from, to: from + 10.0 };
        marks.push(mark(1.00, 0.0));
        marks.push(mark(1.01, 10.0));
        // The voice was late: a gap of 80 ms.
        marks.push(mark(1.10, 20.0));
        assert_eq!(marks.at(0.99), None);
        assert_eq!(marks.at(1.0), Some((0.0, true)));
        let (position, sounding) = marks.at(1.015).unwrap();
        assert!((position - 15.0).abs() < 1e-9 && sounding);
        assert_eq!(marks.at(1.06), Some((20.0, false)));
        let (position, sounding) = marks.at(1.105).unwrap();
        assert!((position - 25.0).abs() < 1e-9 && sounding);
    }
}
