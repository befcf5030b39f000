use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::emotion::{Emotion, EmotionTag};

fn parse(reply: &str) -> Vec<ReplyEvent> {
    let mut parser = ReplyParser::new(EmotionSet::chinese());
    let mut events = parser.push(reply);
    events.extend(parser.finish());
    events
}

/// Cues as `<happy>`, sentences as they are.
fn written(events: &[ReplyEvent]) -> Vec<String> {
    let write = |event: &ReplyEvent| match event {
        ReplyEvent::Cue(cue) => format!("<{}>", cue.emotion),
        ReplyEvent::Sentence(sentence) => sentence.text.clone(),
    };
    events.iter().map(write).collect()
}

fn sentences(reply: &str) -> Vec<String> {
    written(&parse(reply)).into_iter().filter(|text| !text.starts_with('<')).collect()
}

#[test]
fn a_reply_becomes_cues_and_sentences() {
    let events = parse("[开心]太好了！我们去公园吧。[撒娇]你陪我嘛～好不好？");
    assert_eq!(written(&events), ["<happy>", "太好了！", "我们去公园吧。", "<coquettish>", "你陪我嘛～好不好？"]);
    let numbered: Vec<(u32, Emotion)> = events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::Sentence(sentence) => Some((sentence.index, sentence.cue.emotion)),
            ReplyEvent::Cue(_) => None,
        })
        .collect();
    assert_eq!(numbered, [(0, Emotion::Happy), (1, Emotion::Happy), (2, Emotion::Coquettish)]);
}

#[test]
fn the_first_sentence_is_cut_early_and_later_ones_at_their_ends() {
    assert_eq!(
        sentences("[happy] Well, good morning my dear, the sun is out, and so are we. Shall we go, then?"),
        ["Well, good morning my dear,", "the sun is out, and so are we.", "Shall we go, then?"]
    );
    assert_eq!(sentences("[平静]今天天气很好，我们出去走走，好吗？"), ["今天天气很好，", "我们出去走走，好吗？"]);
}

#[test]
fn a_short_interjection_waits_for_company() {
    assert_eq!(sentences("[开心]嗯，我知道了，谢谢你。"), ["嗯，我知道了，", "谢谢你。"]);
    assert_eq!(sentences("嗯……让我想想。好的。"), ["嗯……让我想想。", "好的。"]);
    assert_eq!(sentences("No! Wait for me."), ["No!", "Wait for me."]);
}

#[test]
fn a_first_sentence_without_breaks_is_cut_between_words() {
    let rambling = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen";
    let found = sentences(rambling);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found.join(" "), rambling);
    let chinese: String = "我们今天一起去那个很大很漂亮的公园里面慢慢地散步看看花花草草还有小鸟".into();
    assert_eq!(sentences(&chinese).concat(), chinese);
    assert!(sentences(&chinese).len() > 1);
}

#[test]
fn a_long_sentence_is_cut_at_a_comma() {
    let long = "Oh. When I was very young my mother took me to the seaside every single summer without fail, and we stayed there.";
    assert_eq!(
        sentences(long),
        [
            "Oh.",
            "When I was very young my mother took me to the seaside every single summer without fail,",
            "and we stayed there."
        ]
    );
}

#[test]
fn numbers_abbreviations_and_addresses_are_whole() {
    for whole in [
        "It costs 3.14 dollars or 1,000 yen at 12:30.",
        "Mr. Smith and Dr. Who met at 5 p.m. on Main St. by the river.",
        "See example.com/a?b=c, it is nice.",
        "Fruit, e.g. apples, is good.",
        "The U.S. team and J. R. Smith won.",
        "1. First of all eat.",
    ] {
        let text = format!("Ok. {whole}");
        assert_eq!(sentences(&text), ["Ok.", whole], "{whole}");
    }
}

#[test]
fn closing_quotes_and_repeated_marks_stay_with_their_sentence() {
    assert_eq!(sentences("她说：“你好！”然后走了。"), ["她说：“你好！”", "然后走了。"]);
    assert_eq!(sentences("\"Really?!\" she asked. (Yes.) Good."), ["\"Really?!\"", "she asked.", "(Yes.)", "Good."]);
    assert_eq!(sentences("真的吗？！！太好了。。。好"), ["真的吗？！！", "太好了。。。", "好"]);
    assert_eq!(sentences("I see... well... maybe it is so."), ["I see... well...", "maybe it is so."]);
}

