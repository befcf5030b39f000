//! Letters to sounds for words that no dictionary holds.
//!
//! A joint-sequence n-gram model (Bisani and Ney, "Joint-sequence models for grapheme-to-phoneme conversion", 2008), learned
//! from the dictionary itself: every letter is aligned with the none, one or two sounds it stands for, a *joint*, and a
//! word's reading is its most probable sequence of joints. Contexts reach six joints back; a sorted array of packed
//! contexts is the whole model.

use std::collections::HashMap;

/// How many joints there may be: their numbers fit nine bits, so that seven of them fit a `u64`.
const JOINTS: usize = 512;
const JOINT_BITS: u32 = 9;
/// Joints of context.
const CONTEXT: u32 = 6;
/// The joint that stands before a word's first and after its last.
const EDGE: u64 = 0;
/// Letters `a` to `z` and the apostrophe.
const LETTERS: usize = 27;
/// More sounds than any dictionary of ours has.
const SOUNDS: usize = 96;
/// None, one, or two sounds.
const CHUNKS: usize = 1 + SOUNDS + SOUNDS * SOUNDS;
/// Readings kept while a word is read.
const BEAM: usize = 24;
/// How much of each count goes to what was not seen.
const DISCOUNT: f64 = 0.9;
/// Words that the alignment is learned from.
const ALIGNED: usize = 24_000;
const ROUNDS: usize = 7;

/// Reads unknown words aloud.
pub struct Speller {
    sounds: Vec<String>,
    /// Letter and chunk of each joint; the edge comes first.
    joints: Vec<(u8, u16)>,
    /// The joints that a letter may begin.
    by_letter: Vec<Vec<u16>>,
    /// Six joints of context, the nearest on top, and the joint that followed, once per occurrence, sorted.
    grams: Vec<u64>,
    /// What follows the two nearest joints of context, counted ahead because there is much of it.
    short: HashMap<(u32, u64), Followers>,
}

/// What was seen after a context: how often in all, and each joint's count.
#[derive(Clone, Debug, Default)]
struct Followers {
    total: u32,
    counts: Vec<(u16, u32)>,
}

/// A word as letters, and its sounds by number.
type Example = (Vec<u8>, Vec<u8>);

