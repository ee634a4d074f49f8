//! How values are said: as a row of fragments, each with the word it stands for.
//!
//! Fragments are catalogue names, to be recorded by whoever wants a voice of its own; a word whose
//! fragment is not there is synthesised:
//!
//! | Fragments | Words |
//! |---|---|
//! | `digits/0` to `digits/9`, `digits/star`, `digits/pound` | digits; `digits/yao` (幺) for 1 in telephone numbers |
//! | `number/N` | words of a number system by their value (`number/20`, `number/100`), `number/two` (两), `number/minus`, `number/point`, `number/and` |
//! | `ordinal/N`, `ordinal/prefix` (第) | first to nineteenth, twentieth and so on |
//! | `month/1` to `month/12` | months, where they have names |
//! | `unit/…` | of time, of dates, and of money by its ISO 4217 code: `unit/usd`, `unit/usd_minor`, with `_one` for one of them |

/// One fragment of a spoken value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    /// Its name in the catalogue.
    pub(crate) clip: String,
    /// The word, for synthesis.
    pub(crate) word: String,
}

/// The fragments of a value of this kind: `digits`, `telephone`, `number`, `ordinal`, `date`, `year`,
/// `time`, `duration` (in seconds), or `amount:` with a currency by its ISO 4217 code, as `amount:CNY`.
///
/// # Errors
/// What is wrong with the kind or the value, without repeating the value.
pub(crate) fn value(language: &str, kind: &str, value: &str) -> Result<Vec<Piece>, &'static str> {
    let chinese = language.starts_with("zh");
    match kind {
        "digits" => digits(chinese, value),
        "telephone" => telephone(chinese, value),
        "number" => number(chinese, value),
        "ordinal" => ordinal(chinese, value),
        "date" => date(chinese, value),
        "year" => year(chinese, value),
        "time" => time(chinese, value),
        "duration" => duration(chinese, value),
        _ => match kind.strip_prefix("amount:") {
            Some(code) => amount(chinese, code, value),
            None => Err(
                "unknown kind of value: digits, telephone, number, ordinal, date, year, time, \
                 duration or amount: with a currency, as amount:CNY",
            ),
        },
    }
}

