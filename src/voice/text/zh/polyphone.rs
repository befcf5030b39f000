//! Which reading a character takes from its neighbours, where no dictionary word decides.

use super::pinyin::Syllable;

/// The reading that `han` takes between `before` and `after` in its clause; `None` leaves the usual one.
pub fn reading(han: char, before: &str, after: &str) -> Option<Syllable> {
    let (_, rules) = RULES.iter().find(|(ruled, _)| *ruled == han)?;
    let fits = rules.iter().find(|rule| {
        meets(rule.before, |neighbour| before.ends_with(neighbour), before.is_empty())
            && meets(rule.after, |neighbour| after.starts_with(neighbour), after.is_empty())
    })?;
    Syllable::parse(fits.pinyin)
}

/// How an interjection that opens a clause is said: asking, exclaiming, or by itself. `end` is the mark behind it when
/// it is the whole clause.
pub fn interjection(han: char, end: char) -> Option<Syllable> {
    let (_, asking, exclaiming, musing) = INTERJECTIONS.iter().find(|(said, ..)| *said == han)?;
    Syllable::parse(match end {
        '？' | '?' => asking,
        '！' | '!' => exclaiming,
        _ => musing,
    })
}

#[rustfmt::skip]
const INTERJECTIONS: &[(char, &str, &str, &str)] = &[
    ('嗯', "ń",   "ǹ",   "ǹ"),
    ('哦', "ó",   "ò",   "ò"),
    ('啊', "á",   "ā",   "à"),
    ('呀', "yā",  "yā",  "yā"),
    ('哇', "wā",  "wā",  "wā"),
    ('诶', "éi",  "ēi",  "éi"),
    ('欸', "éi",  "ēi",  "éi"),
    ('喂', "wéi", "wèi", "wéi"),
    ('唉', "āi",  "āi",  "ài"),
    ('哟', "yō",  "yō",  "yō"),
    ('咳', "hāi", "hāi", "hāi"),
];

/// Whether one of the neighbours in a list is there; `|` is the clause's edge and an empty list accepts any.
fn meets(list: &str, is_there: impl Fn(&str) -> bool, at_edge: bool) -> bool {
    list.is_empty() || list.split(' ').any(|neighbour| if neighbour == "|" { at_edge } else { is_there(neighbour) })
}

/// A condition on a character's neighbours, alternatives with spaces between, and the reading where both hold.
struct Rule {
    before: &'static str,
    after: &'static str,
    pinyin: &'static str,
}

const fn rule(before: &'static str, after: &'static str, pinyin: &'static str) -> Rule {
    Rule { before, after, pinyin }
}

const DETERMINERS: &str = "这 那 哪 每 各 某 一 二 两 三 四 五 六 七 八 九 十 百 千 万 几 多 第 同 整 数";

/// Which reading 得 takes as a word of its own, after a word tagged `previous` and before one tagged `next` (jieba's tags).
pub fn is_complement(previous: &str, next: &str) -> bool {
    previous.starts_with(['v', 'a', 'z', 'i', 'l']) || (previous.starts_with('n') && next.starts_with(['a', 'z']))
}

/// Whether 地 as a word of its own turns what stands before it into an adverb (慢慢地走), rather than naming the ground.
pub fn is_adverbial(previous: &str, next: &str) -> bool {
    let describes = previous.starts_with(['a', 'd', 'z', 'i', 'l', 'o', 'v', 'b']) || previous == "x";
    describes && next.starts_with(['v', 'd', 'a', 'p', 'z', 'i', 'l', 'r', 'c'])
}

/// Before these 子 is a thing or a person and not an ending: 电子, 女子.
const FULL_ZI: &str = "电 原 分 离 粒 质 中 量 光 男 女 孔 孟 老 庄 君 王 太 弟 学 才 父 母 浪 天 赤 莲 瓜 松 精 卵 孢 因 臣 公 妃 世 皇 养 长 独 孝 逆 夫 鱼 西 童 游 士 荀 墨 韩 诸 核 基 负";

