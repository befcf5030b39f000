use super::*;
use crate::emotion::{Emotion, EmotionTag};

/// All single bytes, some longer pieces, an end (the last but one) and a control token (the last).
fn vocabulary(pieces: &[&str]) -> Vocabulary {
    let bytes: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
    let mut vocabulary = Vocabulary::default();
    bytes.iter().for_each(|piece| vocabulary.push(piece, TokenKind::Text));
    pieces.iter().for_each(|piece| vocabulary.push(piece.as_bytes(), TokenKind::Text));
    vocabulary.push(b"<end>", TokenKind::End);
    vocabulary.push(b"<control>", TokenKind::Control);
    vocabulary
}

const PIECES: [&str; 18] = [
    "[", "]", "[开", "[开心", "开心", "开心]", "开", "心", "] ", "]!", "。[", "。[平", "你好", "。", " Hi", "]]", "【",
    "x[1]",
];

fn grammar() -> Grammar {
    with(&EmotionSet::chinese(), &PIECES)
}

fn with(emotions: &EmotionSet, pieces: &[&str]) -> Grammar {
    let vocabulary = Arc::new(vocabulary(pieces));
    Grammar::new(vocabulary.clone(), Arc::new(Lexicon::new(&vocabulary)), emotions)
}

fn allowed(grammar: &Grammar, state: &GrammarState, left: usize) -> Vec<u32> {
    let mut logits = vec![0.0; grammar.vocabulary.len()];
    grammar.mask(state, left, &mut logits);
    (0..logits.len() as u32).filter(|&token| logits[token as usize] == 0.0).collect()
}

/// The longer pieces that are allowed, as text.
fn pieces(grammar: &Grammar, state: &GrammarState) -> Vec<String> {
    let long = allowed(grammar, state, 100).into_iter().filter(|&token| token >= 256);
    long.map(|token| String::from_utf8(grammar.vocabulary.bytes(token).to_vec()).unwrap()).collect()
}

fn token(grammar: &Grammar, piece: &str) -> u32 {
    let found = grammar.vocabulary.iter().filter(|(_, bytes, _)| *bytes == piece.as_bytes());
    found.map(|(token, ..)| token).last().unwrap()
}

fn after(grammar: &Grammar, so_far: &[&str]) -> GrammarState {
    let mut state = grammar.start();
    for piece in so_far {
        let token = token(grammar, piece);
        assert!(allowed(grammar, &state, 100).contains(&token), "`{piece}` is not allowed in {so_far:?}");
        assert_eq!(grammar.advance(&mut state, token), *piece);
    }
    state
}

#[test]
fn a_reply_begins_with_a_tag() {
    let grammar = grammar();
    assert_eq!(pieces(&grammar, &grammar.start()), ["[", "[开", "[开心"]);
    assert!(!grammar.start().may_end());
}

#[test]
fn a_tag_goes_on_as_a_label_of_the_set() {
    let grammar = grammar();
    assert_eq!(pieces(&grammar, &after(&grammar, &["["])), ["开心", "开心]", "开"]);
    assert_eq!(pieces(&grammar, &after(&grammar, &["[开"])), ["心"]);
    // The bracket may bring what follows it along.
    assert_eq!(pieces(&grammar, &after(&grammar, &["[开心"])), ["]", "] ", "]!"]);
}

#[test]
fn a_clause_says_something_before_it_ends_or_changes_its_tag() {
    let grammar = grammar();
    let silent = after(&grammar, &["[开心", "]!"]);
    assert_eq!(pieces(&grammar, &silent), ["开心", "开", "心", "你好", "。", " Hi"]);
    assert!(!silent.may_end());
    let said = after(&grammar, &["[开心", "]", "你好"]);
    assert_eq!(
        pieces(&grammar, &said),
        ["[", "[开", "[开心", "开心", "开", "心", "。[", "。[平", "你好", "。", " Hi", "<end>"]
    );
    assert!(said.may_end());
}

#[test]
fn a_token_may_end_a_clause_and_begin_a_tag() {
    let grammar = grammar();
    let state = after(&grammar, &["[开心", "]", "你好", "。[平"]);
    assert!(state.in_tag());
    assert!(pieces(&grammar, &state).is_empty(), "only the bytes of `静` can follow");
    let bytes: Vec<u32> = allowed(&grammar, &state, 100);
    assert_eq!(bytes, [u32::from("静".as_bytes()[0])]);
}

#[test]
fn characters_are_finished_before_anything_else() {
    let grammar = grammar();
    let mut state = after(&grammar, &["[开心", "]"]);
    let grin = "😀".as_bytes();
    assert_eq!(grammar.advance(&mut state, u32::from(grin[0])), "");
    assert!(!state.may_end());
    // F0 must be followed by 90..=BF.
    assert_eq!(allowed(&grammar, &state, 100), (0x90..=0xBF).collect::<Vec<u32>>());
    assert_eq!(grammar.advance(&mut state, u32::from(grin[1])), "");
    assert_eq!(grammar.advance(&mut state, u32::from(grin[2])), "");
    assert_eq!(grammar.advance(&mut state, u32::from(grin[3])), "😀");
    assert!(!state.may_end(), "a face alone says nothing");
}

