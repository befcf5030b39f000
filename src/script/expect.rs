//! What a script expects of a turn, and whether it came.

use serde::Deserialize;

use crate::{
    dialogue::event::{Fact, Latency},
    emotion::Emotion,
};

/// What is expected of a turn. Everything is optional; what is given must hold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expect {
    /// The emotion the reply begins with: one, or one of several.
    pub emotion: Many<Emotion>,
    /// The emotions of the reply, in order, without repetitions.
    pub emotions: Option<Vec<Emotion>>,
    /// Texts the heard reply must contain.
    pub reply: Many<String>,
    /// Texts the heard reply must not contain.
    pub reply_without: Many<String>,
    /// The heard reply, exactly.
    pub reply_is: Option<String>,
    /// Texts that memory must bring up.
    pub memory: Many<String>,
    /// How many turns the history must hold afterwards.
    pub history: Option<usize>,
    /// Kinds of events that must come in this order, others between them allowed.
    pub events: Vec<String>,
    /// Whether she must (or must not) have been interrupted.
    pub interrupted: Option<bool>,
    /// The stage that must fail; when left out none may.
    pub fails: Option<String>,
    /// The longest it may take.
    pub latency: MaxLatency,
}

/// The longest a turn may take, in seconds of the script's clock.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct MaxLatency {
    /// From the end of the question to the first sample heard.
    pub to_first_audio: Option<f64>,
    /// From the end of the question to the end of the reply.
    pub total: Option<f64>,
}

/// One value, several, or none.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Many<T> {
    /// None.
    #[default]
    None,
    /// One.
    One(T),
    /// Several.
    Several(Vec<T>),
}

impl<T> Many<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}

/// What came of a turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// What happened, in order.
    pub facts: Vec<Fact>,
    /// How many turns the history holds.
    pub history: usize,
    /// Whether the turn came to an end in time.
    pub ended: bool,
}

impl Observed {
    /// What was heard of the reply.
    pub fn reply(&self) -> &str {
        let heard = self.facts.iter().rev().find_map(|fact| match fact {
            Fact::TurnFinished { reply, .. } => Some(reply.as_str()),
            Fact::Interrupted { heard } => Some(heard.as_str()),
            _ => None,
        });
        heard.unwrap_or_default()
    }

    /// What the turn took, when it was finished.
    pub fn latency(&self) -> Option<Latency> {
        self.facts.iter().rev().find_map(|fact| match fact {
            Fact::TurnFinished { latency, .. } => Some(*latency),
            _ => None,
        })
    }

    fn emotions(&self) -> Vec<Emotion> {
        let mut emotions: Vec<_> = self
            .facts
            .iter()
            .filter_map(|fact| match fact {
                Fact::SentenceReady { emotion, .. } => Some(*emotion),
                _ => None,
            })
            .collect();
        emotions.dedup();
        emotions
    }
}

