//! What the dictionaries lack: words of everyday speech whose tones they leave stiff, and characters that speak alone.

use std::{collections::HashSet, sync::LazyLock};

use super::pinyin::{Syllable, parse_all};

/// Words that are read as written here, whatever the dictionaries say.
pub fn words() -> impl Iterator<Item = (&'static str, Box<[Syllable]>)> {
    WORDS.iter().filter_map(|&(word, pinyin)| Some((word, parse_all(pinyin)?)))
}

/// Characters whose usual reading in conversation is another than the dictionaries' first.
pub fn characters() -> impl Iterator<Item = (char, Syllable)> {
    CHARACTERS.iter().filter_map(|&(han, pinyin)| Some((han, Syllable::parse(pinyin)?)))
}

/// Whether a word's last syllable is light: 朋友, 知道, 老朋友.
pub fn ends_lightly(word: &str) -> bool {
    let tails = word.char_indices().rev().skip(1).take(3).map(|(at, _)| &word[at..]);
    tails.into_iter().any(|tail| LIGHT.contains(tail))
}

/// Whether 儿 at a word's end is a syllable of its own (女儿, 婴儿) and not a retroflex ending (花儿, 一点儿).
pub fn is_child(word: &str) -> bool {
    CHILDREN.split_whitespace().any(|child| word.ends_with(child))
}

/// Whether this verb doubled is a brief act, its second syllable light: 看看, 想想.
pub fn is_brief_when_doubled(verb: char) -> bool {
    BRIEF_VERBS.contains(verb)
}

/// Whether doubling names somebody or something dear, the second syllable light: 妈妈, 星星.
pub fn is_dear_when_doubled(noun: char) -> bool {
    DEAR_NOUNS.contains(noun)
}

static LIGHT: LazyLock<HashSet<&str>> = LazyLock::new(|| LIGHT_ENDINGS.split_whitespace().collect());

const BRIEF_VERBS: &str = "看想走试听说谈聊等问坐玩写读尝找学练猜查算笑歇躺逛帮教管劝抱亲摸拍敲洗擦扫揉吹晒瞧念讲数跑跳动用谢转站睡喝吃聚商打拉推放缓忍让改";
const DEAR_NOUNS: &str = "妈爸哥弟姐妹爷奶叔婶舅姑姨公婆姥伯嫂娃宝星猩太娘爹蛐饽";

/// 儿 as a child, never as an ending.
const CHILDREN: &str = "女儿 婴儿 幼儿 孤儿 胎儿 少儿 健儿 宠儿 产儿 弃儿 孙儿 侄儿 男儿 吾儿 我儿 小儿 患儿 育儿 托儿 乳儿 新生儿 \
    混血儿 幸运儿 弄潮儿 低能儿 畸形儿 早产儿 试管婴儿 吉普赛儿 妻儿 生儿 爱儿 娇儿 痴儿 佳儿 巴儿 哈尔";

