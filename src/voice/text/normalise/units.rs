//! Units of measure and of money, as symbols and as words.

/// A unit: in Chinese, one in English, several in English.
pub struct Unit {
    pub zh: &'static str,
    pub one: &'static str,
    pub many: &'static str,
}

const fn unit(zh: &'static str, one: &'static str, many: &'static str) -> Unit {
    Unit { zh, one, many }
}

/// Units behind a number. Case counts (m and M, k and K); the longer stand before the shorter.
#[rustfmt::skip]
pub const UNITS: &[(&str, Unit)] = &[
    ("km/h", unit("公里每小时", "kilometer per hour", "kilometers per hour")),
    ("m/s²", unit("米每二次方秒", "meter per second squared", "meters per second squared")),
    ("m/s",  unit("米每秒", "meter per second", "meters per second")),
    ("km2",  unit("平方公里", "square kilometer", "square kilometers")),
    ("cm2",  unit("平方厘米", "square centimeter", "square centimeters")),
    ("m3",   unit("立方米", "cubic meter", "cubic meters")),
    ("km²",  unit("平方公里", "square kilometer", "square kilometers")),
    ("cm²",  unit("平方厘米", "square centimeter", "square centimeters")),
    ("m²",   unit("平方米", "square meter", "square meters")),
    ("m2",   unit("平方米", "square meter", "square meters")),
    ("㎡",   unit("平方米", "square meter", "square meters")),
    ("cm³",  unit("立方厘米", "cubic centimeter", "cubic centimeters")),
    ("m³",   unit("立方米", "cubic meter", "cubic meters")),
    ("km",   unit("公里", "kilometer", "kilometers")),
    ("dm",   unit("分米", "decimeter", "decimeters")),
    ("cm",   unit("厘米", "centimeter", "centimeters")),
    ("mm",   unit("毫米", "millimeter", "millimeters")),
    ("μm",   unit("微米", "micrometer", "micrometers")),
    ("µm",   unit("微米", "micrometer", "micrometers")),
    ("nm",   unit("纳米", "nanometer", "nanometers")),
    ("kg",   unit("公斤", "kilogram", "kilograms")),
    ("mg",   unit("毫克", "milligram", "milligrams")),
    ("lbs",  unit("磅", "pound", "pounds")),
    ("lb",   unit("磅", "pound", "pounds")),
    ("oz",   unit("盎司", "ounce", "ounces")),
    ("ft",   unit("英尺", "foot", "feet")),
    ("mph",  unit("英里每小时", "mile per hour", "miles per hour")),
    ("mAh",  unit("毫安时", "milliamp hour", "milliamp hours")),
    ("mA",   unit("毫安", "milliamp", "milliamps")),
    ("mL",   unit("毫升", "milliliter", "milliliters")),
    ("ml",   unit("毫升", "milliliter", "milliliters")),
    ("kWh",  unit("千瓦时", "kilowatt hour", "kilowatt hours")),
    ("kW",   unit("千瓦", "kilowatt", "kilowatts")),
    ("MW",   unit("兆瓦", "megawatt", "megawatts")),
    ("kV",   unit("千伏", "kilovolt", "kilovolts")),
    ("kHz",  unit("千赫兹", "kilohertz", "kilohertz")),
    ("MHz",  unit("兆赫兹", "megahertz", "megahertz")),
    ("GHz",  unit("吉赫兹", "gigahertz", "gigahertz")),
    ("Hz",   unit("赫兹", "hertz", "hertz")),
    ("dB",   unit("分贝", "decibel", "decibels")),
    ("kcal", unit("千卡", "kilocalorie", "kilocalories")),
    ("cal",  unit("卡", "calorie", "calories")),
    ("kJ",   unit("千焦", "kilojoule", "kilojoules")),
    ("kPa",  unit("千帕", "kilopascal", "kilopascals")),
    ("hPa",  unit("百帕", "hectopascal", "hectopascals")),
    ("Pa",   unit("帕", "pascal", "pascals")),
    ("TB",   unit("TB", "terabyte", "terabytes")),
    ("GB",   unit("GB", "gigabyte", "gigabytes")),
    ("MB",   unit("MB", "megabyte", "megabytes")),
    ("KB",   unit("KB", "kilobyte", "kilobytes")),
    ("kB",   unit("KB", "kilobyte", "kilobytes")),
    ("Gbps", unit("吉比特每秒", "gigabit per second", "gigabits per second")),
    ("Mbps", unit("兆比特每秒", "megabit per second", "megabits per second")),
    ("kbps", unit("千比特每秒", "kilobit per second", "kilobits per second")),
    ("px",   unit("像素", "pixel", "pixels")),
    ("fps",  unit("帧每秒", "frame per second", "frames per second")),
    ("rpm",  unit("转每分钟", "revolution per minute", "revolutions per minute")),
    ("ms",   unit("毫秒", "millisecond", "milliseconds")),
    ("min",  unit("分钟", "minute", "minutes")),
    ("hrs",  unit("小时", "hour", "hours")),
    ("hr",   unit("小时", "hour", "hours")),
    ("sec",  unit("秒", "second", "seconds")),
    ("h",    unit("小时", "hour", "hours")),
    ("s",    unit("秒", "second", "seconds")),
    ("t",    unit("吨", "ton", "tons")),
    ("m",    unit("米", "meter", "meters")),
    ("g",    unit("克", "gram", "grams")),
    ("l",    unit("升", "liter", "liters")),
    ("L",    unit("升", "liter", "liters")),
    ("W",    unit("瓦", "watt", "watts")),
    ("V",    unit("伏", "volt", "volts")),
    ("℃",    unit("摄氏度", "degree Celsius", "degrees Celsius")),
    ("°C",   unit("摄氏度", "degree Celsius", "degrees Celsius")),
    ("℉",    unit("华氏度", "degree Fahrenheit", "degrees Fahrenheit")),
    ("°F",   unit("华氏度", "degree Fahrenheit", "degrees Fahrenheit")),
    ("°",    unit("度", "degree", "degrees")),
    ("Ω",    unit("欧姆", "ohm", "ohms")),
];

