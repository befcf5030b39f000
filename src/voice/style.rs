//! How each emotion sounds: the one table that says so.

use crate::emotion::{Cue, Emotion};

/// What an emotion does to a voice. Neutral is [`Style::NEUTRAL`]; intensities between are interpolated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Whose prosody is mixed in: for a woman's and for a man's voice.
    pub partner: [&'static str; 2],
    /// How much of the partner's, 0 to 1.
    pub weight: f32,
    /// Factor of the speaking rate.
    pub speed: f32,
    /// Shift of the pitch, in semitones.
    pub pitch: f32,
    /// Factor of the intonation's width in semitones.
    pub range: f32,
    /// Loudness, in decibels.
    pub gain: f32,
    /// Treble, in decibels: above 0 hard, below 0 soft.
    pub brightness: f32,
    /// Factor of the pauses.
    pub pause: f32,
}

impl Style {
    /// The voice as it is.
    pub const NEUTRAL: Self = Self {
        partner: ["", ""],
        weight: 0.0,
        speed: 1.0,
        pitch: 0.0,
        range: 1.0,
        gain: 0.0,
        brightness: 0.0,
        pause: 1.0,
    };

    /// The table. Directions follow the literature on emotional speech (Scherer, "Vocal communication of emotion", 2003):
    /// joy and anger are fast, loud and wide, sadness slow, soft and narrow, surprise high and widest. Amounts were set
    /// by measuring and by transcribing the result.
    const fn table(emotion: Emotion) -> Self {
        match emotion {
            Emotion::Calm => Self::NEUTRAL,
            Emotion::Happy => Self {
                partner: ["zf_xiaoyi", ""],
                weight: 0.3,
                speed: 1.08,
                pitch: 1.5,
                range: 1.35,
                gain: 1.5,
                brightness: 1.5,
                pause: 0.85,
            },
            Emotion::Angry => Self {
                partner: ["zf_xiaoni", "zm_yunjian"],
                weight: 0.4,
                speed: 1.15,
                pitch: 0.5,
                range: 1.4,
                gain: 3.5,
                brightness: 4.0,
                pause: 0.6,
            },
            Emotion::Sad => Self {
                partner: ["af_nicole", "zm_yunyang"],
                weight: 0.25,
                speed: 0.88,
                pitch: -1.0,
                range: 0.6,
                gain: -4.0,
                brightness: -4.0,
                pause: 1.5,
            },
            Emotion::Surprised => Self {
                partner: ["zf_xiaobei", "zm_yunxi"],
                weight: 0.3,
                speed: 1.08,
                pitch: 3.5,
                range: 1.6,
                gain: 2.0,
                brightness: 2.0,
                pause: 1.0,
            },
            Emotion::Coquettish => Self {
                partner: ["zf_xiaobei", ""],
                weight: 0.5,
                speed: 0.95,
                pitch: 2.5,
                range: 1.25,
                gain: -1.5,
                brightness: -1.0,
                pause: 1.15,
            },
        }
    }

    /// The style of a cue: its emotion's, as far as its intensity goes.
    pub fn of(cue: Cue) -> Self {
        let (style, share) =
            (Self::table(cue.emotion), if cue.intensity.is_nan() { 1.0 } else { cue.intensity.clamp(0.0, 1.0) });
        Self {
            partner: style.partner,
            weight: style.weight * share,
            speed: style.speed.powf(share),
            pitch: style.pitch * share,
            range: style.range.powf(share),
            gain: style.gain * share,
            brightness: style.brightness * share,
            pause: style.pause.powf(share),
        }
    }

    /// The partner for a voice, by the second letter of its name (`zf_…` a woman's, `zm_…` a man's); `None` when nothing
    /// is to be mixed in.
    pub fn partner_of(&self, voice: &str) -> Option<&'static str> {
        let partner = self.partner[usize::from(voice.as_bytes().get(1) == Some(&b'm'))];
        (self.weight > 0.0 && !partner.is_empty() && partner != voice).then_some(partner)
    }

    /// The pitch shift as a factor of the frequency.
    pub fn pitch_factor(&self) -> f32 {
        (self.pitch / 12.0).exp2()
    }

    /// The loudness as a factor of the amplitude.
    pub fn gain_factor(&self) -> f32 {
        10_f32.powf(self.gain / 20.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intensity_goes_from_neutral_to_the_table() {
        let happy = |intensity| Style::of(Cue { emotion: Emotion::Happy, intensity });
        assert_eq!(Style { partner: ["", ""], ..happy(0.0) }, Style::NEUTRAL);
        assert_eq!(happy(1.0), Style::table(Emotion::Happy));
        assert!(happy(0.5).pitch > 0.0 && happy(0.5).pitch < happy(1.0).pitch);
        assert_eq!(happy(f32::NAN), happy(1.0));
    }

    #[test]
    fn every_emotion_differs_from_every_other() {
        for a in Emotion::ALL {
            for b in Emotion::ALL {
                assert_eq!(Style::of(a.into()) == Style::of(b.into()), a == b);
            }
        }
    }

    #[test]
    fn a_voice_is_not_mixed_with_itself() {
        let style = Style::of(Emotion::Happy.into());
        assert_eq!(style.partner_of("zf_xiaoxiao"), Some("zf_xiaoyi"));
        assert_eq!(Style::of(Emotion::Angry.into()).partner_of("am_adam"), Some("zm_yunjian"));
        assert_eq!(style.partner_of("zf_xiaoyi"), None);
    }
}