/// The first rule that fits decides; a character without one keeps its usual reading.
#[rustfmt::skip]
const RULES: &[(char, &[Rule])] = &[
    ('还', &[
        rule("归 偿 退 奉 璧 交 送", "", "huán"),
        rule("", "给 钱 债 清 款 账 贷 书 你钱 我钱 他钱 她钱 我清白 你清白 我一个 你一个", "huán"),
        rule("要 来 去 没 不 得 能 该 已 快 一起 怎么 如数", "| 了 的 上 吗 呢 完 掉", "huán"),
    ]),
    ('了', &[
        rule("不 得", "断 结 解 却", "liǎo"),
        rule("受不 忘不 免不 少不 大不 死不 到不 吃不 走不 做不 离不 好不 用不 办不 动不 改不 干不 来不 去不 回不 管不 拿不 跑不 逃不 变不 停不 等不 睡不 说不 看不 帮不 赢不 输不 治不 长不 坏不 错不 差不 假不 过不 解决不 控制不 忍受不 完成不", "", "liǎo"),
        rule("受得 忘得 吃得 走得 做得 离得 好得 用得 办得 改得 干得 来得 去得 回得 管得 拿得 跑得 逃得 变得 停得 等得 帮得 赢得 治得 解决得", "", "liǎo"),
        rule("", "解 结 断 却 如指掌 无牵挂 然", "liǎo"),
    ]),
    ('着', &[
        rule("睡 睡不 睡得 找不 找得 够不 够得 用不 用得 摸不 摸得 见不 见得 犯不 犯得 猜不 猜得 打不 管不 管得 点不", "", "zháo"),
        rule("猜 点 抓 逮 碰", "了", "zháo"),
        rule("衣 执 沉 附 胶 黏 无 土", "", "zhuó"),
        rule("", "凉 急 火 慌 迷 了火 了凉 了迷 了魔", "zháo"),
        rule("", "陆 重 手 色 装 想 实 眼 落 力", "zhuó"),
    ]),
    ('都', &[rule("首 古 京 旧 帝 故 国", "| 的 在 是", "dū"), rule("", "市 城 督 会区", "dū")]),
    ('数', &[
        rule("", "一 到 不 过 完 着 了 数 星 羊 钱 清 得 出 数 三 二 下 几", "shǔ"),
        rule("数一 数了 数不 数得", "", "shǔ"),
        rule("我 你 他 她 来 再 从头 慢慢", "|", "shǔ"),
    ]),
    ('调', &[
        rule("曲 音 语 声 腔 高 低 老 升 降 平 这 那 个 的 跑 走", "| 的 是 很 了 子", "diào"),
        rule("", "走 动 离 兵 来 派 查 入 任 换 令 研 头 包", "diào"),
    ]),
    ('觉', &[
        rule("睡 午 懒 一 个 好 了 这 睡一 睡个", "| 了 的 就 再 吧 醒 起 睡 都 也 吗 呢 后 得", "jiào"),
        rule("睡了一 睡一 睡个 睡个好 睡懒 睡不着 睡个午", "", "jiào"),
    ]),
    ('差', &[
        rule("出 公 交 听 钦", "", "chāi"),
        rule("之 误 时 温 落 偏 色 反 逆 顺 视 级 价 分", "", "chā"),
        rule("", "别 异 距 额 价 错", "chā"),
    ]),
    ('长', &[
        rule("校 院 部 局 市 县 省 州 村 乡 镇 区 处 科 班 组 队 团 营 连 排 军 师 会 社 店 厂 行 站 馆 所 船 舰 机 家 首 酋 族 秘书 董事 议 学 师 兄 年", "| 的 说 是 在 和 来 也 都 很 要 把 去 好 您 大人", "zhǎng"),
        rule("", "得 大 高 出 成 满 胖 到 在 个 进 相 势 着 歪 肉 痘 草 毛 牙 虫 霉 辈 老 官 子 女 孙 脸 知识 记性 眼 身体 不大 不高", "zhǎng"),
        rule("在 会 刚 生 猛 疯 助 增 消 滋 成 正 还 再 又 没 头发 个子 自己", "| 了 大 的 呢 起 胡子 白", "zhǎng"),
    ]),
    ('行', &[
        rule("一 二 两 三 四 五 六 七 八 九 十 百 千 几 每 各 这 那 哪 同 整 换 首 末 数 本 入 转 改 多 上 下 这一 那一", "| 字 诗 代码 文字 里 的 中 和 数据 业 距 树 眼泪 泪 白鹭 吗 呢 了 小字", "háng"),
        rule("第一 第二 第三 第四 第五 第几 最后一 每一", "", "háng"),
        rule("银 商 总 分 央 投 支 车 拍卖 内 外 各 同 本", "长 业 里 情 家 规 话 员 庄 贩", "háng"),
    ]),
    ('重', &[
        rule("", "来 做 写 说 新 复 启 建 返 逢 申 现 叠 算 学 读 走 置 播 试 拍 发 讲 组 构 修 装 归 回 见 合 围 演 温 阳 庆 蹈 影 生 名 拾 聚 设 审 翻 铺 选 登 印 抄 唱 过 录 试", "chóng"),
        rule("一 两 二 三 四 五 九 千 万 几 双 多 层", "| 的 山 门 天 唱 奏 楼 境 要求 考验 身份", "chóng"),
    ]),
    ('乐', &[rule("音 器 奏 民 声 配 弦 国 礼 爵士 摇滚 交响 管弦", "", "yuè"), rule("", "器 曲 谱 章 队 团 坛 手 理 师 府 句 毅", "yuè")]),
    ('种', &[
        rule(DETERMINERS, "", "zhǒng"),
        rule("", "地 树 花 菜 下 植 瓜 豆 着 上 在 了 田 草 粮 水稻 棉 痘 满 果 得 点 什么 葡萄 苹果 玉米 一 两 几", "zhòng"),
        rule("播 耕 栽 点 抢 爱 会 去 在 我 你 他 自己 亲手", "", "zhòng"),
    ]),
    ('只', &[rule(DETERMINERS, "", "zhī"), rule("", "身 言片语 字", "zhī")]),
    ('为', &[
        rule("成 作 认 称 视 变 化 译 分 改 沦 设 定 命名 合 转 升 降 尊 誉 列 选 当 评 奉 合而 一分 以 简称 缩短 更名 定义 理解 看 转变 分解 翻译", "", "wéi"),
        rule("", "人师 所欲 首 期 止 主 难 伍 生 数 时 例 证 限 零 一 二 两 三 四 五 六 七 八 九 十 百 何物 准 先 荣 乐 伴 邻 害 重 王", "wéi"),
        rule("", "了 什 何 此 着 我 你 您 他 她 它 咱 谁 祖国 人民", "wèi"),
    ]),
    ('空', &[
        rule("有 没 得 抽 趁 没有 有没有", "| 吗 的 呢 就 来 了 再 可 吧 时 过 去 跟 陪 一起 见 聊", "kòng"),
        rule("", "闲 隙 白 地 格 位 缺 当 子 儿 出来", "kòng"),
    ]),
    ('干', &[
        rule("晒 晾 擦 吹 烘 风 喝 口 太 很 没 未 饼 果 肉 笋 榨 流 不 变 嘴 发 好 烤 吸 拧 抹 哭 泪 喉咙 嗓子 衣服 头发 皮肤 眼泪 墨 杏 葡萄", "| 了 的 净 透 吗 就 再 一 后 啊", "gān"),
        rule("", "净 燥 脆 杯 旱 枯 粮 果 洗 涩 瘪 瞪 咳 扰 涉 预 草 柴 笑 货 冰 了这 了杯 了一杯 爽 巴巴 等 着急 妈 爹", "gān"),
    ]),
    ('当', &[rule("", "回事 真 成 作 做 铺 天 晚 年就", "dàng"), rule("上 恰 适 妥 典 正 勾 不 了", "| 了 的", "dàng")]),
    ('中', &[
        rule("猜 说 打 射 击 抽 考 看 选 押 瞄 命 相 切", "| 了 的 你 我 他 她 一 过 要害 红心 目标 头奖", "zhòng"),
        rule("", "了 彩 奖 毒 计 招 弹 箭 枪 风 暑 邪 标 状元 意 肯 听 用 签", "zhòng"),
    ]),
    ('应', &[rule("", "了 声 答 对 邀 聘 付 战 酬 变 用 和 验 景 急 诊 试 考 征 运", "yìng"), rule("答 反 响 适 回 呼 感 照 接 供 效 对 报 策", "", "yìng")]),
    ('倒', &[
        rule("摔 跌 滑 晕 病 推 打 累 撞 绊 难 吓 卧 跪 压 昏 拉 栽 吹 刮 放 击 驳 问 笑 颠 扑 醉 饿 不", "", "dǎo"),
        rule("", "下 塌 闭 霉 台 地 在 了霉 了下 胃 手 班 戈 卖 腾 车票 把", "dǎo"),
    ]),
    ('转', &[rule("", "圈 了一圈 了圈 了三圈 了两圈 几圈 一圈 两圈 三圈 一转 转 悠 盘 椅 速 来转 了转 晕", "zhuàn"), rule("团团 转来 打 转一 转了 地球 太阳 月亮 绕着我 绕着你 绕着他 绕着她", "", "zhuàn")]),
    ('教', &[rule("佛 请 信 此 某 天主 基督 伊斯兰 道 儒 宗 传 邪 主 助 任 执 管 说 求 赐 家 调", "", "jiào"), rule("", "育 室 授 师 练 材 堂 程 训 养 导 学 会 官 科 条 皇 徒 诲 义 案 务 主", "jiào")]),
    ('背', &[rule("", "着 上 起 包 书包 负 带 了个 篓 不动 得动 在身 我 你", "bēi")]),
    ('假', &[
        rule("放 请 休 度 病 产 婚 寒 暑 年 长 节 公 销 个 天 了 周 月 的 事 补 批 准 续", "| 期 日 条 了 的 吗 去 回 在 我 你 他 就 吧 呢 里", "jià"),
    ]),
    ('量', &[rule("测 丈 打 估 衡 较", "", "liáng"), rule("", "一 体 血 了 尺 身 出 得 三 两 下 体温", "liáng")]),
    ('盛', &[rule("", "饭 汤 满 了 一 着 碗 粥 菜 上 水 不下", "chéng")]),
    ('散', &[rule("", "文 漫 装 架 乱 落 光 户 兵 打 件 记 沙 碎", "sǎn"), rule("松 懒 零 闲", "", "sǎn")]),
    ('朝', &[rule("今 一 明 有", "| 夕 一日 有酒", "zhāo"), rule("", "阳 气 夕 霞 露 辞 三暮", "zhāo")]),
    ('冲', &[rule("", "着 我 你 他 她 谁 这边 那边 劲", "chòng"), rule("很 太 真 有点 味儿 味道 说话", "|", "chòng")]),
    ('系', &[rule("", "鞋 领带 上 好 着 紧 安全带 围裙 扣 个 了个 住 红绳 绳", "jì")]),
    ('吐', &[rule("想 要 呕 恶心 又 狂", "| 了 出来 吗 血 得", "tù"), rule("上", "下泻", "tù"), rule("", "了 血 奶", "tù")]),
    ('撒', &[rule("", "谎 娇 手 野 泼 腿 网 尿 欢 气 了谎 个谎 个娇 旦 什么 泡 酒疯", "sā")]),
    ('扇', &[rule("", "风 动 了 耳光 他 你 我 火 扇", "shān")]),
    ('缝', &[rule("裂 门 墙 窗 石 牙 夹 指 无 天衣无 一条 这条 道", "", "fèng"), rule("", "隙 里", "fèng")]),
    ('尽', &[rule("", "量 快 管 早 可能 先", "jǐn")]),
    ('结', &[rule("", "实 巴 果实 了果 出果 满", "jiē")]),
    ('闷', &[rule("", "热 声 气 头", "mēn")]),
    ('涨', &[rule("", "红", "zhàng")]),
    ('好', &[rule("爱 喜 癖 嗜 生性", "", "hào"), rule("", "奇 学 客 胜 斗 强 色 吃懒 逸 战 为", "hào")]),
    ('难', &[rule("灾 苦 遇 落 避 受 患 大 劫 逃 国 空 海 殉 遭 这场 磨 危 急", "| 民 者 时 了 的 记", "nàn")]),
    ('分', &[rule("水 成 养 过 缘 充 安 天 身 本 名 情 盐 糖 部 应 福 辈", "", "fèn"), rule("", "内 外之 量 子们 外", "fèn")]),
    ('没', &[rule("淹 沉 埋 吞 湮 出 覆 隐 神出鬼", "", "mò"), rule("", "收 落 入 过头顶 齿 药", "mò")]),
    ('处', &[rule("相 共 独 身 自 惩 判 论", "", "chǔ"), rule("", "理 于 在 境 分 罚 方 世 决 女 死 变 对象 得 了 不来", "chǔ")]),
    ('相', &[rule("照 长 真 面 首 丞 宰 手 属 福 外 皮 亮 洋 色 可怜 吃 睡 坐 站 变", "", "xiàng"), rule("", "机 片 册 貌 声 面 术 亲时 公 位 国", "xiàng")]),
    ('间', &[rule("", "隔 断 接 谍 歇 距 隙 或", "jiàn"), rule("离 反", "", "jiàn")]),
    ('场', &[
        rule("一 这 那 两 三 几 每 大 下 下了一 了一", "雨 雪 病 梦 空 大雨 大雪 暴雨 大病 噩梦 恶梦 美梦 春梦 虚惊 战争 灾难 误会 风波 浩劫 大火 仗 官司 秋雨 春雨 瘟疫 大战", "cháng"),
    ]),
    ('答', &[rule("", "应 理 腔 谢", "dā")]),
    ('过', &[rule("去 来 吃 看 听 说 做 见 玩 学 试 用 爱 恨 哭 问 买 当", "| 了 的 吗 你 我 他 她 这 那 没 很 吧 呢 一 几 好", "guo")]),
    ('子', &[rule("|", "", "zǐ"), rule(FULL_ZI, "", "zǐ")]),
    ('露', &[rule("", "馅 面 脸 一手 怯 头 出马脚 马脚 富 底 了馅 了一手", "lòu")]),
    ('落', &[rule("丢三", "", "là"), rule("", "枕 色 炕", "lào"), rule("", "在家里 在车上 在家 了一 了东西 了什么 下了东西", "là")]),
    ('卷', &[rule("试 考 问 画 书 交 上 下 第一 阅 答 案 读书破万", "", "juàn")]),
    ('奇', &[rule("", "数 偶", "jī")]),
    ('几', &[rule("茶 窗 窗明", "", "jī"), rule("", "乎 近 率 欲", "jī")]),
    ('曾', &[rule("姓", "", "zēng"), rule("", "国藩 祖 孙 老师 先生 小姐 女士 医生 经理", "zēng")]),
    ('单', &[rule("姓", "", "shàn"), rule("", "老师 先生 小姐 女士 田芳 雄信", "shàn")]),
    ('仇', &[rule("姓", "", "qiú"), rule("", "老师 先生 小姐 女士 英 和", "qiú")]),
    ('任', &[rule("姓", "", "rén"), rule("", "老师 先生 小姐 女士 医生 我行 盈盈 正非 嘉伦", "rén")]),
    ('解', &[rule("姓", "", "xiè"), rule("", "老师 先生 小姐 女士 缙 晓东", "xiè"), rule("押", "", "jiè")]),
    ('查', &[rule("姓", "", "zhā"), rule("", "老师 先生 小姐 女士 良镛", "zhā")]),
    ('区', &[rule("姓", "", "ōu"), rule("", "老师 先生 小姐 女士", "ōu")]),
    ('朴', &[rule("姓", "", "piáo"), rule("", "老师 先生 小姐 女士 槿惠 志训", "piáo")]),
    ('华', &[rule("姓", "", "huà"), rule("", "山 佗 罗庚", "huà")]),
    ('盖', &[rule("姓", "", "gě")]),
    ('宁', &[rule("", "愿 可 肯 死 缺", "nìng")]),
    ('强', &[rule("", "迫 求 人所难 词夺理 颜", "qiǎng"), rule("勉 牵", "", "qiǎng"), rule("倔", "", "jiàng")]),
    ('载', &[rule("记 刊 登 连 转 千 百 三年五 一年半 几", "", "zǎi")]),
    ('得', &[
        rule("觉 记 懂 晓 显 舍 免 省 懒 值 认 使 由不 舍不 怪不 巴不 恨不 见不", "", "de"),
        rule("不 求 获 取 赢 夺 难 心 所 应 理 两 自 博 初 贪 患", "", "dé"),
        rule("", "一分 一百 第 奖 到 了 病 出 知 手 分 罪 意 逞 失 体 当 胜 以 不偿失 冠军 满分 高分 票 过 名 益 数 癌 感冒 空", "dé"),
        rule("就 都 也 还 可 总 非 必 又 那 才 先 这 您 我 你 他 她 它 咱 们 只 是 家 人 准 恐怕 早晚 至少 今天 明天 |", "", "děi"),
    ]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_gives_a_syllable() {
        for (han, rules) in RULES {
            for rule in *rules {
                assert!(Syllable::parse(rule.pinyin).is_some(), "{han} {}", rule.pinyin);
                assert!(
                    !rule.before.starts_with(' ') && !rule.after.contains("  "),
                    "{han}: an empty neighbour fits all"
                );
            }
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let cases = [
            ('还', "你什么时候", "钱", Some("huán")),
            ('还', "他", "没来", None),
            ('只', "两", "猫", Some("zhī")),
            ('只', "我", "想", None),
            ('得', "我", "走了", Some("děi")),
            ('得', "跑", "快", None),
        ];
        for (han, before, after, expected) in cases {
            assert_eq!(reading(han, before, after), expected.and_then(Syllable::parse), "{before}{han}{after}");
        }
    }
}
