//! Mandarin on the real dictionaries: how it is read, against hand-checked readings and against an independent package.

use std::{collections::HashSet, path::PathBuf, sync::LazyLock};

use bevy_companion::{models::models_dir, voice::text::zh::Mandarin};
use serde::Deserialize;

static MANDARIN: LazyLock<Mandarin> = LazyLock::new(load);

fn load() -> Mandarin {
    Mandarin::load(&models_dir().join("pinyin")).unwrap()
}

/// A sentence as the packages `pypinyin` and `misaki` read it: word by word, without tone sandhi.
#[derive(Deserialize)]
struct Reference {
    text: String,
    pinyin: String,
    phonemes: String,
}

fn references() -> Vec<Reference> {
    serde_json::from_str(include_str!("../records/voice/zh.json")).unwrap()
}

/// Our syllables with a retroflex ending as a syllable of its own, as the reference has it.
fn syllables(pinyin: &str) -> Vec<String> {
    let parts = pinyin.split(' ').flat_map(|syllable| {
        let (letters, tone) = syllable.split_at(syllable.len() - 1);
        match letters.strip_suffix('r').filter(|stem| *stem != "e") {
            Some(stem) => vec![format!("{stem}{tone}"), "er5".to_owned()],
            None => vec![syllable.to_owned()],
        }
    });
    parts.collect()
}

#[test]
fn polyphones_and_tones_are_read_as_people_read_them() {
    let wrong: Vec<String> = READINGS
        .iter()
        .map(|(text, pinyin)| (text, pinyin, MANDARIN.pinyin(text)))
        .filter(|(_, pinyin, got)| *pinyin != got)
        .map(|(text, pinyin, got)| format!("{text}: expected {pinyin}, got {got}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), READINGS.len(), wrong.join("\n"));
}

/// The letters of nearly all syllables agree with the reference; tones differ where sandhi, light tones and erhua act.
#[test]
fn readings_agree_with_the_reference() {
    let (mut all, mut letters, mut tones) = (0, 0, 0);
    for reference in references() {
        let ours = syllables(&MANDARIN.pinyin(&reference.text));
        let theirs: Vec<&str> = reference.pinyin.split(' ').collect();
        assert_eq!(ours.len(), theirs.len(), "{}: {ours:?} {theirs:?}", reference.text);
        all += ours.len();
        letters += ours
            .iter()
            .zip(&theirs)
            .filter(|(ours, theirs)| ours[..ours.len() - 1] == theirs[..theirs.len() - 1])
            .count();
        tones += ours.iter().zip(&theirs).filter(|(ours, theirs)| ours == *theirs).count();
    }
    assert!(all > 2000, "{all} syllables");
    assert!(letters * 1000 >= all * 993, "{letters} of {all} syllables agree in their letters");
    assert!(tones * 100 >= all * 87, "{tones} of {all} syllables agree in their tones too");
}

/// Where the readings are the same, so are the phonemes, sign for sign.
#[test]
fn phonemes_follow_the_reference_scheme() {
    let dense = |phonemes: &str| phonemes.replace(' ', "");
    let mut same = 0;
    for reference in references() {
        if MANDARIN.pinyin(&reference.text) == reference.pinyin {
            assert_eq!(dense(&MANDARIN.phonemes(&reference.text)), dense(&reference.phonemes), "{}", reference.text);
            same += 1;
        }
    }
    assert!(same >= 50, "only {same} sentences are read the same");
}

#[test]
fn words_and_marks_stand_apart() {
    let cases = [
        ("你好，世界！", "ni↗xau↓, ʂɨ↘ʨje↘!"),
        ("他说：“好。”", "tʰa→ ʂwo→: “xau↓.”"),
        ("啊……是吗？", "a↘… ʂɨ↘ ma?"),
        ("（小声）来", "(ɕjau↓ʂə→ŋ) lai↗"),
        ("", ""),
        ("，。！", ""),
        ("Hello", ""),
        ("我 love 你3", "wo↓ ni↓ sa→n"),
    ];
    for (text, expected) in cases {
        assert_eq!(MANDARIN.phonemes(text), expected, "{text}");
    }
}

#[test]
fn overrides_come_first() {
    let mandarin =
        load().with_overrides([("行止", "háng zhǐ"), ("乐", "yuè"), ("小爱同学", "xiao3 ai4 tong2 xue2")]).unwrap();
    assert_eq!(mandarin.pinyin("行止姑娘"), "hang2 zhi3 gu1 niang5");
    assert_eq!(mandarin.pinyin("他姓乐"), "ta1 xing4 yue4");
    let bad = load().with_overrides([("行止", "háng")]).err().unwrap().to_string();
    assert!(bad.contains("行止") && bad.contains("háng"), "{bad}");
}

#[test]
fn a_missing_dictionary_is_named() {
    let error = Mandarin::load(&PathBuf::from("nowhere")).err().unwrap().to_string();
    assert!(error.contains("phrases_dict.json"), "{error}");
}

/// Every character there is, and marks in any order: no symbol outside the vocabulary, no panic.
#[test]
fn nothing_outside_the_vocabulary_is_emitted() {
    #[derive(Deserialize)]
    struct Vocabulary {
        vocab: std::collections::HashMap<char, u32>,
    }
    let json = std::fs::read(models_dir().join("kokoro-82m/vocab.json")).unwrap();
    let known: HashSet<char> = serde_json::from_slice::<Vocabulary>(&json).unwrap().vocab.into_keys().collect();
    let check = |text: &str| {
        let phonemes = MANDARIN.phonemes(text);
        let unknown = phonemes.chars().find(|sign| !known.contains(sign));
        assert_eq!(unknown, None, "{text:?} becomes {phonemes:?}");
    };
    for code in (0..0x32000).filter_map(char::from_u32) {
        check(code.encode_utf8(&mut [0; 4]));
    }
    let signs: Vec<char> =
        "一不儿了得地着子里上看好你我他重行长第点十百，。！？…—“”（）、 \n\0ab1😀銀髮〇".chars().collect();
    let mut seed = 7_usize;
    for _ in 0..3000 {
        let text: String = (0..seed % 19)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                signs[(seed >> 33) % signs.len()]
            })
            .collect();
        seed = seed.wrapping_add(0x9e37_79b9);
        check(&text);
    }
}

