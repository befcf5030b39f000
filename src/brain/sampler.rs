//! How the next token is drawn from a model's logits.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::Sampling;

/// Draws tokens. The same seed and the same logits give the same tokens.
///
/// The filters (top-k, then min-p, then top-p) look at the model's own distribution; temperature comes last and reshapes
/// only what they kept, so a high temperature makes a reply lively without letting nonsense in. Logits that are NaN or
/// minus infinity are never drawn.
pub struct Sampler {
    sampling: Sampling,
    random: StdRng,
    kept: Vec<(u32, f32)>,
}

impl Sampler {
    /// A sampler for one reply.
    pub fn new(sampling: &Sampling) -> Self {
        let random = sampling.seed.map_or_else(|| rand::make_rng(), StdRng::seed_from_u64);
        Self { sampling: sampling.clone(), random, kept: Vec::new() }
    }

    /// Draws a token from `logits`, one a vocabulary entry; `recent` is what was said last, newest last.
    ///
    /// None when no logit is a number above minus infinity.
    pub fn draw(&mut self, logits: &mut [f32], recent: &[u32]) -> Option<u32> {
        self.penalize(logits, recent);
        if self.sampling.temperature <= 0.0 || self.sampling.temperature.is_nan() {
            return greedy(logits);
        }
        self.kept.clear();
        let drawable = logits.iter().enumerate().filter(|(_, logit)| **logit > f32::NEG_INFINITY);
        self.kept.extend(drawable.map(|(token, &logit)| (token as u32, logit.min(f32::MAX))));
        keep_top_k(&mut self.kept, self.sampling.top_k);
        keep_min_p(&mut self.kept, self.sampling.min_p);
        keep_top_p(&mut self.kept, self.sampling.top_p);
        let unit: f64 = self.random.random();
        choose(&self.kept, self.sampling.temperature, unit)
    }