#[test]
fn tags_of_models_without_a_grammar_are_understood() {
    for tagged in [
        "[开心]好的",
        "【开心】好的",
        "［开心］好的",
        "[ happy ]好的",
        "[HAPPY] 好的",
        "[开心 好的",
        "[开心！]好的",
        "[emotion: happy] 好的",
    ] {
        assert_eq!(written(&parse(tagged)), ["<happy>", "好的"], "{tagged}");
    }
    assert_eq!(written(&parse("[happy\nYes")), ["<happy>", "Yes"]);
    assert_eq!(
        written(&parse("[开心，太好了！今天真的真的是一个非常好的日子啊我很高兴。")[..2]),
        ["<happy>", "太好了！"]
    );
}

#[test]
fn unknown_tags_are_never_said() {
    assert_eq!(sentences("[害羞]你好。"), ["你好。"]);
    assert_eq!(sentences("Fine [laughs softly] thanks."), ["Fine thanks."]);
    assert_eq!(sentences("[happyness] Yes."), ["Yes."]);
    assert_eq!(sentences("好的。[开"), ["好的。"]);
    assert_eq!(sentences("[[开心]]好"), ["好"]);
}

#[test]
fn brackets_that_are_text_are_said_without_brackets() {
    assert_eq!(sentences("Ok. The list [1, 2, 3] is sorted."), ["Ok.", "The list 1, 2, 3 is sorted."]);
}

#[test]
fn markup_and_emoji_are_not_said() {
    assert_eq!(sentences("**Great** idea! 😀👍🏽 Let's `go` _now_ ❤️."), ["Great idea!", "Let's go now ."]);
    assert_eq!(sentences("# Title\n- one thing\n- snake_case"), ["Title", "one thing", "snake_case"]);
    assert!(sentences("😀 … !!! ***").is_empty());
}

#[test]
fn two_tags_in_a_row_are_two_cues() {
    assert_eq!(written(&parse("[开心][悲伤]啊")), ["<happy>", "<sad>", "啊"]);
}

#[test]
fn a_personas_own_tags_carry_their_intensity() {
    let shy = EmotionTag { label: "害羞".into(), emotion: Emotion::Coquettish, intensity: 0.6 };
    let mut parser = ReplyParser::new(EmotionSet::new([shy]));
    let events = parser.push("[害羞]你好。嗯");
    assert_eq!(events[0], ReplyEvent::Cue(Cue { emotion: Emotion::Coquettish, intensity: 0.6 }));
}

#[test]
fn sentences_come_as_soon_as_they_can_be_told() {
    let mut parser = ReplyParser::new(EmotionSet::chinese());
    assert_eq!(written(&parser.push("[开心")), [""; 0]);
    assert_eq!(written(&parser.push("]今天真好")), ["<happy>"]);
    assert_eq!(written(&parser.push("，")), [""; 0], "a quote might follow");
    assert_eq!(written(&parser.push("我")), ["今天真好，"]);
}

#[test]
fn the_cuts_of_the_input_make_no_difference() {
    let alphabet: Vec<&str> = vec![
        "[",
        "]",
        "【",
        "】",
        "开心",
        "happy",
        "[开心]",
        "[sad]",
        "[害羞]",
        " ",
        "\n",
        ".",
        "...",
        "。",
        "，",
        ",",
        "!",
        "?",
        "…",
        "\"",
        "”",
        "(",
        ")",
        "'",
        "*",
        "_",
        "#",
        "-",
        "😀",
        "你好",
        "我们去公园",
        "word",
        "Mr",
        "e.g",
        "3",
        "14",
        "1,000",
        "U.S",
        "http://a.b/c?d=e",
        ":",
        ";",
        "～",
        "、",
    ];
    for seed in 0..2000 {
        let mut random = StdRng::seed_from_u64(seed);
        let reply: String =
            (0..random.random_range(1..60)).map(|_| alphabet[random.random_range(0..alphabet.len())]).collect();
        let whole = parse(&reply);
        let mut parser = ReplyParser::new(EmotionSet::chinese());
        let (mut events, mut piece) = (Vec::new(), String::new());
        for character in reply.chars() {
            piece.push(character);
            if random.random_bool(0.4) {
                events.extend(parser.push(&std::mem::take(&mut piece)));
            }
        }
        events.extend(parser.push(&piece));
        events.extend(parser.finish());
        assert_eq!(events, whole, "seed {seed}: {reply:?}");
        for event in &events {
            if let ReplyEvent::Sentence(Sentence { text, .. }) = event {
                assert!(!text.contains(['[', ']', '【', '】', '😀', '*', '\n']), "seed {seed}: {text:?}");
                assert!(text.contains(char::is_alphanumeric));
            }
        }
    }
}
