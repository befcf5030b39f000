//! Spreading an embedding space out.
//!
//! The vectors of E5 and its like fill a narrow cone: unrelated texts have a cosine of 0.7 to 0.85, more within a language
//! than across, and what is relevant barely stands out. Taking away the mean, and the direction in which one language
//! differs from another, leaves what texts mean (Mu and Viswanath, arXiv:1702.01417; Libovický et al., arXiv:2004.05160).
//! Both are taken from a few sentences about nothing in particular, each in English and in Chinese.

use super::{cosine, normalise};

/// English, a tab, the same in Chinese.
const BACKGROUND: &str = include_str!("background.tsv");
/// Part of the embedder's name: with other sentences vectors are not comparable to older ones.
pub(super) const VERSION: u32 = 1;

/// What is taken away from the vectors of a model.
pub(super) struct Centre {
    query: Vec<f32>,
    passage: Vec<f32>,
    /// From English to Chinese, of length 1.
    language: Vec<f32>,
}

/// What a vector is for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    Query,
    Passage,
}

impl Centre {
    /// Measures a model: `embed` makes the vectors of many texts.
    pub(super) fn measure<E>(mut embed: impl FnMut(Side, &[&str]) -> Result<Vec<Vec<f32>>, E>) -> Result<Self, E> {
        let (english, chinese): (Vec<_>, Vec<_>) = BACKGROUND.lines().filter_map(|line| line.split_once('\t')).unzip();
        let mut means = |side| -> Result<_, E> { Ok((mean(&embed(side, &english)?), mean(&embed(side, &chinese)?))) };
        let (query, passage) = (means(Side::Query)?, means(Side::Passage)?);
        let between = |(english, chinese): &(Vec<f32>, Vec<f32>)| mean(&[english.clone(), chinese.clone()]);
        let difference = |(english, chinese): &(Vec<f32>, Vec<f32>)| -> Vec<f32> {
            chinese.iter().zip(english).map(|(chinese, english)| chinese - english).collect()
        };
        let mut language = mean(&[difference(&query), difference(&passage)]);
        normalise(&mut language);
        Ok(Self { query: between(&query), passage: between(&passage), language })
    }

    /// Takes it away from a vector, and makes its length 1 again.
    pub(super) fn apply(&self, side: Side, vector: &mut [f32]) {
        let mean = if side == Side::Query { &self.query } else { &self.passage };
        vector.iter_mut().zip(mean).for_each(|(value, mean)| *value -= mean);
        let along = cosine(vector, &self.language);
        vector.iter_mut().zip(&self.language).for_each(|(value, direction)| *value -= along * direction);
        normalise(vector);
    }
}

fn mean(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut mean = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value / vectors.len() as f32);
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_language_are_taken_away() {
        // A cone around the first axis; the second axis is the language, the third and fourth are meaning.
        let vector = |text: &str| {
            let language = if text.is_ascii() { -0.3 } else { 0.3 };
            let meaning = if text.len().is_multiple_of(2) { 0.2 } else { -0.2 };
            let mut vector = vec![1.0, language, meaning, 0.1];
            normalise(&mut vector);
            vector
        };
        let embed = |_: Side, texts: &[&str]| Ok::<_, ()>(texts.iter().map(|text| vector(text)).collect());
        let centre = Centre::measure(embed).unwrap();
        let centred = |text: &str| {
            let mut vector = vector(text);
            centre.apply(Side::Passage, &mut vector);
            vector
        };
        assert!(cosine(&vector("ab"), &vector("abc")) > 0.9);
        assert!(cosine(&centred("ab"), &centred("abc")) < 0.0, "other meanings are opposite");
        assert!(cosine(&centred("ab"), &centred("中文")) > 0.9, "languages are alike");
    }
}
