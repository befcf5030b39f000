//! How a conversation is put to the brain: what never changes first, what changes every turn last.

use crate::{
    brain::{Message, Prompt, Role, Sampling},
    dialogue::{
        history::{Exchange, History},
        persona::Persona,
    },
    memory::{Memory, Speaker},
};

/// The ISO 639-1 code of the language a text is most likely in, as far as scripts tell: `ja`, `zh` or `en`.
pub fn language_of(text: &str) -> &'static str {
    let kana = |c: char| matches!(c, '\u{3041}'..='\u{30ff}');
    let han = |c: char| matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}');
    if text.chars().any(kana) {
        "ja"
    } else if text.chars().any(han) {
        "zh"
    } else {
        "en"
    }
}

/// Builds the prompt for `exchange`, whose reply is wanted: persona, example turns, history, recollections, question.
///
/// Recollections stay where they stood when their turn has become history, so that each prompt begins with the whole of
/// the one before and the brain reads only what is new.
pub fn prompt(persona: &Persona, history: &History, exchange: &Exchange, sampling: &Sampling) -> Prompt {
    let first = history.exchanges().first().unwrap_or(exchange);
    // One language per session, the first turn's: changing the examples would change the prefix.
    let language = if first.user.is_empty() {
        persona.languages.first().map_or("en", |code| code)
    } else {
        language_of(&first.user)
    };
    let message = |role, content: &str| Message { role, content: content.trim().into() };

    let mut messages = vec![message(Role::System, persona.personality.get(language, &persona.languages))];
    for example in persona.examples_in(language) {
        messages.push(message(Role::User, &example.user));
        messages.push(message(Role::Assistant, example.reply.get_ref()));
    }
    for past in history.exchanges() {
        ask(&mut messages, past);
        messages.push(message(Role::Assistant, &past.tagged(&persona.emotions)));
    }
    ask(&mut messages, exchange);
    messages.retain(|message| !message.content.is_empty());
    Prompt { messages, emotions: persona.emotions.clone(), sampling: sampling.clone() }
}

fn ask(messages: &mut Vec<Message>, exchange: &Exchange) {
    messages.push(Message { role: Role::System, content: exchange.recollections.clone() });
    messages.push(Message { role: Role::User, content: exchange.user.clone() });
}

/// Writes recollections into the text that stands before the question; empty when there are none.
///
/// What the session's history shows anyway is left out.
pub fn recollections(memories: &[Memory], history: &History, question: &str) -> String {
    let shown = |memory: &&Memory| {
        let same = |text: &str| text.trim() == memory.text.trim();
        same(question) || history.exchanges().iter().any(|past| same(&past.user) || same(&past.spoken()))
    };
    let zh = language_of(question) == "zh";
    let line = |memory: &Memory| match (memory.speaker, zh) {
        (Speaker::User, true) => format!("- 用户说过：{}", memory.text),
        (Speaker::Companion, true) => format!("- 你说过：{}", memory.text),
        (Speaker::User, false) => format!("- The user said: {}", memory.text),
        (Speaker::Companion, false) => format!("- You said: {}", memory.text),
        (Speaker::Note, _) => format!("- {}", memory.text),
    };
    let lines: Vec<_> = memories.iter().filter(|memory| !shown(memory)).map(line).collect();
    if lines.is_empty() {
        return String::new();
    }
    let heading = if zh { "你记得：" } else { "You remember:" };
    format!("{heading}\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{brain::reply::Sentence, emotion::Emotion, memory::MemoryId, worker::TurnId};

    fn exchange(user: &str, reply: &str) -> Exchange {
        let heard = vec![Sentence { index: 0, text: reply.into(), cue: Emotion::Happy.into() }];
        Exchange { turn: TurnId(1), user: user.into(), heard, ..Default::default() }
    }

    fn memory(text: &str) -> Memory {
        let (id, owner, speaker) = (MemoryId(1), "小雨".into(), Speaker::User);
        Memory { id, owner, speaker, text: text.into(), at: 0, score: 0.9 }
    }

    #[test]
    fn each_prompt_begins_with_the_whole_of_the_one_before() {
        let persona = Persona::default();
        let mut history = History::default();
        let first = Exchange {
            recollections: "你记得：\n- 用户说过：我叫小明".into(), ..exchange("你好", "你好呀。")
        };
        let before = prompt(&persona, &history, &Exchange { heard: vec![], ..first.clone() }, &Sampling::default());
        history.push(first);
        let after = prompt(&persona, &history, &exchange("再见", ""), &Sampling::default());
        assert_eq!(after.messages[..before.messages.len()], before.messages);
        assert_eq!(after.messages[before.messages.len()].content, "[开心]你好呀。");
        assert_eq!(after.messages.last().map(|message| message.content.as_str()), Some("再见"));
    }

    #[test]
    fn what_the_history_shows_is_not_recalled_again() {
        let mut history = History::default();
        history.push(exchange("我叫小明", "记住啦。"));
        let recalled = recollections(&[memory("我叫小明"), memory("我喜欢猫")], &history, "我喜欢什么？");
        assert_eq!(recalled, "你记得：\n- 用户说过：我喜欢猫");
        assert_eq!(recollections(&[memory("我叫小明")], &history, "我是谁？"), "");
    }

    #[test]
    fn languages_are_told_by_script() {
        assert_eq!(["你好", "hello", "こんにちは"].map(language_of), ["zh", "en", "ja"]);
    }
}