#[test]
fn look_alike_brackets_are_masked_even_byte_by_byte() {
    let grammar = grammar();
    let mut state = after(&grammar, &["[开心", "]", "你好"]);
    let lenticular = "【".as_bytes();
    grammar.advance(&mut state, u32::from(lenticular[0]));
    grammar.advance(&mut state, u32::from(lenticular[1]));
    let next = allowed(&grammar, &state, 100);
    assert!(!next.contains(&u32::from(lenticular[2])) && next.contains(&u32::from("。".as_bytes()[2])));
}

#[test]
fn control_characters_and_control_tokens_are_masked() {
    let grammar = grammar();
    let next = allowed(&grammar, &after(&grammar, &["[开心", "]", "你好"]), 100);
    for masked in [0, 7, 9, 13, 27, 127, grammar.vocabulary.len() as u32 - 1] {
        assert!(!next.contains(&masked), "{masked}");
    }
    assert!(next.contains(&u32::from(b'\n')));
}

#[test]
fn no_tag_is_begun_that_could_not_be_finished() {
    let grammar = grammar();
    let state = after(&grammar, &["[开心", "]", "你好"]);
    let bracket = u32::from(b'[');
    // After the bracket `开心]` takes seven tokens at worst, and something to say four.
    assert!(allowed(&grammar, &state, 12).contains(&bracket));
    assert!(!allowed(&grammar, &state, 11).contains(&bracket));
}

#[test]
fn a_clause_that_runs_out_of_tokens_says_something_at_once() {
    let grammar = grammar();
    let state = after(&grammar, &["[开心", "]"]);
    let next = allowed(&grammar, &state, RESERVE);
    assert!(next.contains(&token(&grammar, "你好")) && !next.contains(&token(&grammar, "。")));
    assert!(!next.contains(&u32::from("你".as_bytes()[0])), "no room for half a character");
}

#[test]
fn labels_may_share_prefixes_and_be_of_any_script() {
    let tag = |label: &str| EmotionTag { label: label.into(), emotion: Emotion::Happy, intensity: 1.0 };
    let emotions = EmotionSet::new([tag("happy"), tag("happy now"), tag("うれしい")]);
    let grammar = with(&emotions, &["[happy", "]", " now", "[うれ", "しい", "ok"]);
    assert_eq!(pieces(&grammar, &after(&grammar, &["[happy"])), ["]", " now"]);
    assert_eq!(pieces(&grammar, &after(&grammar, &["[うれ"])), ["しい"]);
}

#[test]
fn without_tags_a_reply_is_one_clause() {
    let grammar = with(&EmotionSet::new([]), &PIECES);
    assert_eq!(pieces(&grammar, &grammar.start()), ["开心", "开", "心", "你好", "。", " Hi"]);
    assert!(after(&grammar, &[" Hi"]).may_end());
}

#[test]
fn any_walk_through_allowed_tokens_is_a_reply() {
    use rand::{RngExt, SeedableRng};
    let grammar = grammar();
    for seed in 0..300 {
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        let budget = random.random_range(grammar.shortest()..40);
        let (mut state, mut reply) = (grammar.start(), String::new());
        for left in (1..=budget).rev() {
            let next = allowed(&grammar, &state, left);
            assert!(!next.is_empty(), "a dead end after {reply:?}");
            // Mostly the longer pieces, so that tags come up.
            let long: Vec<u32> = next.iter().copied().filter(|&token| token >= 256).collect();
            let pool = if long.is_empty() || random.random_bool(0.3) { &next } else { &long };
            let token = pool[random.random_range(0..pool.len())];
            if grammar.vocabulary.kind(token) == TokenKind::End {
                break;
            }
            reply.push_str(&grammar.advance(&mut state, token));
        }
        assert_is_reply(&reply);
    }
}

/// Checks a reply by splitting it at its brackets, with nothing of the grammar's own code.
fn assert_is_reply(reply: &str) {
    let mut parts = reply.split('[');
    assert_eq!(parts.next(), Some(""), "{reply:?} begins with a tag");
    let mut tags = 0;
    for part in parts {
        tags += 1;
        let (label, clause) = part.split_once(']').unwrap_or_else(|| panic!("an open tag in {reply:?}"));
        assert!(["平静", "开心", "生气", "悲伤", "惊讶", "撒娇"].contains(&label), "{label:?} in {reply:?}");
        assert!(clause.contains(char::is_alphanumeric) && !clause.contains(']'), "{clause:?} in {reply:?}");
    }
    assert!(tags > 0);
}
