//! Emotions, the tags that name them in a reply, and the [`Cue`]s they become.

use serde::{Deserialize, Serialize};

/// The emotions that a voice and an avatar know how to show.
///
/// A persona may use any words as tags; each names one of these with an intensity (see [`EmotionSet`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Emotion {
    /// 平静
    #[default]
    Calm,
    /// 开心
    Happy,
    /// 生气
    Angry,
    /// 悲伤
    Sad,
    /// 惊讶
    Surprised,
    /// 撒娇
    Coquettish,
}

impl Emotion {
    /// All emotions, calm first.
    pub const ALL: [Self; 6] = [Self::Calm, Self::Happy, Self::Angry, Self::Sad, Self::Surprised, Self::Coquettish];

    /// The Chinese tag without brackets.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Calm => "平静",
            Self::Happy => "开心",
            Self::Angry => "生气",
            Self::Sad => "悲伤",
            Self::Surprised => "惊讶",
            Self::Coquettish => "撒娇",
        }
    }

    /// The English tag without brackets.
    pub const fn en(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Happy => "happy",
            Self::Angry => "angry",
            Self::Sad => "sad",
            Self::Surprised => "surprised",
            Self::Coquettish => "coquettish",
        }
    }
}

impl std::fmt::Display for Emotion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.en())
    }
}

/// `{given}` is not an emotion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not an emotion: use one of 平静 开心 生气 悲伤 惊讶 撒娇 or calm happy angry sad surprised coquettish"
)]
pub struct UnknownEmotion {
    /// What was given.
    pub given: String,
}

impl std::str::FromStr for Emotion {
    type Err = UnknownEmotion;

    fn from_str(given: &str) -> Result<Self, UnknownEmotion> {
        let name = given.trim().trim_matches(['[', ']']).to_lowercase();
        let found = Self::ALL.into_iter().find(|emotion| emotion.zh() == name || emotion.en() == name);
        found.ok_or_else(|| UnknownEmotion { given: given.into() })
    }
}

/// A change of emotion: what a tag becomes when it leaves the text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cue {
    /// Which emotion.
    pub emotion: Emotion,
    /// How much of it, 0 to 1.
    pub intensity: f32,
}

impl Default for Cue {
    fn default() -> Self {
        Self::from(Emotion::Calm)
    }
}

impl From<Emotion> for Cue {
    fn from(emotion: Emotion) -> Self {
        Self { emotion, intensity: 1.0 }
    }
}

/// One word that a persona may put between brackets, and the cue it stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmotionTag {
    /// The word between the brackets, e.g. `开心`.
    pub label: String,
    /// The emotion it shows.
    pub emotion: Emotion,
    /// How much of it, 0 to 1.
    #[serde(default = "full")]
    pub intensity: f32,
}

fn full() -> f32 {
    1.0
}

/// The tags a persona may use: the alphabet of the reply grammar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmotionSet(Vec<EmotionTag>);

impl Default for EmotionSet {
    fn default() -> Self {
        Self::chinese()
    }
}

impl EmotionSet {
    /// The six Chinese tags.
    pub fn chinese() -> Self {
        Self::from_labels(Emotion::zh)
    }

    /// The six English tags.
    pub fn english() -> Self {
        Self::from_labels(Emotion::en)
    }

    /// A set of the persona's own; tags with empty labels or brackets in them are dropped.
    pub fn new(tags: impl IntoIterator<Item = EmotionTag>) -> Self {
        let usable = |tag: &EmotionTag| !tag.label.trim().is_empty() && !tag.label.contains(['[', ']']);
        Self(tags.into_iter().filter(usable).collect())
    }

    fn from_labels(label: impl Fn(Emotion) -> &'static str) -> Self {
        Self(Emotion::ALL.map(|emotion| EmotionTag { label: label(emotion).into(), emotion, intensity: 1.0 }).into())
    }

    /// The tags.
    pub fn tags(&self) -> &[EmotionTag] {
        &self.0
    }

    /// The cue for a label without brackets: the persona's own tags first, then the six emotions in Chinese or English.
    pub fn cue(&self, label: &str) -> Option<Cue> {
        let label = label.trim();
        let own = self.0.iter().find(|tag| tag.label.eq_ignore_ascii_case(label));
        own.map(|tag| Cue { emotion: tag.emotion, intensity: tag.intensity })
            .or_else(|| label.parse::<Emotion>().ok().map(Cue::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emotion_is_read_in_either_language() {
        assert_eq!("[开心]".parse(), Ok(Emotion::Happy));
        assert_eq!("Happy".parse(), Ok(Emotion::Happy));
        assert!("bored".parse::<Emotion>().unwrap_err().to_string().contains("bored"));
    }

    #[test]
    fn a_personas_own_tag_names_an_emotion_with_an_intensity() {
        let shy = EmotionTag { label: "害羞".into(), emotion: Emotion::Coquettish, intensity: 0.6 };
        let set = EmotionSet::new([shy]);
        assert_eq!(set.cue("害羞"), Some(Cue { emotion: Emotion::Coquettish, intensity: 0.6 }));
        assert_eq!(set.cue("happy"), Some(Emotion::Happy.into()));
        assert_eq!(set.cue("bored"), None);
    }
}