const ZH_DIGITS: [&str; 10] = ["零", "一", "二", "三", "四", "五", "六", "七", "八", "九"];
const EN_DIGITS: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];
const EN_TEENS: [&str; 10] = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const EN_TENS: [&str; 10] = [
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const EN_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const EN_ORDINALS: [&str; 20] = [
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
];

/// A currency and how it is said.
struct Currency {
    code: &'static str,
    /// In Chinese.
    zh: &'static str,
    /// In English: one and several of it, and of its hundredths if it has any.
    en: [&'static str; 2],
    minor: Option<[&'static str; 2]>,
}

const fn currency(
    code: &'static str,
    zh: &'static str,
    en: [&'static str; 2],
    minor: Option<[&'static str; 2]>,
) -> Currency {
    Currency {
        code,
        zh,
        en,
        minor,
    }
}

/// Those that are said by name; of others the code is said.
const CURRENCIES: [Currency; 12] = [
    currency("CNY", "元", ["yuan", "yuan"], Some(["fen", "fen"])),
    currency(
        "USD",
        "美元",
        ["dollar", "dollars"],
        Some(["cent", "cents"]),
    ),
    currency("EUR", "欧元", ["euro", "euros"], Some(["cent", "cents"])),
    currency("GBP", "英镑", ["pound", "pounds"], Some(["penny", "pence"])),
    currency(
        "HKD",
        "港元",
        ["Hong Kong dollar", "Hong Kong dollars"],
        Some(["cent", "cents"]),
    ),
    currency(
        "TWD",
        "新台币",
        ["Taiwan dollar", "Taiwan dollars"],
        Some(["cent", "cents"]),
    ),
    currency(
        "SGD",
        "新加坡元",
        ["Singapore dollar", "Singapore dollars"],
        Some(["cent", "cents"]),
    ),
    currency(
        "AUD",
        "澳元",
        ["Australian dollar", "Australian dollars"],
        Some(["cent", "cents"]),
    ),
    currency(
        "CAD",
        "加元",
        ["Canadian dollar", "Canadian dollars"],
        Some(["cent", "cents"]),
    ),
    currency(
        "CHF",
        "瑞士法郎",
        ["franc", "francs"],
        Some(["centime", "centimes"]),
    ),
    currency("JPY", "日元", ["yen", "yen"], None),
    currency("KRW", "韩元", ["won", "won"], None),
];

fn piece(clip: impl Into<String>, word: &str) -> Piece {
    Piece {
        clip: clip.into(),
        word: word.to_owned(),
    }
}

fn digit(chinese: bool, digit: u64) -> Piece {
    let word = if chinese {
        ZH_DIGITS[digit as usize]
    } else {
        EN_DIGITS[digit as usize]
    };
    piece(format!("digits/{digit}"), word)
}

fn digits(chinese: bool, value: &str) -> Result<Vec<Piece>, &'static str> {
    if value.is_empty() || value.len() > 64 {
        return Err("digits: 1 to 64 of them");
    }
    value
        .chars()
        .map(|c| match c {
            '0'..='9' => Ok(digit(chinese, u64::from(c as u8 - b'0'))),
            '*' => Ok(piece("digits/star", if chinese { "星" } else { "star" })),
            '#' => Ok(piece("digits/pound", if chinese { "井" } else { "pound" })),
            _ => Err("digits: only 0-9, * and #"),
        })
        .collect()
}

/// Digits as telephone numbers are read: in Chinese 1 is 幺, which is not mistaken for 7 (一, 七).
fn telephone(chinese: bool, value: &str) -> Result<Vec<Piece>, &'static str> {
    let dialled: String = value.chars().filter(|c| !" -()".contains(*c)).collect();
    let (plus, rest) = match dialled.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, dialled.as_str()),
    };
    let mut pieces = digits(chinese, rest)
        .map_err(|_| "telephone: up to 64 digits, * and #, with an optional + before them")?;
    if chinese {
        for it in pieces.iter_mut().filter(|it| it.clip == "digits/1") {
            *it = piece("digits/yao", "幺");
        }
    }
    if plus {
        pieces.insert(0, piece("digits/plus", if chinese { "加" } else { "plus" }));
    }
    Ok(pieces)
}

fn number(chinese: bool, value: &str) -> Result<Vec<Piece>, &'static str> {
    let wrong = "number: up to 15 digits, with an optional minus and decimals";
    let (minus, rest) = match value.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let plain = |text: &str| text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || rest.ends_with('.') {
        return Err(wrong);
    }
    let mut pieces = Vec::new();
    if minus {
        pieces.push(piece("number/minus", if chinese { "负" } else { "minus" }));
    }
    let whole: u64 = whole.parse().map_err(|_| wrong)?;
    pieces.extend(cardinal(chinese, whole));
    if !fraction.is_empty() {
        pieces.push(piece("number/point", if chinese { "点" } else { "point" }));
        pieces.extend(
            fraction
                .bytes()
                .map(|b| digit(chinese, u64::from(b - b'0'))),
        );
    }
    Ok(pieces)
}

fn cardinal(chinese: bool, value: u64) -> Vec<Piece> {
    if value < 10 {
        return vec![digit(chinese, value)];
    }
    let mut pieces = Vec::new();
    if chinese {
        chinese_number(value, &mut pieces);
        // 十五, not 一十五, at the beginning.
        if pieces.len() > 1 && pieces[0].word == "一" && pieces[1].word == "十" {
            pieces.remove(0);
        }
    } else {
        english_number(value, &mut pieces);
    }
    pieces
}

/// 2 where things are counted: 两元, 两点, 两千.
fn two() -> Piece {
    piece("number/two", "两")
}

/// How many there are of something that is named behind it.
fn counted(chinese: bool, value: u64) -> Vec<Piece> {
    if chinese && value == 2 {
        return vec![two()];
    }
    cardinal(chinese, value)
}

/// A place in an order, from 0.
fn ordinal(chinese: bool, value: &str) -> Result<Vec<Piece>, &'static str> {
    let wrong = "ordinal: a whole number of up to 15 digits";
    if value.is_empty() || value.len() > 15 || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong);
    }
    Ok(place(chinese, value.parse().map_err(|_| wrong)?))
}