/// Light last syllables, after the list of words that must be said so in the national speech test (普通话水平测试).
/// A longer word that ends in one of these ends lightly too. Words with a second, full reading are left out (精神, 实在, 大意).
const LIGHT_ENDINGS: &str = "\
    爱人 巴结 巴掌 白净 包袱 包涵 本事 比方 扁担 别扭 拨弄 簸箕 补丁 裁缝 苍蝇 差事 柴火 称呼 锄头 \
    畜生 窗户 刺猬 凑合 耷拉 答应 打扮 打发 打量 打算 打听 大夫 耽搁 耽误 道士 灯笼 提防 弟兄 点心 \
    东西 动静 动弹 豆腐 嘟囔 对付 多么 耳朵 废物 风筝 福气 甘蔗 高粱 膏药 告诉 疙瘩 胳膊 工夫 功夫 \
    姑娘 骨头 故事 寡妇 怪物 关系 官司 罐头 规矩 闺女 哈欠 蛤蟆 含糊 行当 合同 和尚 核桃 红火 后头 \
    厚道 狐狸 萝卜 胡琴 糊涂 护士 皇上 幌子 活泼 火候 伙计 机灵 脊梁 记号 记性 家伙 架势 嫁妆 见识 \
    将就 交情 叫唤 结实 街坊 姐夫 戒指 咳嗽 客气 口袋 窟窿 快活 阔气 喇叭 喇嘛 懒得 浪头 老婆 老实 \
    老爷 累赘 篱笆 里头 力气 厉害 利落 利索 痢疾 连累 凉快 粮食 溜达 骆驼 麻烦 麻利 马虎 码头 馒头 \
    忙活 冒失 眉毛 媒人 门道 眯缝 迷糊 苗条 苗头 名堂 名字 明白 蘑菇 模糊 木匠 木头 那么 难为 脑袋 \
    能耐 念叨 念头 奴才 女婿 暖和 疟疾 牌楼 盘算 朋友 脾气 屁股 便宜 漂亮 铺盖 欺负 前头 \
    亲戚 勤快 清楚 亲家 拳头 人家 认识 扫帚 商量 上司 上头 烧饼 少爷 什么 生意 牲口 师父 师傅 石匠 \
    石榴 石头 时候 拾掇 使唤 似的 事情 收成 收拾 首饰 舒服 舒坦 疏忽 爽快 思量 算计 岁数 特务 跳蚤 \
    铁匠 头发 妥当 唾沫 挖苦 晚上 尾巴 委屈 位置 稳当 稀罕 媳妇 喜欢 下巴 吓唬 先生 乡下 相声 消息 \
    小气 笑话 心思 行李 兄弟 休息 秀才 秀气 学生 学问 丫头 衙门 哑巴 胭脂 烟筒 眼睛 秧歌 养活 吆喝 \
    妖精 钥匙 衣服 衣裳 意思 应酬 冤枉 月饼 月亮 云彩 运气 在乎 早上 怎么 扎实 眨巴 栅栏 张罗 丈夫 \
    丈人 帐篷 招呼 招牌 折腾 这个 那个 哪个 这么 枕头 芝麻 知识 知道 指甲 指头 主意 转悠 庄稼 壮实 \
    状元 字号 祖宗 嘴巴 作坊 琢磨 葡萄 玻璃 困难 聪明 痛快 热闹 新鲜 打扫 味道 太阳 夫人 夜里 家里 \
    心里 手里 屋里 城里 嘴里 眼里 怀里 梦里 哪里 这里 那里 里边 外边 上边 下边 这边 那边 旁边 前边 \
    后边 桌上 床上 路上 身上 头上 脸上 天上 地上 街上 世上 世界上 外头 苦头 甜头 舌头 底下 地方 \
    要是 还是 记得 觉得 值得 懂得 晓得 显得 舍得 免得 省得 由得 认得 对头 势头 滋味 吩咐 抽屉 喷嚏 \
    棉花 芍药 牡丹 琵琶 枇杷 鹦鹉 玫瑰 茉莉 佩服 勺子 活计 委实 支吾 嘀咕 叽咕 哆嗦 啰嗦 唠叨 磨蹭 \
    蹦跶 摆设 部分 水分 分寸 报酬 比试 扎挣 节气 考究 口气 牢骚 伶俐 玲珑 埋怨 毛病 蒙骗 模样 摸索 \
    盼头 朴实 俏皮 洒脱 神气 实惠 世道 手艺 熟识 通融 透亮 徒弟 外甥 虾米 香椿 心事 性子 絮叨 阎王 \
    洋气 义气 影壁 匀称 杂碎 糟蹋 照应 珍珠 侄女 志气 住处 嘱咐 晌午";