impl Speller {
    /// Learns from words and their phonemes. The result depends on the words alone, not on their order.
    pub fn learn<'a>(words: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut sounds: Vec<String> = Vec::new();
        let mut numbers: HashMap<String, u8> = HashMap::new();
        let mut examples: Vec<Example> = Vec::new();
        let mut words: Vec<_> = words.into_iter().collect();
        words.sort_unstable();
        words.dedup();
        for (word, phonemes) in words {
            let Some(letters) = letters(&word.to_lowercase()) else { continue };
            let mut spoken = Vec::new();
            for sound in split_sounds(phonemes) {
                let number = match numbers.get(sound) {
                    Some(&number) => number,
                    None if sounds.len() < SOUNDS => {
                        let number = sounds.len() as u8;
                        sounds.push(sound.into());
                        numbers.insert(sound.into(), number);
                        number
                    }
                    None => continue,
                };
                spoken.push(number);
            }
            // Initialisms are spelt, not read: they would teach that b is "bee".
            if spoken.len() <= letters.len() + 1 && letters.len() > 2 {
                examples.push((letters, spoken));
            }
        }
        let chances = learn_alignment(&examples);
        let aligned: Vec<Vec<(u8, u16)>> =
            examples.iter().filter_map(|(letters, sounds)| align(&chances, letters, sounds)).collect();
        Self::count(sounds, &aligned)
    }

    fn count(sounds: Vec<String>, aligned: &[Vec<(u8, u16)>]) -> Self {
        let mut seen: HashMap<(u8, u16), u32> = HashMap::new();
        for joint in aligned.iter().flatten() {
            *seen.entry(*joint).or_default() += 1;
        }
        let mut seen: Vec<_> = seen.into_iter().collect();
        seen.sort_unstable_by_key(|&(joint, count)| (std::cmp::Reverse(count), joint));
        seen.truncate(JOINTS - 1);
        let mut joints = vec![(u8::MAX, 0)];
        joints.extend(seen.iter().map(|&(joint, _)| joint));
        let numbers: HashMap<(u8, u16), u64> = joints.iter().copied().zip(0..).collect();
        let mut by_letter = vec![Vec::new(); LETTERS];
        for (number, &(letter, _)) in joints.iter().enumerate().skip(1) {
            by_letter[usize::from(letter)].push(number as u16);
        }
        let mut grams = Vec::with_capacity(aligned.iter().map(|word| word.len() + 1).sum());
        for word in aligned {
            // A word with a rare joint (a foreign or misspelt one) would teach nothing general.
            let Some(word) = word.iter().map(|joint| numbers.get(joint).copied()).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let mut context = EDGE;
            for joint in word.into_iter().chain([EDGE]) {
                grams.push(context << JOINT_BITS | joint);
                context = extend(context, joint);
            }
        }
        grams.sort_unstable();
        let mut speller = Self { sounds, joints, by_letter, grams, short: HashMap::new() };
        let mut contexts: Vec<u64> = speller.grams.iter().map(|gram| gram >> JOINT_BITS).collect();
        for order in 0..=2 {
            contexts.iter_mut().for_each(|context| *context &= nearest(order));
            contexts.sort_unstable();
            let mut unique = contexts.clone();
            unique.dedup();
            for context in unique {
                let followers = speller.followers(order, context);
                speller.short.insert((order, context), followers);
            }
            contexts = speller.grams.iter().map(|gram| gram >> JOINT_BITS).collect();
        }
        speller
    }

    /// Counts what follows the `order` nearest joints of `context`.
    fn followers(&self, order: u32, context: u64) -> Followers {
        let (low, high) = (context & nearest(order), (context & nearest(order)) | (full() & !nearest(order)));
        let start = self.grams.partition_point(|gram| gram >> JOINT_BITS < low);
        let end = self.grams.partition_point(|gram| gram >> JOINT_BITS <= high);
        let mut joints: Vec<u16> =
            self.grams[start..end].iter().map(|gram| (gram & (JOINTS as u64 - 1)) as u16).collect();
        joints.sort_unstable();
        let counts = joints.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u32)).collect();
        Followers { total: joints.len() as u32, counts }
    }

    /// The most probable phonemes of a word of letters, with one primary stress; `None` for a word without letters.
    pub fn read(&self, word: &str) -> Option<String> {
        let letters = letters(&word.to_lowercase())?;
        let mut beam = vec![Hypothesis { score: 0.0, context: EDGE, sounds: Vec::new() }];
        for letter in letters.iter().copied().map(Some).chain([None]) {
            let mut next = Vec::new();
            for hypothesis in &beam {
                let history = self.history(hypothesis.context);
                let edge = [EDGE as u16];
                let choices = letter.map_or(&edge[..], |letter| &self.by_letter[usize::from(letter)]);
                for &joint in choices {
                    let mut sounds = hypothesis.sounds.clone();
                    sounds.extend(chunk_sounds(self.joints[usize::from(joint)].1));
                    next.push(Hypothesis {
                        score: hypothesis.score + self.chance(&history, joint).ln(),
                        context: extend(hypothesis.context, u64::from(joint)),
                        sounds,
                    });
                }
            }
            next.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
            next.truncate(BEAM);
            beam = next;
        }
        // Different alignments of one reading count together.
        let mut readings: HashMap<&[u8], f64> = HashMap::new();
        for hypothesis in &beam {
            *readings.entry(&hypothesis.sounds).or_default() += hypothesis.score.exp();
        }
        let (best, _) = readings.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)))?;
        let phonemes: String = best.iter().map(|&sound| self.sounds[usize::from(sound)].as_str()).collect();
        Some(settle_stress(&phonemes)).filter(|phonemes| !phonemes.is_empty())
    }

    /// What follows each suffix of a context, shortest first.
    fn history(&self, context: u64) -> Vec<Followers> {
        let mut history = Vec::new();
        for order in 0..=CONTEXT {
            let followers = match self.short.get(&(order, context & nearest(order))) {
                Some(followers) => followers.clone(),
                None => self.followers(order, context),
            };
            if followers.total == 0 {
                break;
            }
            history.push(followers);
        }
        history
    }

    /// Absolute discounting, interpolated from the shortest context to the longest.
    fn chance(&self, history: &[Followers], joint: u16) -> f64 {
        history.iter().fold(1.0 / JOINTS as f64, |below, followers| {
            let total = f64::from(followers.total);
            let at = followers.counts.binary_search_by_key(&joint, |&(joint, _)| joint);
            let count = at.map_or(0.0, |at| f64::from(followers.counts[at].1));
            let kept = (count - DISCOUNT).max(0.0) / total;
            kept + DISCOUNT * followers.counts.len() as f64 / total * below
        })
    }
}

struct Hypothesis {
    score: f64,
    context: u64,
    sounds: Vec<u8>,
}

/// A context after one more joint: the newest is on top, so that a shorter context is a prefix.
fn extend(context: u64, joint: u64) -> u64 {
    (context >> JOINT_BITS) | (joint << (JOINT_BITS * (CONTEXT - 1)))
}

/// The bits of a context's `order` nearest joints.
fn nearest(order: u32) -> u64 {
    full() & !(full() >> (JOINT_BITS * order))
}

fn full() -> u64 {
    (1 << (JOINT_BITS * CONTEXT)) - 1
}

/// Letters as numbers; `None` when there is anything else in the word.
fn letters(word: &str) -> Option<Vec<u8>> {
    let number = |byte: u8| match byte {
        b'a'..=b'z' => Some(byte - b'a'),
        b'\'' => Some(26),
        _ => None,
    };
    let letters: Option<Vec<u8>> = word.bytes().map(number).collect();
    letters.filter(|letters| !letters.is_empty())
}