    /// Makes recent tokens less likely (Keskar et al. 2019, CTRL): positive logits are divided, negative ones multiplied.
    fn penalize(&self, logits: &mut [f32], recent: &[u32]) {
        let penalty = self.sampling.repetition_penalty;
        if penalty == 1.0 || !penalty.is_finite() || penalty <= 0.0 {
            return;
        }
        let window = &recent[recent.len().saturating_sub(self.sampling.repetition_window)..];
        for (at, &token) in window.iter().enumerate() {
            let seen = window[..at].contains(&token);
            if let (false, Some(logit)) = (seen, logits.get_mut(token as usize)) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }
}

/// The most probable token; the lowest id among equals.
pub fn greedy(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (token, &logit) in logits.iter().enumerate() {
        if logit > best.map_or(f32::NEG_INFINITY, |(_, best)| best) {
            best = Some((token as u32, logit));
        }
    }
    best.map(|(token, _)| token)
}

fn by_logit_then_id(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Moves the `count` most probable to the front, in order, without sorting the rest.
fn sort_front(kept: &mut [(u32, f32)], count: usize) {
    if count < kept.len() {
        kept.select_nth_unstable_by(count, by_logit_then_id);
    }
    let count = count.min(kept.len());
    kept[..count].sort_unstable_by(by_logit_then_id);
}

fn keep_top_k(kept: &mut Vec<(u32, f32)>, top_k: usize) {
    if top_k > 0 && top_k < kept.len() {
        sort_front(kept, top_k);
        kept.truncate(top_k);
    }
}

fn keep_min_p(kept: &mut Vec<(u32, f32)>, min_p: f32) {
    if min_p > 0.0 {
        // p >= min_p · p_max in logits; rounding must never drop the most probable itself.
        let floor = highest(kept) + min_p.min(1.0).ln();
        kept.retain(|(_, logit)| *logit >= floor);
    }
}

fn keep_top_p(kept: &mut Vec<(u32, f32)>, top_p: f32) {
    if top_p >= 1.0 || top_p.is_nan() {
        return;
    }
    let highest = highest(kept);
    let weight = |logit: f32| f64::from(logit - highest).exp();
    let wanted = f64::from(top_p.max(0.0)) * kept.iter().map(|(_, logit)| weight(*logit)).sum::<f64>();
    // The nucleus is nearly always small: sort ever longer fronts until one holds it.
    let mut front = 64;
    loop {
        sort_front(kept, front);
        let front_end = front.min(kept.len());
        let mut reached = 0.0;
        for at in 0..front_end {
            reached += weight(kept[at].1);
            if reached >= wanted {
                kept.truncate(at + 1);
                return;
            }
        }
        if front_end == kept.len() {
            return;
        }
        front *= 8;
    }
}

fn highest(kept: &[(u32, f32)]) -> f32 {
    kept.iter().map(|(_, logit)| *logit).fold(f32::NEG_INFINITY, f32::max)
}

/// The token at `unit` (0..1) of the cumulative distribution at a temperature.
fn choose(kept: &[(u32, f32)], temperature: f32, unit: f64) -> Option<u32> {
    let highest = highest(kept);
    let weight = |logit: f32| (f64::from(logit - highest) / f64::from(temperature)).exp();
    let mut left = unit * kept.iter().map(|(_, logit)| weight(*logit)).sum::<f64>();
    for &(token, logit) in kept {
        left -= weight(logit);
        if left < 0.0 {
            return Some(token);
        }
    }
    kept.last().map(|(token, _)| *token)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits whose softmax is 0.5, 0.25, 0.15, 0.1.
    fn four() -> Vec<f32> {
        [0.5f32, 0.25, 0.15, 0.1].map(f32::ln).to_vec()
    }

    fn plain() -> Sampling {
        let off = Sampling { top_p: 1.0, top_k: 0, min_p: 0.0, repetition_penalty: 1.0, ..default_sampling() };
        Sampling { temperature: 1.0, seed: Some(7), ..off }
    }

    fn default_sampling() -> Sampling {
        Sampling::default()
    }

    /// How often each of four tokens is drawn in `draws` draws.
    fn frequencies(sampling: Sampling, logits: &[f32], recent: &[u32], draws: usize) -> Vec<f64> {
        let mut sampler = Sampler::new(&sampling);
        let mut counts = vec![0usize; logits.len()];
        for _ in 0..draws {
            counts[sampler.draw(&mut logits.to_vec(), recent).unwrap() as usize] += 1;
        }
        counts.iter().map(|&count| count as f64 / draws as f64).collect()
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        for (found, expected) in found.iter().zip(expected) {
            // Three standard deviations of 20 000 draws at p = 0.5.
            assert!((found - expected).abs() < 0.011, "{found} is not {expected}");
        }
    }

    #[test]
    fn a_plain_draw_follows_the_distribution() {
        assert_close(&frequencies(plain(), &four(), &[], 20_000), &[0.5, 0.25, 0.15, 0.1]);
    }

    #[test]
    fn temperature_two_takes_square_roots() {
        let roots = [0.5f64, 0.25, 0.15, 0.1].map(f64::sqrt);
        let sum: f64 = roots.iter().sum();
        let found = frequencies(Sampling { temperature: 2.0, ..plain() }, &four(), &[], 20_000);
        assert_close(&found, &roots.map(|root| root / sum));
    }

    #[test]
    fn top_k_keeps_the_k_most_probable() {
        let found = frequencies(Sampling { top_k: 2, ..plain() }, &four(), &[], 20_000);
        assert_close(&found, &[2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]);
    }

    #[test]
    fn top_p_keeps_the_smallest_set_that_reaches_p() {
        // 0.5 + 0.25 is short of 0.8; with 0.15 it is reached.
        let found = frequencies(Sampling { top_p: 0.8, ..plain() }, &four(), &[], 20_000);
        assert_close(&found, &[0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0.0]);
    }

    #[test]
    fn top_p_of_nothing_still_keeps_the_most_probable() {
        assert_close(&frequencies(Sampling { top_p: 0.0, ..plain() }, &four(), &[], 100), &[1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn top_p_reaches_past_the_first_front() {
        // A thousand equal tokens: 0.9 needs exactly 900 of them, and ties go to the lower ids.
        let mut kept: Vec<(u32, f32)> = (0..1000).map(|token| (token, 0.0)).collect();
        keep_top_p(&mut kept, 0.9);
        assert!((899..=901).contains(&kept.len()), "{}", kept.len());
        assert!(kept.iter().enumerate().all(|(at, (token, _))| at as u32 == *token));
    }

    #[test]
    fn min_p_drops_what_is_improbable_beside_the_best() {
        // The floor is 0.4 · 0.5 = 0.2.
        let found = frequencies(Sampling { min_p: 0.4, ..plain() }, &four(), &[], 20_000);
        assert_close(&found, &[2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]);
        let all = frequencies(Sampling { min_p: 1.0, ..plain() }, &four(), &[], 100);
        assert_close(&all, &[1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn the_penalty_divides_positive_and_multiplies_negative_logits_once() {
        let sampler = Sampler::new(&Sampling { repetition_penalty: 2.0, repetition_window: 3, ..plain() });
        let mut logits = [3.0, -1.0, 4.0, 5.0];
        sampler.penalize(&mut logits, &[3, 0, 1, 1]);
        assert_eq!(logits, [1.5, -2.0, 4.0, 5.0]);
    }

    #[test]
    fn zero_temperature_takes_the_best_and_the_lower_id_among_equals() {
        let mut sampler = Sampler::new(&Sampling { temperature: 0.0, ..plain() });
        assert_eq!(sampler.draw(&mut [1.0, 3.0, 3.0, 2.0], &[]), Some(1));
    }

    #[test]
    fn nan_and_infinity_do_no_harm() {
        for temperature in [0.0, 1.0] {
            let sampling = Sampling { temperature, ..Sampling::default() };
            let mut sampler = Sampler::new(&sampling);
            let mut broken = [f32::NAN, 1.0, f32::NEG_INFINITY, f32::NAN];
            assert_eq!(sampler.draw(&mut broken, &[]), Some(1));
            let mut infinite = [0.0, f32::INFINITY, 1.0, 0.5];
            assert_eq!(sampler.draw(&mut infinite, &[]), Some(1));
            let mut nothing = [f32::NEG_INFINITY, f32::NAN];
            assert_eq!(sampler.draw(&mut nothing, &[]), None);
            assert_eq!(sampler.draw(&mut [], &[]), None);
        }
    }

    #[test]
    fn a_seed_fixes_the_draws() {
        let draws = |seed| {
            let mut sampler = Sampler::new(&Sampling { seed: Some(seed), temperature: 1.5, ..plain() });
            (0..50).map(|_| sampler.draw(&mut four(), &[]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }
}