/// A currency: its Chinese name, one and several in English, and its hundredth.
pub struct Currency {
    pub zh: &'static str,
    pub one: &'static str,
    pub many: &'static str,
    pub cents: Option<(&'static str, &'static str)>,
}

const fn currency(
    zh: &'static str,
    one: &'static str,
    many: &'static str,
    cents: Option<(&'static str, &'static str)>,
) -> Currency {
    Currency { zh, one, many, cents }
}

const DOLLAR_CENTS: Option<(&str, &str)> = Some(("cent", "cents"));

/// Signs and codes of money, before or behind an amount; the longer before the shorter.
#[rustfmt::skip]
pub const CURRENCIES: &[(&str, Currency)] = &[
    ("HK$", currency("港元", "Hong Kong dollar", "Hong Kong dollars", DOLLAR_CENTS)),
    ("NT$", currency("新台币", "Taiwan dollar", "Taiwan dollars", None)),
    ("US$", currency("美元", "US dollar", "US dollars", DOLLAR_CENTS)),
    ("A$",  currency("澳元", "Australian dollar", "Australian dollars", DOLLAR_CENTS)),
    ("RMB", currency("元", "yuan", "yuan", None)),
    ("CNY", currency("元", "yuan", "yuan", None)),
    ("USD", currency("美元", "US dollar", "US dollars", DOLLAR_CENTS)),
    ("EUR", currency("欧元", "euro", "euros", DOLLAR_CENTS)),
    ("GBP", currency("英镑", "pound", "pounds", Some(("penny", "pence")))),
    ("JPY", currency("日元", "yen", "yen", None)),
    ("$",   currency("美元", "dollar", "dollars", DOLLAR_CENTS)),
    ("€",   currency("欧元", "euro", "euros", DOLLAR_CENTS)),
    ("£",   currency("英镑", "pound", "pounds", Some(("penny", "pence")))),
    ("¥",   currency("元", "yuan", "yuan", None)),
    ("￥",  currency("元", "yuan", "yuan", None)),
    ("₩",   currency("韩元", "won", "won", None)),
    ("₹",   currency("卢比", "rupee", "rupees", None)),
    ("₽",   currency("卢布", "ruble", "rubles", None)),
    ("฿",   currency("泰铢", "baht", "baht", None)),
];

/// The unit whose symbol begins `text` as a whole, and the symbol's length in bytes.
pub fn unit_at(text: &str) -> Option<(&'static Unit, usize)> {
    find(UNITS, text, |next| next.is_ascii_alphabetic())
}

/// The currency whose sign or code begins `text`, and its length in bytes.
pub fn currency_at(text: &str) -> Option<(&'static Currency, usize)> {
    find(CURRENCIES, text, |next| next.is_ascii_alphabetic())
}

/// The first entry whose symbol begins `text`. A symbol that ends in a letter does not match where it `goes_on`.
fn find<T>(table: &'static [(&str, T)], text: &str, goes_on: impl Fn(char) -> bool) -> Option<(&'static T, usize)> {
    let (symbol, value) = table.iter().find(|(symbol, _)| {
        let is_word = symbol.ends_with(|last: char| last.is_ascii_alphanumeric());
        text.strip_prefix(symbol).is_some_and(|rest| !(is_word && rest.starts_with(&goes_on)))
    })?;
    Some((value, symbol.len()))
}