/// What of the expected did not come, a sentence each; nothing when all did.
pub fn unmet(expect: &Expect, observed: &Observed) -> Vec<String> {
    let mut unmet = Vec::new();
    let mut require = |met: bool, otherwise: String| {
        if !met {
            unmet.push(otherwise);
        }
    };
    require(observed.ended, "the turn did not end in time".into());

    let (emotions, reply) = (observed.emotions(), observed.reply());
    if let wanted @ [_, ..] = expect.emotion.as_slice() {
        let met = emotions.first().is_some_and(|first| wanted.contains(first));
        require(met, format!("the reply begins {:?}, not {wanted:?}", emotions.first()));
    }
    if let Some(wanted) = &expect.emotions {
        require(*wanted == emotions, format!("the emotions are {emotions:?}, not {wanted:?}"));
    }
    for part in expect.reply.as_slice() {
        require(reply.contains(part), format!("the reply “{reply}” does not contain “{part}”"));
    }
    for part in expect.reply_without.as_slice() {
        require(!reply.contains(part), format!("the reply “{reply}” contains “{part}”"));
    }
    if let Some(wanted) = &expect.reply_is {
        require(wanted == reply, format!("the reply is “{reply}”, not “{wanted}”"));
    }

    let recalled = observed.facts.iter().find_map(|fact| match fact {
        Fact::Recalled { memories } => Some(memories.as_slice()),
        _ => None,
    });
    for part in expect.memory.as_slice() {
        let met = recalled.unwrap_or_default().iter().any(|memory| memory.contains(part));
        require(met, format!("memory brought up {:?}, nothing with “{part}”", recalled.unwrap_or_default()));
    }
    if let Some(wanted) = expect.history {
        require(wanted == observed.history, format!("the history holds {} turns, not {wanted}", observed.history));
    }

    let kinds: Vec<_> = observed.facts.iter().map(kind).collect();
    let mut rest = kinds.iter();
    for wanted in &expect.events {
        let met = rest.any(|kind| kind == wanted);
        require(met, format!("the events {kinds:?} do not hold {:?} in this order", expect.events));
        if !met {
            break;
        }
    }
    let interrupted = kinds.iter().any(|kind| kind == "interrupted");
    if let Some(wanted) = expect.interrupted {
        require(wanted == interrupted, format!("interrupted: {interrupted}, not {wanted}"));
    }
    let failed = observed.facts.iter().find_map(|fact| match fact {
        Fact::Failed { stage, reason } => Some((stage.as_str(), reason.as_str())),
        _ => None,
    });
    require(
        expect.fails.as_deref() == failed.map(|(stage, _)| stage),
        match failed {
            Some((stage, reason)) => format!("the {stage} failed: {reason}"),
            None => format!("nothing failed, though {:?} should have", expect.fails),
        },
    );

    let latency = observed.latency().unwrap_or_default();
    let limits = [
        ("to the first audio", latency.to_first_audio, expect.latency.to_first_audio),
        ("in all", latency.total, expect.latency.total),
    ];
    for (what, taken, limit) in limits {
        if let Some(limit) = limit {
            require(taken <= limit, format!("{taken:.3} s {what}, more than {limit} s"));
        }
    }
    unmet
}

/// The name of a fact's kind, as `--json` prints it and scripts expect it.
pub fn kind(fact: &Fact) -> String {
    let value = serde_json::to_value(fact).unwrap_or_default();
    value.get("event").and_then(serde_json::Value::as_str).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed() -> Observed {
        let ready = |sentence, emotion| Fact::SentenceReady { sentence, text: "x".into(), emotion };
        let facts = vec![
            Fact::Recalled { memories: vec!["我叫小明".into()] },
            ready(0, Emotion::Sad),
            ready(1, Emotion::Sad),
            ready(2, Emotion::Calm),
            Fact::TurnFinished { reply: "没事的。".into(), latency: Latency::default(), usage: None },
        ];
        Observed { facts, history: 1, ended: true }
    }

    fn expect(text: &str) -> Expect {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_holds_is_met() {
        let wanted = "emotion = [\"happy\", \"sad\"]\nemotions = [\"sad\", \"calm\"]\nreply = \"没事\"\nmemory = \"小明\"\n\
                      events = [\"recalled\", \"turn-finished\"]\nhistory = 1\ninterrupted = false\nlatency = { total = 1 }\n";
        assert_eq!(unmet(&expect(wanted), &observed()), Vec::<String>::new());
    }

    #[test]
    fn what_does_not_hold_is_told_one_by_one() {
        let wanted = "emotion = \"happy\"\nreply = \"好\"\nreply-without = \"没\"\nmemory = \"小红\"\nfails = \"voice\"\n\
                      events = [\"turn-finished\", \"recalled\"]\nhistory = 2\ninterrupted = true\n";
        let unmet = unmet(&expect(wanted), &observed());
        assert_eq!(unmet.len(), 8, "{unmet:#?}");
    }

    #[test]
    fn an_unexpected_failure_is_never_met() {
        let mut observed = observed();
        observed.facts.insert(0, Fact::Failed { stage: "voice".into(), reason: "no model".into() });
        assert_eq!(unmet(&Expect::default(), &observed), ["the voice failed: no model"]);
    }
}