/// Whole words. Tones that speech has changed for good are written as spoken: 小姐 is `xiáo jie`.
const WORDS: &[(&str, &str)] = &[
    ("小姐", "xiáo jie"),
    ("哪里", "ná li"),
    ("可以", "kě yǐ"),
    ("想想", "xiáng xiang"),
    ("走走", "zóu zou"),
    ("等等", "déng deng"),
    ("老鼠", "láo shu"),
    ("大夫", "dài fu"),
    ("谁", "shéi"),
    ("谁的", "shéi de"),
    ("对不起", "duì bu qǐ"),
    ("看不起", "kàn bu qǐ"),
    ("了不起", "liǎo bu qǐ"),
    ("不得了", "bù dé liǎo"),
    ("了不得", "liǎo bu dé"),
    ("差不多", "chà bu duō"),
    ("来不及", "lái bu jí"),
    ("来得及", "lái de jí"),
    ("忍不住", "rěn bu zhù"),
    ("禁不住", "jīn bu zhù"),
    ("舍不得", "shě bu de"),
    ("怪不得", "guài bu de"),
    ("巴不得", "bā bu de"),
    ("恨不得", "hèn bu de"),
    ("由不得", "yóu bu de"),
    ("顾不得", "gù bu de"),
    ("见不得", "jiàn bu de"),
    ("不由得", "bù yóu de"),
    ("不见得", "bú jiàn de"),
    ("不在乎", "bú zài hu"),
    ("得了", "dé le"),
    ("怎么样", "zěn me yàng"),
    ("为什么", "wèi shén me"),
    ("好意思", "hǎo yì si"),
    ("老太太", "lǎo tài tai"),
    ("小伙子", "xiǎo huǒ zi"),
    ("胡萝卜", "hú luó bo"),
    ("地方政府", "dì fāng zhèng fǔ"),
    ("星期", "xīng qī"),
    ("亲戚", "qīn qi"),
    ("暖和", "nuǎn huo"),
    ("掺和", "chān huo"),
    ("似的", "shì de"),
    ("睡着", "shuì zháo"),
    ("睡不着", "shuì bu zháo"),
    ("睡着了", "shuì zháo le"),
    ("着凉", "zháo liáng"),
    ("着迷", "zháo mí"),
    ("着了迷", "zháo le mí"),
    ("一行", "yī háng"),
    ("一行人", "yī xíng rén"),
    ("言行", "yán xíng"),
    ("流血", "liú xuè"),
    ("薄荷", "bò he"),
    ("行不行", "xíng bu xíng"),
    ("长得", "zhǎng de"),
    ("长胖", "zhǎng pàng"),
    ("长高", "zhǎng gāo"),
    ("长个", "zhǎng gè"),
    ("还给", "huán gěi"),
    ("还债", "huán zhài"),
    ("还清", "huán qīng"),
    ("重来", "chóng lái"),
    ("重启", "chóng qǐ"),
    ("重写", "chóng xiě"),
    ("重逢", "chóng féng"),
    ("好奇", "hào qí"),
    ("好奇心", "hào qí xīn"),
    ("好客", "hào kè"),
    ("音乐会", "yīn yuè huì"),
    ("音乐家", "yīn yuè jiā"),
    ("乐队", "yuè duì"),
    ("乐团", "yuè tuán"),
    ("乐坛", "yuè tán"),
    ("没空", "méi kòng"),
    ("放空", "fàng kōng"),
    ("当真", "dàng zhēn"),
    ("当成", "dàng chéng"),
    ("当作", "dàng zuò"),
    ("切开", "qiē kāi"),
    ("一石二鸟", "yī shí èr niǎo"),
    ("音量", "yīn liàng"),
    ("量一量", "liáng yi liáng"),
    ("背包", "bēi bāo"),
    ("背着", "bēi zhe"),
    ("骨碌", "gū lu"),
    ("咕噜", "gū lu"),
    ("骨朵", "gū duo"),
    ("葡萄酒", "pú tao jiǔ"),
    ("炸鸡", "zhá jī"),
    ("炸酱面", "zhá jiàng miàn"),
    ("夹克", "jiá kè"),
    ("假装", "jiǎ zhuāng"),
    ("下载", "xià zài"),
    ("加载", "jiā zài"),
    ("蒙古", "měng gǔ"),
    ("内蒙古", "nèi měng gǔ"),
    ("蒙古包", "měng gǔ bāo"),
    ("攒钱", "zǎn qián"),
    ("肮脏", "āng zāng"),
    ("中意", "zhòng yì"),
    ("旋转", "xuán zhuǎn"),
    ("属于", "shǔ yú"),
    ("踏实", "tā shi"),
    ("出色", "chū sè"),
    ("掉色", "diào shǎi"),
    ("吐痰", "tǔ tán"),
    ("会计", "kuài jì"),
    ("相机", "xiàng jī"),
    ("照相机", "zhào xiàng jī"),
    ("手相", "shǒu xiàng"),
    ("参差不齐", "cēn cī bù qí"),
    ("咀嚼", "jǔ jué"),
    ("嚼", "jiáo"),
    ("哈哈", "hā hā"),
    ("哈哈哈", "hā hā hā"),
    ("嘻嘻", "xī xī"),
    ("呵呵", "hē hē"),
    ("嘿嘿", "hēi hēi"),
    ("呜呜", "wū wū"),
    ("嗯嗯", "ǹ ǹ"),
    ("哎呀", "āi yā"),
    ("哎哟", "āi yō"),
    ("哎呦", "āi yōu"),
    ("啊哈", "ā hā"),
    ("哇塞", "wā sài"),
    ("哇哦", "wā ò"),
    ("呜哇", "wū wā"),
    ("啊啊", "ā ā"),
    ("哼哼", "hēng hēng"),
    ("喂喂", "wéi wéi"),
    ("叮咚", "dīng dōng"),
    ("拜拜", "bái bái"),
    ("单于", "chán yú"),
    ("龟兹", "qiū cí"),
    ("可汗", "kè hán"),
    ("吐蕃", "tǔ bō"),
    ("尉迟", "yù chí"),
    ("万俟", "mò qí"),
    ("长孙", "zhǎng sūn"),
    ("令狐", "líng hú"),
    ("六安", "lù ān"),
    ("蚌埠", "bèng bù"),
    ("台州", "tāi zhōu"),
    ("丽水", "lí shuǐ"),
    ("番禺", "pān yú"),
    ("厦门", "xià mén"),
    ("大厦", "dà shà"),
    ("柏林", "bó lín"),
    ("都江堰", "dū jiāng yàn"),
    ("行道树", "xíng dào shù"),
    ("斜阳", "xié yáng"),
    ("一骑红尘", "yí jì hóng chén"),
];

