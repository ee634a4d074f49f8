//! Suggestions for words that were probably meant otherwise.

/// `" (did you mean \"udp\"?)"` if one of the words is close to what was written, else nothing.
pub(crate) fn did_you_mean<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    let most = match written.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let lower = written.to_lowercase();
    let close = words
        .into_iter()
        .map(|word| (distance(&lower, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= most && *distance < word.chars().count())
        .min();
    close.map_or_else(String::new, |(_, word)| {
        format!(" (did you mean {word:?}?)")
    })
}

/// Letters to add, drop, change or swap with their neighbor to turn one word into the other
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_between_words() {
        for (a, b, expected) in [
            ("", "", 0),
            ("udp", "udp", 0),
            ("upd", "udp", 1),
            ("optoins", "options", 1),
            ("grand", "grant", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn only_close_words_are_suggested() {
        let words = ["udp", "tcp", "advertise"];
        assert_eq!(did_you_mean("upd", words), " (did you mean \"udp\"?)");
        assert_eq!(
            did_you_mean("Advertize", words),
            " (did you mean \"advertise\"?)"
        );
        assert_eq!(did_you_mean("password", words), "");
        assert_eq!(did_you_mean("x", ["y"]), "");
    }
}