/// Each of these would take minutes if any step looked at the rest of the text again and again.
#[test]
fn hostile_text_takes_linear_time() {
    for piece in ["一", "不", "好", "儿", "看看", "，", "……", "得", "\u{9f98}", "a", "银行"] {
        MANDARIN.phonemes(&piece.repeat(20_000));
    }
}

/// Read aloud to oneself, one by one.
#[rustfmt::skip]
const READINGS: &[(&str, &str)] = &[
    ("银行", "yin2 hang2"),
    ("行走", "xing2 zou3"),
    ("音乐", "yin1 yue4"),
    ("快乐", "kuai4 le4"),
    ("重庆很重要", "chong2 qing4 hen3 zhong4 yao4"),
    ("长大", "zhang3 da4"),
    ("长度", "chang2 du4"),
    ("他长高了", "ta1 zhang3 gao1 le5"),
    ("头发很长", "tou2 fa5 hen3 chang2"),
    ("校长和局长", "xiao4 zhang3 he2 ju2 zhang3"),
    ("还钱给我", "huan2 qian2 gei2 wo3"),
    ("他还没来", "ta1 hai2 mei2 lai2"),
    ("书还给你", "shu1 huan2 gei2 ni3"),
    ("首都都很大", "shou3 du1 dou1 hen3 da4"),
    ("成都", "cheng2 du1"),
    ("便宜又方便", "pian2 yi5 you4 fang1 bian4"),
    ("数学", "shu4 xue2"),
    ("数一数有几个", "shu3 yi5 shu3 you2 ji3 ge4"),
    ("调查", "diao4 cha2"),
    ("调整音调", "tiao2 zheng3 yin1 diao4"),
    ("空调", "kong1 tiao2"),
    ("把声音调大", "ba3 sheng1 yin1 tiao2 da4"),
    ("觉得", "jue2 de5"),
    ("睡觉", "shui4 jiao4"),
    ("睡了一觉", "shui4 le5 yi2 jiao4"),
    ("差不多", "cha4 bu5 duo1"),
    ("出差", "chu1 chai1"),
    ("差别", "cha1 bie2"),
    ("参差不齐", "cen1 ci1 bu4 qi2"),
    ("我得走了", "wo2 dei2 zou3 le5"),
    ("跑得快", "pao3 de5 kuai4"),
    ("得到", "de2 dao4"),
    ("慢慢地走", "man4 man4 de5 zou3"),
    ("地上有水", "di4 shang5 you2 shui3"),
    ("着急", "zhao2 ji2"),
    ("睡着了", "shui4 zhao2 le5"),
    ("看着我", "kan4 zhe5 wo3"),
    ("衣着", "yi1 zhuo2"),
    ("受不了", "shou4 bu5 liao3"),
    ("了解", "liao2 jie3"),
    ("好了", "hao3 le5"),
    ("一行白鹭", "yi4 hang2 bai2 lu4"),
    ("第一行", "di4 yi1 hang2"),
    ("重来一遍", "chong2 lai2 yi2 bian4"),
    ("箱子很重", "xiang1 zi5 hen3 zhong4"),
    ("种花", "zhong4 hua1"),
    ("这种花", "zhe4 zhong3 hua1"),
    ("一只猫", "yi4 zhi1 mao1"),
    ("只有你", "zhi2 you2 ni3"),
    ("为什么", "wei4 shen2 me5"),
    ("成为", "cheng2 wei2"),
    ("因为", "yin1 wei4"),
    ("有空吗", "you3 kong4 ma5"),
    ("天空", "tian1 kong1"),
    ("衣服干了", "yi1 fu5 gan1 le5"),
    ("干活", "gan4 huo2"),
    ("当真", "dang4 zhen1"),
    ("当然", "dang1 ran2"),
    ("中奖", "zhong4 jiang3"),
    ("中国", "zhong1 guo2"),
    ("摔倒", "shuai1 dao3"),
    ("倒水", "dao4 shui3"),
    ("转圈", "zhuan4 quan1"),
    ("左转", "zuo2 zhuan3"),
    ("我教你", "wo3 jiao1 ni3"),
    ("教室", "jiao4 shi4"),
    ("背包", "bei1 bao1"),
    ("背后", "bei4 hou4"),
    ("放假", "fang4 jia4"),
    ("真假", "zhen1 jia3"),
    ("请了三天假", "qing3 le5 san1 tian1 jia4"),
    ("爱好", "ai4 hao4"),
    ("好人", "hao3 ren2"),
    ("困难", "kun4 nan5"),
    ("灾难", "zai1 nan4"),
    ("相处", "xiang1 chu3"),
    ("到处", "dao4 chu4"),
    ("照相机", "zhao4 xiang4 ji1"),
    ("一场大雨", "yi4 chang2 da4 yu3"),
    ("一场比赛", "yi4 chang2 bi3 sai4"),
    ("弹琴", "tan2 qin2"),
    ("子弹", "zi3 dan4"),
    ("系鞋带", "ji4 xie2 dai4"),
    ("联系", "lian2 xi4"),
    ("鲜血", "xian1 xue4"),
    ("流血", "liu2 xue4"),
    ("角色", "jue2 se4"),
    ("角落", "jiao3 luo4"),
    ("尽快", "jin3 kuai4"),
    ("尽头", "jin4 tou2"),
    ("似的", "shi4 de5"),
    ("相似", "xiang1 si4"),
    ("会计", "kuai4 ji4"),
    ("开会", "kai1 hui4"),
    ("人参", "ren2 shen1"),
    ("参加", "can1 jia1"),
    ("投降", "tou2 xiang2"),
    ("下降", "xia4 jiang4"),
    ("勉强", "mian2 qiang3"),
    ("强大", "qiang2 da4"),
    ("朝阳", "zhao1 yang2"),
    ("朝代", "chao2 dai4"),
    ("姓曾", "xing4 zeng1"),
    ("曾经", "ceng2 jing1"),
    ("单老师", "shan4 lao3 shi1"),
    ("简单", "jian3 dan1"),
    ("薄荷", "bo4 he5"),
    ("挣扎", "zheng1 zha2"),
    ("挣钱", "zheng4 qian2"),
    ("你好", "ni2 hao3"),
    ("我很好", "wo3 hen2 hao3"),
    ("我想你", "wo3 xiang2 ni3"),
    ("展览馆", "zhan2 lan2 guan3"),
    ("纸老虎", "zhi3 lao2 hu3"),
    ("小雨伞", "xiao3 yu2 san3"),
    ("可以", "ke2 yi3"),
    ("水果", "shui2 guo3"),
    ("一个", "yi2 ge4"),
    ("一天", "yi4 tian1"),
    ("一年", "yi4 nian2"),
    ("一百", "yi4 bai3"),
    ("一万", "yi2 wan4"),
    ("第一次", "di4 yi1 ci4"),
    ("十一个", "shi2 yi1 ge4"),
    ("一月一号", "yi1 yue4 yi1 hao4"),
    ("星期一", "xing1 qi1 yi1"),
    ("统一", "tong3 yi1"),
    ("看一看", "kan4 yi5 kan4"),
    ("一点五", "yi1 dian2 wu3"),
    ("一二三", "yi1 er4 san1"),
    ("三分之一", "san1 fen1 zhi1 yi1"),
    ("不是", "bu2 shi4"),
    ("不好", "bu4 hao3"),
    ("不会", "bu2 hui4"),
    ("是不是", "shi4 bu5 shi4"),
    ("看不见", "kan4 bu5 jian4"),
    ("不去", "bu2 qu4"),
    ("不来", "bu4 lai2"),
    ("妈妈", "ma1 ma5"),
    ("看看", "kan4 kan5"),
    ("姐姐", "jie3 jie5"),
    ("想想", "xiang2 xiang5"),
    ("天天", "tian1 tian1"),
    ("我们", "wo3 men5"),
    ("孩子", "hai2 zi5"),
    ("电子", "dian4 zi3"),
    ("石头", "shi2 tou5"),
    ("桌子上", "zhuo1 zi5 shang5"),
    ("家里", "jia1 li5"),
    ("上海", "shang4 hai3"),
    ("东西", "dong1 xi5"),
    ("朋友", "peng2 you5"),
    ("知道", "zhi1 dao5"),
    ("花儿", "huar1"),
    ("一点儿", "yi4 dianr3"),
    ("哪儿", "nar3"),
    ("一会儿", "yi2 huir4"),
    ("女儿", "nü3 er2"),
    ("儿子", "er2 zi5"),
    ("婴儿", "ying1 er2"),
    ("这儿", "zher4"),
    ("嗯，好", "n4 hao3"),
    ("嗯？", "n2"),
    ("啊！", "a1"),
    ("好啊", "hao3 a5"),
    ("哈哈", "ha1 ha1"),
    ("谁啊", "shei2 a5"),
    ("銀行", "yin2 hang2"),
    ("音樂", "yin1 yue4"),
    ("長大", "zhang3 da4"),
    ("頭髮", "tou2 fa5"),
    ("我买五本书", "wo3 mai2 wu2 ben3 shu1"),
    ("小孩儿", "xiao3 hair2"),
    ("瓜子", "gua1 zi3"),
    ("地球绕着太阳转", "di4 qiu2 rao4 zhe5 tai4 yang5 zhuan4"),
    ("他从一数到十", "ta1 cong2 yi1 shu3 dao4 shi2"),
    ("不一定", "bu4 yi2 ding4"),
    ("对不起", "dui4 bu5 qi3"),
    ("一起", "yi4 qi3"),
    ("呜呜", "wu1 wu1"),
    ("哼", "heng1"),
    ("嘿", "hei1"),
    ("哎呀", "ai1 ya1"),
    ("嘻嘻", "xi1 xi1"),
    ("哦", "o4"),
    ("哦？", "o2"),
];