fn place(chinese: bool, value: u64) -> Vec<Piece> {
    if chinese {
        let mut pieces = vec![piece("ordinal/prefix", "第")];
        pieces.extend(cardinal(true, value));
        return pieces;
    }
    // Only the last word changes: twenty first, one hundredth.
    let mut pieces = cardinal(false, value);
    let last = pieces.pop().expect("a number has a word");
    let small = value % 100;
    let end = match small {
        0 if value > 0 => piece(
            last.clip.replace("number/", "ordinal/"),
            &format!("{}th", last.word),
        ),
        0..=19 => piece(format!("ordinal/{small}"), EN_ORDINALS[small as usize]),
        _ if small.is_multiple_of(10) => {
            let word = format!("{}ieth", last.word.trim_end_matches('y'));
            piece(format!("ordinal/{small}"), &word)
        }
        _ => {
            let unit = small % 10;
            piece(format!("ordinal/{unit}"), EN_ORDINALS[unit as usize])
        }
    };
    pieces.push(end);
    pieces
}

/// Groups of four digits (万, 亿); a run of zeros inside is said once as 零.
fn chinese_number(value: u64, pieces: &mut Vec<Piece>) {
    const UNITS: [(u64, &str); 6] = [
        (1_000_000_000_000, "万亿"),
        (100_000_000, "亿"),
        (10_000, "万"),
        (1_000, "千"),
        (100, "百"),
        (10, "十"),
    ];
    let mut rest = value;
    let mut gap = false;
    for (unit, word) in UNITS {
        let count = rest / unit;
        rest %= unit;
        if count == 0 {
            gap = gap || !pieces.is_empty();
            continue;
        }
        // 零 stands for skipped places, and for a group that does not fill its thousands.
        if gap || (unit >= 10_000 && !pieces.is_empty() && count < 1_000) {
            pieces.push(digit(true, 0));
        }
        gap = false;
        if count >= 10 {
            chinese_number(count, pieces);
        } else if count == 2 && unit >= 1_000 {
            // 两千, 两万, 两亿; but 二十 and 二百.
            pieces.push(two());
        } else {
            pieces.push(digit(true, count));
        }
        pieces.push(piece(format!("number/{unit}"), word));
        if unit >= 10_000 && rest > 0 && rest < unit / 10 {
            gap = true;
        }
    }
    if rest > 0 {
        if gap {
            pieces.push(digit(true, 0));
        }
        pieces.push(digit(true, rest));
    }
}

fn english_number(value: u64, pieces: &mut Vec<Piece>) {
    const UNITS: [(u64, &str); 4] = [
        (1_000_000_000_000, "trillion"),
        (1_000_000_000, "billion"),
        (1_000_000, "million"),
        (1_000, "thousand"),
    ];
    let mut rest = value;
    for (unit, word) in UNITS {
        if rest >= unit {
            english_number(rest / unit, pieces);
            pieces.push(piece(format!("number/{unit}"), word));
            rest %= unit;
        }
    }
    if rest >= 100 {
        pieces.push(digit(false, rest / 100));
        pieces.push(piece("number/100", "hundred"));
        rest %= 100;
    }
    match rest {
        0 => {}
        1..=9 => pieces.push(digit(false, rest)),
        10..=19 => {
            pieces.push(piece(
                format!("number/{rest}"),
                EN_TEENS[(rest - 10) as usize],
            ));
        }
        _ => {
            pieces.push(piece(
                format!("number/{}", rest / 10 * 10),
                EN_TENS[(rest / 10) as usize],
            ));
            if !rest.is_multiple_of(10) {
                pieces.push(digit(false, rest % 10));
            }
        }
    }
}

fn parts<const N: usize>(value: &str, separator: char) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    let mut texts = value.split(separator);
    for number in &mut numbers {
        let text = texts.next()?;
        if text.is_empty() || text.len() > 4 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = text.parse().ok()?;
    }
    texts.next().is_none().then_some(numbers)
}

