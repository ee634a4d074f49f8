//! How values are said: as a row of fragments, each with the word it stands for.
//!
//! Fragments are catalogue names: `digits/0` to `digits/9`, and `number/N` for the words of a
//! language's number system by their value (`number/20`, `number/100`), with `number/minus`,
//! `number/point` and, for money and dates, `unit/…`.

/// One fragment of a spoken value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    /// Its name in the catalogue.
    pub(crate) clip: String,
    /// The word, for synthesis.
    pub(crate) word: String,
}

/// The fragments of a value of this kind: `digits`, `number`, `date`, `time` or `amount:CNY`.
///
/// # Errors
/// What is wrong with the kind or the value, without repeating the value.
pub(crate) fn value(language: &str, kind: &str, value: &str) -> Result<Vec<Piece>, &'static str> {
    let chinese = language.starts_with("zh");
    match kind {
        "digits" => digits(chinese, value),
        "number" => number(chinese, value),
        "date" => date(chinese, value),
        "time" => time(chinese, value),
        "amount:CNY" => amount(chinese, value),
        _ => Err("unknown kind of value: digits, number, date, time or amount:CNY"),
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
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Err(wrong);
    }
    let mut pieces = Vec::new();
    if chinese {
        let year = year.to_string();
        pieces.extend(year.bytes().map(|b| digit(true, u64::from(b - b'0'))));
        pieces.push(piece("unit/year", "年"));
        pieces.extend(cardinal(true, month));
        pieces.push(piece("unit/month", "月"));
        pieces.extend(cardinal(true, day));
        pieces.push(piece("unit/day", "日"));
    } else {
        pieces.push(piece(
            format!("month/{month}"),
            EN_MONTHS[(month - 1) as usize],
        ));
        pieces.extend(cardinal(false, day));
        pieces.extend(cardinal(false, year));
    }
    Ok(pieces)
}

fn time(chinese: bool, value: &str) -> Result<Vec<Piece>, &'static str> {
    let wrong = "time: as in 14:05";
    let [hour, minute] = parts::<2>(value, ':').ok_or(wrong)?;
    if hour > 23 || minute > 59 {
        return Err(wrong);
    }
    let mut pieces = cardinal(chinese, hour);
    if chinese {
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
    } else if minute == 0 {
        pieces.push(piece("unit/sharp", "o'clock"));
    } else {
        if minute < 10 {
            pieces.push(digit(false, 0));
        }
        pieces.extend(cardinal(false, minute));
    }
    Ok(pieces)
}

fn amount(chinese: bool, value: &str) -> Result<Vec<Piece>, &'static str> {
    let wrong = "amount:CNY: yuan with at most two decimals, as in 12.50";
    let (yuan, fen) = value.split_once('.').unwrap_or((value, ""));
    let fen = match fen.len() {
        0 if !value.ends_with('.') => 0,
        1 => fen.parse::<u64>().map_err(|_| wrong)? * 10,
        2 => fen.parse::<u64>().map_err(|_| wrong)?,
        _ => return Err(wrong),
    };
    if yuan.is_empty() || yuan.len() > 12 || !yuan.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong);
    }
    let mut pieces = cardinal(chinese, yuan.parse().map_err(|_| wrong)?);
    pieces.push(piece("unit/yuan", if chinese { "元" } else { "yuan" }));
    if chinese {
        if fen >= 10 {
            pieces.push(digit(true, fen / 10));
            pieces.push(piece("unit/jiao", "角"));
        }
        if !fen.is_multiple_of(10) {
            pieces.push(digit(true, fen % 10));
            pieces.push(piece("unit/fen", "分"));
        }
    } else if fen > 0 {
        pieces.extend(cardinal(false, fen));
        pieces.push(piece("unit/fen", "fen"));
    }
    Ok(pieces)
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
    fn dates_times_amounts_and_digits() {
        assert_eq!(
            said("zh-CN", "date", "2026-11-21"),
            "二零二六年十一月二十一日"
        );
        assert_eq!(
            said("en", "date", "2026-11-21"),
            "November twenty one two thousand twenty six"
        );
        assert_eq!(said("zh-CN", "time", "14:05"), "十四点零五分");
        assert_eq!(said("zh-CN", "time", "9:00"), "九点整");
        assert_eq!(said("en", "time", "9:30"), "nine thirty");
        assert_eq!(said("zh-CN", "amount:CNY", "12.50"), "十二元五角");
        assert_eq!(said("zh-CN", "amount:CNY", "0.05"), "零元五分");
        assert_eq!(said("en", "amount:CNY", "3"), "three yuan");
        assert_eq!(said("zh-CN", "digits", "10#"), "一零井");
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
            ("amount:CNY", "-1"),
            ("amount:USD", "1"),
        ] {
            assert!(value("en", kind, text).is_err(), "{kind} {text}");
        }
    }
}