/// Phonemes, each vowel with its stress mark.
fn split_sounds(phonemes: &str) -> impl Iterator<Item = &str> {
    let mut rest = phonemes;
    std::iter::from_fn(move || {
        let mut ends = rest.char_indices();
        let stressed = matches!(ends.next()?.1, 'ˈ' | 'ˌ');
        let after = if stressed { ends.nth(1) } else { ends.next() };
        let (sound, others) = rest.split_at(after.map_or(rest.len(), |(at, _)| at));
        rest = others;
        Some(sound)
    })
}

/// Exactly one primary stress: the last one marked; a reading that has none gets one on its first full vowel.
fn settle_stress(phonemes: &str) -> String {
    let Some(last) = phonemes.rfind('ˈ') else {
        return match phonemes.find('ˌ') {
            Some(_) => phonemes.replacen('ˌ', "ˈ", 1),
            None => super::stress::stressed(phonemes, 'ˈ'),
        };
    };
    let (before, after) = phonemes.split_at(last);
    before.replace('ˈ', "ˌ") + after
}

fn chunk(sounds: &[u8]) -> usize {
    match *sounds {
        [] => 0,
        [one] => 1 + usize::from(one),
        [one, two, ..] => 1 + SOUNDS + usize::from(one) * SOUNDS + usize::from(two),
    }
}

fn chunk_sounds(chunk: u16) -> impl Iterator<Item = u8> {
    let chunk = usize::from(chunk);
    let (first, second) = match chunk {
        0 => (None, None),
        1..=SOUNDS => (Some(chunk - 1), None),
        _ => (Some((chunk - 1 - SOUNDS) / SOUNDS), Some((chunk - 1 - SOUNDS) % SOUNDS)),
    };
    first.into_iter().chain(second).map(|sound| sound as u8)
}

/// How probable each chunk is for a letter, learned by expectation maximisation from an even start.
fn learn_alignment(examples: &[Example]) -> Vec<f32> {
    let step = (examples.len() / ALIGNED).max(1);
    let mut chances = vec![1.0_f32; LETTERS * CHUNKS];
    for _ in 0..ROUNDS {
        let mut counts = vec![0.0_f32; LETTERS * CHUNKS];
        for (letters, sounds) in examples.iter().step_by(step) {
            expect(&chances, letters, sounds, &mut counts);
        }
        for (chances, counts) in chances.chunks_mut(CHUNKS).zip(counts.chunks(CHUNKS)) {
            let total: f32 = counts.iter().sum();
            for (chance, count) in chances.iter_mut().zip(counts) {
                *chance = if total > 0.0 { count / total } else { 0.0 };
            }
        }
    }
    chances
}

/// Adds one word's expected chunk counts: forward and backward sums over all its alignments.
fn expect(chances: &[f32], letters: &[u8], sounds: &[u8], counts: &mut [f32]) {
    let width = sounds.len() + 1;
    let mut forward = vec![0.0_f32; (letters.len() + 1) * width];
    let mut backward = forward.clone();
    forward[0] = 1.0;
    backward[letters.len() * width + sounds.len()] = 1.0;
    let slot = |at: usize, from: usize, to: usize| usize::from(letters[at]) * CHUNKS + chunk(&sounds[from..to]);
    for at in 0..letters.len() {
        for from in 0..width {
            let here = forward[at * width + from];
            if here > 0.0 {
                for to in from..width.min(from + 3) {
                    forward[(at + 1) * width + to] += here * chances[slot(at, from, to)];
                }
            }
        }
    }
    let total = forward[letters.len() * width + sounds.len()];
    if total < f32::MIN_POSITIVE {
        return;
    }
    for at in (0..letters.len()).rev() {
        for from in 0..width {
            for to in from..width.min(from + 3) {
                let slot = slot(at, from, to);
                let onward = chances[slot] * backward[(at + 1) * width + to];
                backward[at * width + from] += onward;
                counts[slot] += forward[at * width + from] * onward / total;
            }
        }
    }
}

/// The most probable alignment; `None` when there is none.
fn align(chances: &[f32], letters: &[u8], sounds: &[u8]) -> Option<Vec<(u8, u16)>> {
    let width = sounds.len() + 1;
    let mut best = vec![(f32::NEG_INFINITY, 0_usize); (letters.len() + 1) * width];
    best[0].0 = 0.0;
    for (at, &letter) in letters.iter().enumerate() {
        for from in 0..width {
            let here = best[at * width + from].0;
            if here == f32::NEG_INFINITY {
                continue;
            }
            for to in from..width.min(from + 3) {
                let chance = chances[usize::from(letter) * CHUNKS + chunk(&sounds[from..to])];
                let score = here + chance.max(1e-30).ln();
                let there = &mut best[(at + 1) * width + to];
                if score > there.0 {
                    *there = (score, from);
                }
            }
        }
    }
    let mut to = sounds.len();
    let mut joints = Vec::with_capacity(letters.len());
    for at in (0..letters.len()).rev() {
        let (score, from) = best[(at + 1) * width + to];
        if score == f32::NEG_INFINITY {
            return None;
        }
        joints.push((letters[at], chunk(&sounds[from..to]) as u16));
        to = from;
    }
    joints.reverse();
    Some(joints)
}