fn date(chinese: bool, value: &str) -> Result<Vec<Piece>, &'static str> {
    let wrong = "date: as in 2026-11-21";
    let [year, month, day] = parts::<3>(value, '-').ok_or(wrong)?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=days).contains(&day) {
        return Err(wrong);
    }
    let mut pieces = Vec::new();
    if chinese {
        pieces.extend(the_year(true, year));
        pieces.extend(cardinal(true, month));
        pieces.push(piece("unit/month", "月"));
        pieces.extend(cardinal(true, day));
        pieces.push(piece("unit/day", "日"));
    } else {
        pieces.push(piece(
            format!("month/{month}"),
            EN_MONTHS[(month - 1) as usize],
        ));
        pieces.extend(place(false, day));
        pieces.extend(the_year(false, year));
    }
    Ok(pieces)
}

fn year(chinese: bool, value: &str) -> Result<Vec<Piece>, &'static str> {
    let [year] = parts::<1>(value, '-').ok_or("year: as in 2026")?;
    Ok(the_year(chinese, year))
}

/// In Chinese digit by digit, in English by hundreds: nineteen eighty four, two thousand five.
fn the_year(chinese: bool, year: u64) -> Vec<Piece> {
    if chinese {
        let digits = year.to_string();
        let digits = digits.bytes().map(|b| digit(true, u64::from(b - b'0')));
        return digits.chain([piece("unit/year", "年")]).collect();
    }
    let (century, rest) = (year / 100, year % 100);
    if !(10..=99).contains(&century) || (century.is_multiple_of(10) && rest < 10) {
        return cardinal(false, year);
    }
    let mut pieces = cardinal(false, century);
    match rest {
        0 => pieces.push(piece("number/100", "hundred")),
        1..=9 => {
            pieces.push(piece("unit/oh", "oh"));
            pieces.push(digit(false, rest));
        }
        _ => pieces.extend(cardinal(false, rest)),
    }
    pieces
}

fn time(chinese: bool, value: &str) -> Result<Vec<Piece>, &'static str> {
    let wrong = "time: as in 14:05";
    let [hour, minute] = parts::<2>(value, ':').ok_or(wrong)?;
    if hour > 23 || minute > 59 {
        return Err(wrong);
    }
    if chinese {
        let mut pieces = counted(true, hour);
        pieces.push(piece("unit/hour", "点"));
        if minute == 0 {
            pieces.push(piece("unit/sharp", "整"));
            return Ok(pieces);
        }
        if minute < 10 {
            pieces.push(digit(true, 0));
        }
        pieces.extend(cardinal(true, minute));
        pieces.push(piece("unit/minute", "分"));
        return Ok(pieces);
    }
    match (hour, minute) {
        (0, 0) => return Ok(vec![piece("unit/midnight", "midnight")]),
        (12, 0) => return Ok(vec![piece("unit/noon", "noon")]),
        _ => {}
    }
    let mut pieces = cardinal(false, if hour % 12 == 0 { 12 } else { hour % 12 });
    match minute {
        0 => {}
        1..=9 => {
            pieces.push(piece("unit/oh", "oh"));
            pieces.push(digit(false, minute));
        }
        _ => pieces.extend(cardinal(false, minute)),
    }
    pieces.push(if hour < 12 {
        piece("unit/am", "a.m.")
    } else {
        piece("unit/pm", "p.m.")
    });
    Ok(pieces)
}

/// Seconds as hours, minutes and seconds, without those of which there are none.
fn duration(chinese: bool, value: &str) -> Result<Vec<Piece>, &'static str> {
    let wrong = "duration: whole seconds, of up to 9 digits";
    if value.is_empty() || value.len() > 9 || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong);
    }
    let seconds: u64 = value.parse().map_err(|_| wrong)?;
    let parts = [
        (seconds / 3_600, "hours", "小时", ["hour", "hours"]),
        (seconds / 60 % 60, "minutes", "分钟", ["minute", "minutes"]),
        (seconds % 60, "seconds", "秒", ["second", "seconds"]),
    ];
    let mut pieces = Vec::new();
    let said: Vec<_> = parts.iter().filter(|(count, ..)| *count > 0).collect();
    for (n, (count, clip, zh, [one, several])) in said.iter().enumerate() {
        let last = n > 0 && n + 1 == said.len();
        if last && !chinese {
            pieces.push(piece("number/and", "and"));
        }
        pieces.extend(counted(chinese, *count));
        pieces.push(if chinese {
            piece(format!("unit/{clip}"), zh)
        } else if *count == 1 {
            piece(format!("unit/{clip}_one"), one)
        } else {
            piece(format!("unit/{clip}"), several)
        });
    }
    if pieces.is_empty() {
        pieces.push(digit(chinese, 0));
        pieces.push(piece(
            "unit/seconds",
            if chinese { "秒" } else { "seconds" },
        ));
    }
    Ok(pieces)
}

