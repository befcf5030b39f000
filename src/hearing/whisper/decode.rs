//! Greedy decoding with the guards that Whisper needs: it invents words in silence and repeats itself for ever.

use super::{
    model::{Decoder, Memory, Shapes},
    tokens::Tokens,
};
use crate::hearing::HearingError;

/// Tokens a second that few people outrun: Chinese read aloud has 5 to 7, English 4 to 5. Beyond it a repetition is
/// Whisper's, not the speaker's.
const HURRIED: f64 = 7.0;
/// Tokens a second that nobody outruns.
const IMPOSSIBLE: f64 = 16.0;
/// Tokens that even the shortest speech may have.
const AT_LEAST: f64 = 8.0;

/// What the decoder made of one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// Text tokens.
    pub tokens: Vec<u32>,
    /// Index into [`Tokens::languages`], when the model tells languages apart.
    pub language: Option<usize>,
    /// How likely it is that nobody speaks, 0..=1.
    pub no_speech: f32,
    /// Mean log-probability of the tokens, the end included; 0 is certain.
    pub confidence: f32,
    /// Whether a loop was cut off.
    pub looped: bool,
}

/// Finds the likeliest next token again and again until the end, a loop or the limit.
pub struct Greedy<'a> {
    /// The network.
    pub decoder: &'a Decoder,
    /// Its vocabulary.
    pub tokens: &'a Tokens,
    /// What is never said.
    pub shapes: &'a Shapes,
}

impl Greedy<'_> {
    /// Decodes a window of `seconds` after `preface`, in the likeliest of the configured languages or in `language`
    /// (an index); `check` runs before each token.
    pub fn decode<E: From<HearingError>>(
        &self,
        memory: &mut Memory,
        preface: &[u32],
        language: Option<usize>,
        seconds: f64,
        check: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Decoded, E> {
        let languages = &self.tokens.languages;
        let mut language = language.or((languages.len() == 1).then_some(0));
        let only_start = [self.tokens.start];
        // A preface would bias the choice of language, so that is made without it.
        if languages.len() > 1 && language.is_none() && !preface.is_empty() {
            language = Some(self.likeliest_language(&self.decoder.forward(&only_start, memory)));
            memory.rewind();
        }
        let opening: Vec<u32> = preface.iter().copied().chain(only_start).collect();
        let mut logits = self.decoder.forward(&opening, memory);
        let no_speech = probability(&logits, self.tokens.no_speech);
        if languages.len() > 1 && language.is_none() {
            language = Some(self.likeliest_language(&logits));
        }
        check()?;
        logits = self.decoder.forward(&self.tokens.task(language.map(|index| languages[index].1)), memory);

        let room = self.decoder.capacity() - memory.tokens();
        let limit = ((seconds * IMPOSSIBLE + AT_LEAST) as usize).min(room);
        let mut decoded = Decoded { language, no_speech, ..Decoded::default() };
        let mut confidence = 0.0;
        loop {
            let (token, log_probability) = self.likeliest(&logits, decoded.tokens.is_empty());
            confidence += log_probability;
            if token == self.tokens.end {
                break;
            }
            decoded.tokens.push(token);
            let hurried = decoded.tokens.len() as f64 > seconds * HURRIED;
            if let Some(length) = before_loop(&decoded.tokens, hurried) {
                decoded.tokens.truncate(length);
                decoded.looped = true;
                break;
            }
            if decoded.tokens.len() >= limit {
                break;
            }
            check()?;
            logits = self.decoder.forward(&[token], memory);
        }
        decoded.confidence = confidence / (decoded.tokens.len() + 1) as f32;
        Ok(decoded)
    }

    fn likeliest_language(&self, logits: &[f32]) -> usize {
        let score = |index: &usize| logits.get(self.tokens.languages[*index].1 as usize).copied().unwrap_or(f32::MIN);
        (0..self.tokens.languages.len()).max_by(|a, b| score(a).total_cmp(&score(b))).unwrap_or(0)
    }

    /// The likeliest text token or the end, with its log-probability among them.
    fn likeliest(&self, logits: &[f32], first: bool) -> (u32, f32) {
        let mut logits = logits[..logits.len().min(self.tokens.end as usize + 1)].to_vec();
        let at_first = if first { &self.shapes.begin_suppress_tokens[..] } else { &[] };
        for token in self.shapes.suppress_tokens.iter().chain(at_first) {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        let best = logits.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((token, top)) = best else { return (self.tokens.end, 0.0) };
        let sum: f32 = logits.iter().map(|logit| (logit - top).exp()).sum();
        (token as u32, -sum.ln())
    }
}

/// The softmax at one token.
fn probability(logits: &[f32], token: u32) -> f32 {
    let Some(logit) = logits.get(token as usize) else { return 0.0 };
    let sum: f32 = logits.iter().map(|other| (other - logit).exp()).sum();
    1.0 / sum
}

/// How many tokens to keep when the last ones turn in a circle: a phrase thrice, or a few tokens six times. People do
/// laugh and say "no, no, no", so three rounds of a short one stay; but when there are more tokens than the time allows,
/// a phrase said twice was said once.
fn before_loop(tokens: &[u32], hurried: bool) -> Option<usize> {
    (1..=tokens.len() / 2).find_map(|length| {
        let (most, kept) = match length {
            ..=3 => (6, 3),
            _ if hurried => (2, 1),
            _ => (3, 1),
        };
        let circling = tokens.iter().rev().zip(tokens.iter().rev().skip(length)).take_while(|(a, b)| a == b).count();
        let begin = tokens.len() - length - circling;
        ((circling + length) / length >= most).then_some(begin + kept * length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_said_thrice_is_said_once() {
        assert_eq!(before_loop(&[1, 2, 3, 4, 5, 2, 3, 4, 5, 2, 3, 4, 5], false), Some(5));
        assert_eq!(before_loop(&[1, 2, 3, 4, 5, 2, 3, 4, 5], false), None, "people repeat themselves");
    }

    #[test]
    fn nobody_repeats_a_phrase_without_taking_the_time() {
        assert_eq!(before_loop(&[1, 2, 3, 4, 5, 2, 3, 4, 5], true), Some(5));
        assert_eq!(before_loop(&[1, 2, 3, 4, 5, 2, 3, 4], true), None);
        let begun_again = [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2];
        assert_eq!(before_loop(&begun_again, true), Some(5), "cut where the circle began, not where it was noticed");
    }

    #[test]
    fn laughter_stays_but_ends() {
        assert_eq!(before_loop(&[7, 9, 9, 9, 9, 9], false), None);
        assert_eq!(before_loop(&[7, 9, 9, 9, 9, 9, 9], false), Some(4));
    }

    #[test]
    fn ordinary_text_is_no_loop() {
        assert_eq!(before_loop(&[], false), None);
        assert_eq!(before_loop(&[1], false), None);
        assert_eq!(before_loop(&(0..200).collect::<Vec<_>>(), false), None);
    }

    #[test]
    fn probabilities_are_a_softmax() {
        assert!((probability(&[0.0, 0.0, 0.0, 0.0], 1) - 0.25).abs() < 1e-6);
        assert!(probability(&[0.0, 100.0], 0) < 1e-30);
        assert_eq!(probability(&[0.0], 9), 0.0);
    }
}
