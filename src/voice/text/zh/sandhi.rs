//! What neighbouring syllables do to one another's tones: light tones, 一 and 不, and chains of third tones.

use super::{
    Word, lexicon,
    pinyin::Tone::{First, Fourth, Neutral, Second, Third},
};

const DIGITS: &str = "零〇一二三四五六七八九";
const POWERS: &str = "百千万亿";

/// Adverbs that stand before 不 without making a potential complement of it: 从不说 is not like 看不见.
const ADVERBS_BEFORE_NOT: &str = "绝决从永并再也都毫就才还又更最很倒岂何若莫既真";

/// What makes 里 a measure or a neighbourhood: 公里, 故里.
const MILES: &str = "公海英千万百十几数半华故邻乡表鹏程一二两三四五六七八九";

/// Applies the tone changes of Mandarin to the words of one clause, in the order in which they build on one another.
pub fn apply(words: &mut [Word]) {
    lighten_words(words);
    lighten_places(words);
    lighten_questions(words);
    change_one_and_not(words);
    change_third_tones(words);
}

/// 朋友, 妈妈, 看看, 看不见.
fn lighten_words(words: &mut [Word]) {
    for word in words.iter_mut() {
        let text = word.text;
        match &mut word.readings[..] {
            [first, second] if first.han == second.han => {
                if lexicon::is_dear_when_doubled(first.han) {
                    second.syllable.tone = Neutral;
                } else if lexicon::is_brief_when_doubled(first.han) {
                    // The light syllable of a doubled verb still counts as the third tone that it was.
                    if first.syllable.tone == Third {
                        first.syllable.tone = Second;
                    }
                    second.syllable.tone = Neutral;
                }
            }
            [verb, not, _] if not.han == '不' && !ADVERBS_BEFORE_NOT.contains(verb.han) => not.syllable.tone = Neutral,
            _ => {}
        }
        if (2..=3).contains(&word.readings.len())
            && lexicon::ends_lightly(text)
            && let Some(last) = word.readings.last_mut()
        {
            last.syllable.tone = Neutral;
        }
    }
}

/// 桌子上, 抽屉里, 店里: the place words after a noun.
fn lighten_places(words: &mut [Word]) {
    let mut after_noun = false;
    for word in words {
        let is_place = match &word.readings[..] {
            [place] => after_noun && matches!(place.han, '上' | '里'),
            [.., noun, place] => match place.han {
                '里' => word.tag.starts_with(['n', 's']) && !MILES.contains(noun.han),
                '上' => word.tag == "s",
                _ => false,
            },
            [] => false,
        };
        if is_place && let Some(place) = word.readings.last_mut() {
            place.syllable.tone = Neutral;
        }
        after_noun = word.tag.starts_with(['n', 's']) && word.tag != "nr";
    }
}

/// 是不是, 试一试: the middle of three.
fn lighten_questions(words: &mut [Word]) {
    let spoken: Vec<char> = words.iter().flat_map(|word| &word.readings).map(|reading| reading.han).collect();
    let readings = words.iter_mut().flat_map(|word| &mut word.readings).skip(1);
    for (reading, around) in readings.zip(spoken.windows(3)) {
        let echoes = around[0] == around[2]
            && match around[1] {
                '不' => true,
                '一' => lexicon::is_brief_when_doubled(around[0]),
                _ => false,
            };
        if echoes {
            reading.syllable.tone = Neutral;
        }
    }
}

/// 一 is yī where it counts or ends, yí before a fourth tone, yì before the others; 不 is bú before a fourth tone.
fn change_one_and_not(words: &mut [Word]) {
    let spoken: Vec<_> =
        words.iter().flat_map(|word| &word.readings).map(|reading| (reading.han, reading.syllable)).collect();
    let mut at = 0_usize;
    for word in words {
        let last = word.readings.len() - 1;
        for (inside, reading) in word.readings.iter_mut().enumerate() {
            let before = at.checked_sub(1).map(|before| spoken[before].0);
            let after = spoken.get(at + 1).copied();
            at += 1;
            if reading.syllable.tone == Neutral {
                continue;
            }
            match (reading.han, after) {
                ('不', Some((_, next))) if next.tone == Fourth => reading.syllable.tone = Second,
                ('不', _) => reading.syllable.tone = Fourth,
                ('一', Some((han, next))) => {
                    let ends_word =
                        inside == last && inside > 0 && !before.is_some_and(|han| "另有某每这那同任".contains(han));
                    reading.syllable.tone = if ends_word || counts(before, han, spoken.get(at + 1).map(|after| after.0))
                    {
                        First
                    } else if next.tone == Fourth || han == '个' {
                        Second
                    } else {
                        Fourth
                    };
                }
                ('一', None) => reading.syllable.tone = First,
                _ => {}
            }
        }
    }
}

/// Whether 一 is a digit or an ordinal here: 十一, 第一, 二零一四, 一月, 一点五.
fn counts(before: Option<char>, after: char, second_after: Option<char>) -> bool {
    let is_digit = |han: char| DIGITS.contains(han);
    let after_number = match before {
        Some('第' | '初' | '十' | '周' | '幺') => true,
        Some('点') => is_digit(after),
        Some('从') => matches!(after, '数' | '到'),
        Some(han) if POWERS.contains(han) => !POWERS.contains(after),
        Some(han) => is_digit(han),
        None => false,
    };
    let before_fraction = after == '点' && second_after.is_some_and(is_digit);
    after_number || before_fraction || is_digit(after) || "十月号楼班级等流线审".contains(after)
}

/// A third tone before a third tone rises. The chain is cut into feet first, as rhythm does it: 我|想买|好酒.
fn change_third_tones(words: &mut [Word]) {
    let feet = feet(words);
    let mut tones: Vec<_> =
        words.iter_mut().flat_map(|word| &mut word.readings).map(|reading| &mut reading.syllable.tone).collect();
    let mut rise = |at: usize| {
        if *tones[at] == Third && *tones[at + 1] == Third {
            *tones[at] = Second;
        }
    };
    for foot in &feet {
        (foot.start..foot.end - 1).for_each(&mut rise);
    }
    feet.iter().rev().skip(1).for_each(|foot| rise(foot.end - 1));
}

/// The feet of a clause, in syllables: words cut in two or three, single syllables paired from the right.
fn feet(words: &[Word]) -> Vec<std::ops::Range<usize>> {
    let mut feet = Vec::new();
    let mut end: usize = words.iter().map(|word| word.readings.len()).sum();
    let mut words = words.iter().rev().peekable();
    while let Some(word) = words.next() {
        let mut lengths = match word.readings.len() {
            1 if words.peek().is_some_and(|before| before.readings.len() == 1) => {
                words.next();
                vec![2]
            }
            3 if word.splits_after_one => vec![2, 1],
            // From the right, so that an odd syllable comes to stand at the end: 展览|馆 is one foot of three.
            length if length % 2 == 1 && length > 1 => [vec![3], vec![2; length / 2 - 1]].concat(),
            1 => vec![1],
            length => vec![2; length / 2],
        };
        for length in lengths.drain(..) {
            feet.push(end - length..end);
            end -= length;
        }
    }
    feet.reverse();
    feet
}