/// Money, with at most two decimals.
fn amount(chinese: bool, code: &str, value: &str) -> Result<Vec<Piece>, &'static str> {
    let wrong = "amount: with at most two decimals, as in 12.50";
    if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err("amount: a currency has three capital letters, as in amount:CNY");
    }
    let (minus, value) = match value.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let (whole, cents) = value.split_once('.').unwrap_or((value, ""));
    let cents = match cents.len() {
        0 if !value.ends_with('.') => 0,
        1 | 2 if cents.bytes().all(|b| b.is_ascii_digit()) => {
            let tens = if cents.len() == 1 { 10 } else { 1 };
            cents.parse::<u64>().map_err(|_| wrong)? * tens
        }
        _ => return Err(wrong),
    };
    if whole.is_empty() || whole.len() > 12 || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong);
    }
    let whole: u64 = whole.parse().map_err(|_| wrong)?;
    let mut pieces = Vec::new();
    if minus && (whole, cents) != (0, 0) {
        pieces.push(piece("number/minus", if chinese { "负" } else { "minus" }));
    }
    let known = CURRENCIES.iter().find(|known| known.code == code);
    pieces.extend(match (known, chinese) {
        (Some(known), true) if known.code == "CNY" => renminbi(whole, cents),
        (Some(known), false) if cents == 0 || known.minor.is_some() => {
            by_parts(known, whole, cents)
        }
        // 十二点五美元; and what has no name of ours.
        (known, _) => {
            let mut pieces = if cents == 0 && known.is_some() {
                counted(chinese, whole)
            } else {
                cardinal(chinese, whole)
            };
            if cents > 0 {
                pieces.push(piece("number/point", if chinese { "点" } else { "point" }));
                pieces.push(digit(chinese, cents / 10));
                if !cents.is_multiple_of(10) {
                    pieces.push(digit(chinese, cents % 10));
                }
            }
            let word = known.map_or(code, |known| if chinese { known.zh } else { known.en[1] });
            pieces.push(piece(format!("unit/{}", code.to_ascii_lowercase()), word));
            pieces
        }
    });
    Ok(pieces)
}

/// 元, 角 and 分, with 零 for 角 that are not there: 十二元零五分.
fn renminbi(yuan: u64, fen: u64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if yuan > 0 || fen == 0 {
        pieces.extend(counted(true, yuan));
        pieces.push(piece("unit/yuan", "元"));
    }
    let (jiao, fen) = (fen / 10, fen % 10);
    if jiao > 0 {
        pieces.extend(counted(true, jiao));
        pieces.push(piece("unit/jiao", "角"));
    } else if fen > 0 && yuan > 0 {
        pieces.push(digit(true, 0));
    }
    if fen > 0 {
        pieces.extend(counted(true, fen));
        pieces.push(piece("unit/fen", "分"));
    }
    pieces
}