/// Single characters.
const CHARACTERS: &[(char, &str)] = &[
    ('谁', "shéi"),
    ('长', "cháng"),
    ('似', "sì"),
    ('嗯', "ǹ"),
    ('哦', "ò"),
    ('噢', "ō"),
    ('喔', "ō"),
    ('诶', "éi"),
    ('欸', "éi"),
    ('咯', "lo"),
    ('喽', "lou"),
    ('呗', "bei"),
    ('嘞', "lei"),
    ('呦', "yōu"),
    ('哟', "yo"),
    ('唉', "āi"),
    ('咦', "yí"),
    ('嘛', "ma"),
    ('哒', "dā"),
    ('嗒', "dā"),
    ('耶', "yē"),
    ('呐', "na"),
    ('哩', "li"),
    ('咧', "lie"),
    ('剥', "bāo"),
    ('削', "xiāo"),
    ('挣', "zhèng"),
    ('教', "jiāo"),
    ('弹', "tán"),
    ('调', "tiáo"),
    ('铺', "pū"),
    ('缝', "féng"),
    ('瞧', "qiáo"),
    ('血', "xiě"),
    ('绿', "lǜ"),
    ('薄', "báo"),
    ('炸', "zhà"),
    ('切', "qiē"),
    ('露', "lù"),
    ('哄', "hǒng"),
    ('撒', "sǎ"),
    ('脏', "zāng"),
    ('粘', "zhān"),
    ('攒', "zǎn"),
    ('更', "gèng"),
    ('石', "shí"),
    ('率', "lǜ"),
    ('颤', "chàn"),
    ('那', "nà"),
    ('嘘', "xū"),
    ('〇', "líng"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_pinyin_of_the_right_length() {
        for (word, pinyin) in WORDS {
            let syllables = parse_all(pinyin);
            assert_eq!(syllables.map(|read| read.len()), Some(word.chars().count()), "{word} {pinyin}");
        }
        for (han, pinyin) in CHARACTERS {
            assert!(Syllable::parse(pinyin).is_some(), "{han} {pinyin}");
        }
    }

    #[test]
    fn longer_words_end_like_the_ones_they_end_in() {
        assert!(ends_lightly("朋友") && ends_lightly("老朋友"));
        assert!(!ends_lightly("友") && !ends_lightly("精神"));
        assert!(is_child("小女儿") && !is_child("花儿"));
    }
}