/// Twelve dollars and fifty cents.
fn by_parts(currency: &Currency, whole: u64, cents: u64) -> Vec<Piece> {
    let code = currency.code.to_ascii_lowercase();
    let unit = |count: u64, clip: String, [one, several]: [&str; 2]| match count {
        1 if one != several => piece(format!("{clip}_one"), one),
        _ => piece(clip, several),
    };
    // The fragments of the first currency have names of their own.
    let (major, minor) = match currency.code {
        "CNY" => ("unit/yuan".to_owned(), "unit/fen".to_owned()),
        _ => (format!("unit/{code}"), format!("unit/{code}_minor")),
    };
    let mut pieces = Vec::new();
    if whole > 0 || cents == 0 {
        pieces.extend(cardinal(false, whole));
        pieces.push(unit(whole, major, currency.en));
    }
    if let (Some(names), 1..) = (currency.minor, cents) {
        if !pieces.is_empty() {
            pieces.push(piece("number/and", "and"));
        }
        pieces.extend(cardinal(false, cents));
        pieces.push(unit(cents, minor, names));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(language: &str, kind: &str, text: &str) -> String {
        let pieces = value(language, kind, text).unwrap_or_else(|why| panic!("{text}: {why}"));
        let glue = if language == "zh-CN" { "" } else { " " };
        pieces
            .iter()
            .map(|piece| piece.word.as_str())
            .collect::<Vec<_>>()
            .join(glue)
    }

    #[test]
    fn chinese_numbers() {
        for (number, words) in [
            ("0", "零"),
            ("8", "八"),
            ("10", "十"),
            ("15", "十五"),
            ("20", "二十"),
            ("105", "一百零五"),
            ("110", "一百一十"),
            ("115", "一百一十五"),
            ("1000", "一千"),
            ("1005", "一千零五"),
            ("1050", "一千零五十"),
            ("10000", "一万"),
            ("10005", "一万零五"),
            ("100000", "十万"),
            ("1050000", "一百零五万"),
            ("10500000", "一千零五十万"),
            ("12345678", "一千二百三十四万五千六百七十八"),
            ("100000001", "一亿零一"),
            ("-3.14", "负三点一四"),
        ] {
            assert_eq!(said("zh-CN", "number", number), words, "{number}");
        }
    }

    #[test]
    fn english_numbers() {
        for (number, words) in [
            ("0", "zero"),
            ("13", "thirteen"),
            ("42", "forty two"),
            ("100", "one hundred"),
            ("999", "nine hundred ninety nine"),
            ("1000000", "one million"),
            ("2026", "two thousand twenty six"),
            ("-0.5", "minus zero point five"),
        ] {
            assert_eq!(said("en", "number", number), words, "{number}");
        }
    }

    #[test]
    fn two_is_counted_in_chinese() {
        for (number, words) in [
            ("2", "二"),
            ("12", "十二"),
            ("22", "二十二"),
            ("200", "二百"),
            ("2000", "两千"),
            ("2222", "两千二百二十二"),
            ("20000", "两万"),
            ("22000", "两万两千"),
            ("120000", "十二万"),
            ("200000000", "两亿"),
        ] {
            assert_eq!(said("zh-CN", "number", number), words, "{number}");
        }
    }

    #[test]
    fn dates_and_years() {
        for (date, zh, en) in [
            (
                "2026-11-21",
                "二零二六年十一月二十一日",
                "November twenty first twenty twenty six",
            ),
            (
                "2005-02-02",
                "二零零五年二月二日",
                "February second two thousand five",
            ),
            (
                "2000-01-30",
                "二零零零年一月三十日",
                "January thirtieth two thousand",
            ),
            (
                "1905-12-12",
                "一九零五年十二月十二日",
                "December twelfth nineteen oh five",
            ),
            (
                "1900-03-03",
                "一九零零年三月三日",
                "March third nineteen hundred",
            ),
            (
                "2024-02-29",
                "二零二四年二月二十九日",
                "February twenty ninth twenty twenty four",
            ),
        ] {
            assert_eq!(said("zh-CN", "date", date), zh);
            assert_eq!(said("en", "date", date), en);
        }
        assert_eq!(said("en", "year", "1984"), "nineteen eighty four");
        assert_eq!(said("zh-CN", "year", "1984"), "一九八四年");
    }

    #[test]
    fn times_and_durations() {
        for (time, zh, en) in [
            ("14:05", "十四点零五分", "two oh five p.m."),
            ("9:00", "九点整", "nine a.m."),
            ("2:30", "两点三十分", "two thirty a.m."),
            ("0:00", "零点整", "midnight"),
            ("12:00", "十二点整", "noon"),
            ("12:15", "十二点十五分", "twelve fifteen p.m."),
            ("00:45", "零点四十五分", "twelve forty five a.m."),
            ("23:59", "二十三点五十九分", "eleven fifty nine p.m."),
        ] {
            assert_eq!(said("zh-CN", "time", time), zh);
            assert_eq!(said("en", "time", time), en);
        }
        for (seconds, zh, en) in [
            ("0", "零秒", "zero seconds"),
            ("1", "一秒", "one second"),
            ("120", "两分钟", "two minutes"),
            (
                "3661",
                "一小时一分钟一秒",
                "one hour one minute and one second",
            ),
            ("7320", "两小时两分钟", "two hours and two minutes"),
        ] {
            assert_eq!(said("zh-CN", "duration", seconds), zh);
            assert_eq!(said("en", "duration", seconds), en);
        }
    }

    #[test]
    fn amounts() {
        for (kind, amount, zh, en) in [
            (
                "amount:CNY",
                "12.50",
                "十二元五角",
                "twelve yuan and fifty fen",
            ),
            (
                "amount:CNY",
                "12.05",
                "十二元零五分",
                "twelve yuan and five fen",
            ),
            ("amount:CNY", "0.05", "五分", "five fen"),
            ("amount:CNY", "2", "两元", "two yuan"),
            (
                "amount:CNY",
                "2.22",
                "两元两角两分",
                "two yuan and twenty two fen",
            ),
            ("amount:CNY", "0", "零元", "zero yuan"),
            (
                "amount:CNY",
                "-100.3",
                "负一百元三角",
                "minus one hundred yuan and thirty fen",
            ),
            ("amount:USD", "1", "一美元", "one dollar"),
            (
                "amount:USD",
                "1.01",
                "一点零一美元",
                "one dollar and one cent",
            ),
            (
                "amount:USD",
                "12.50",
                "十二点五美元",
                "twelve dollars and fifty cents",
            ),
            ("amount:GBP", "0.01", "零点零一英镑", "one penny"),
            ("amount:JPY", "2000", "两千日元", "two thousand yen"),
            ("amount:EUR", "2", "两欧元", "two euros"),
            ("amount:THB", "2.5", "二点五THB", "two point five THB"),
        ] {
            assert_eq!(said("zh-CN", kind, amount), zh, "{kind} {amount}");
            assert_eq!(said("en", kind, amount), en, "{kind} {amount}");
        }
    }

    #[test]
    fn digits_and_telephone_numbers() {
        assert_eq!(said("zh-CN", "digits", "10#"), "一零井");
        assert_eq!(
            said("zh-CN", "telephone", "138-0013 8000"),
            "幺三八零零幺三八零零零"
        );
        assert_eq!(said("en", "telephone", "+1 202"), "plus one two zero two");
        assert_eq!(said("zh-CN", "telephone", "110"), "幺幺零");
    }

    #[test]
    fn ordinals() {
        for (number, zh, en) in [
            ("1", "第一", "first"),
            ("2", "第二", "second"),
            ("12", "第十二", "twelfth"),
            ("20", "第二十", "twentieth"),
            ("21", "第二十一", "twenty first"),
            ("40", "第四十", "fortieth"),
            ("100", "第一百", "one hundredth"),
            ("113", "第一百一十三", "one hundred thirteenth"),
            ("1000", "第一千", "one thousandth"),
        ] {
            assert_eq!(said("zh-CN", "ordinal", number), zh);
            assert_eq!(said("en", "ordinal", number), en);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (kind, text) in [
            ("digits", ""),
            ("digits", "12a"),
            ("number", "1.2.3"),
            ("number", "1."),
            ("number", "9999999999999999"),
            ("number", ""),
            ("date", "2026-13-01"),
            ("date", "21.11.2026"),
            ("time", "24:00"),
            ("amount:CNY", "1.234"),
            ("amount:CNY", "+1"),
            ("amount:CNY", "1.x"),
            ("amount:cny", "1"),
            ("amount:", "1"),
            ("money", "1"),
            ("date", "2026-02-29"),
            ("year", "12345"),
            ("ordinal", "-1"),
            ("ordinal", ""),
            ("duration", "1.5"),
            ("telephone", "+"),
            ("telephone", "a"),
        ] {
            assert!(value("en", kind, text).is_err(), "{kind} {text}");
        }
    }
}
