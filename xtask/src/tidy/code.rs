//! Rust source without comments and strings, so that rules can search it by words.
//!
//! A rough reader, not a parser: it knows comments, strings, characters and braces. What it counts
//! is good for rules about words and for numbers to steer by.

/// The code of one file.
pub(super) struct Code {
    /// The lines, with comments and the insides of strings and characters blanked.
    pub(super) lines: Vec<String>,
    /// For each line: it belongs to a test.
    pub(super) test: Vec<bool>,
}

/// A function and its size.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// The line it begins on, from 0.
    pub(super) line: usize,
    /// Lines of code from `fn` to the closing brace; blank lines and comments are not counted.
    pub(super) code_lines: usize,
}

impl Code {
    /// Reads the text of the file at `path`.
    pub(super) fn new(path: &str, text: &str) -> Self {
        let blanked = blank(text);
        let lines: Vec<String> = blanked
            .split('\n')
            .map(|line| line.trim_end().to_owned())
            .collect();
        let test = if is_test_path(path) {
            vec![true; lines.len()]
        } else {
            test_lines(&lines)
        };
        Self { lines, test }
    }

    /// Lines with code outside tests, numbered from 0.
    pub(super) fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines
            .iter()
            .enumerate()
            .filter(|(index, line)| !self.test[*index] && !line.trim().is_empty())
            .map(|(index, line)| (index, line.as_str()))
    }

    /// Every function with a body outside tests.
    pub(super) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for (line, code) in self.shipped() {
            let Some(column) = word_at(code, "fn ") else {
                continue;
            };
            let name: String = code[column + 3..]
                .trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if name.is_empty() {
                continue; // A function pointer type.
            }
            if let Some(end) = item_end(&self.lines, line, column) {
                let code_lines = self.lines[line..=end]
                    .iter()
                    .filter(|line| !line.trim().is_empty())
                    .count();
                functions.push(Function {
                    name,
                    line,
                    code_lines,
                });
            }
        }
        functions
    }
}

/// Where `word` begins in `code`, if something else than a name is before it.
pub(super) fn word_at(code: &str, word: &str) -> Option<usize> {
    code.match_indices(word)
        .map(|(column, _)| column)
        .find(|column| {
            let before = code[..*column].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
}

/// True for files that hold tests only.
fn is_test_path(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/benches/") || path.ends_with("/tests.rs")
}

/// Marks the lines of items under `#[cfg(test)]` or `#[test]`.
fn test_lines(lines: &[String]) -> Vec<bool> {
    let mut test = vec![false; lines.len()];
    for (start, line) in lines.iter().enumerate() {
        let line = line.trim();
        if test[start] || !(line.starts_with("#[cfg(test)]") || line.starts_with("#[test]")) {
            continue;
        }
        let end = item_end(lines, start, 0)
            .unwrap_or(start + 1)
            .min(lines.len() - 1);
        test[start..=end].fill(true);
    }
    test
}

/// The line on which the body of the item that begins at `line`, `column` ends.
/// `None` if the item has no body.
fn item_end(lines: &[String], line: usize, column: usize) -> Option<usize> {
    let mut brackets = 0_i32;
    let mut braces = 0_i32;
    for (index, text) in lines.iter().enumerate().skip(line) {
        let skip = if index == line { column } else { 0 };
        for c in text[skip..].chars() {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets -= 1,
                '{' => braces += 1,
                '}' => {
                    braces -= 1;
                    if braces == 0 {
                        return Some(index);
                    }
                }
                ';' if braces == 0 && brackets == 0 => return None,
                _ => {}
            }
        }
    }
    None
}

/// Replaces comments and the insides of strings and characters by spaces; lines stay lines.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_comment(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => block_comment(&chars, at),
            '"' => string(&chars, at),
            'r' if !in_name(&chars, at) || prefixed(&chars, at) => raw_string(&chars, at),
            '\'' => character(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        // Strings keep a pair of quotes, so that `"a"` is still an expression.
        let quoted = chars[at] != '/';
        for (index, c) in chars[at..end].iter().enumerate() {
            let edge = quoted && (index == 0 || index + 1 == end - at);
            out.push(match c {
                '\n' => '\n',
                _ if edge => '"',
                _ => ' ',
            });
        }
        at = end;
    }
    out
}

/// True if the character before `at` makes it part of a longer name.
fn in_name(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_')
}

/// True if `r` at `at` follows the `b` or `c` of a byte or C string.
fn prefixed(chars: &[char], at: usize) -> bool {
    at > 0 && matches!(chars[at - 1], 'b' | 'c') && !in_name(chars, at - 1)
}

fn line_comment(chars: &[char], at: usize) -> usize {
    chars[at..]
        .iter()
        .position(|c| *c == '\n')
        .map_or(chars.len(), |length| at + length)
}

fn block_comment(chars: &[char], at: usize) -> usize {
    let mut depth = 0_u32;
    let mut index = at;
    while index < chars.len() {
        match (chars[index], chars.get(index + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                index += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return index;
                }
            }
            _ => index += 1,
        }
    }
    chars.len()
}

fn string(chars: &[char], at: usize) -> usize {
    let mut index = at + 1;
    while index < chars.len() {
        match chars[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    chars.len()
}

/// The end of `r"…"` or `r#"…"#`; `at` itself if this `r` opens no string.
fn raw_string(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return at;
    }
    let mut index = at + 2 + hashes;
    while index < chars.len() {
        let closes = chars[index] == '"'
            && chars[index + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes;
        if closes {
            return index + 1 + hashes;
        }
        index += 1;
    }
    chars.len()
}

/// The end of a character literal; `at` itself for a lifetime.
fn character(chars: &[char], at: usize) -> usize {
    if chars.get(at + 1) == Some(&'\\') {
        let rest = &chars[(at + 3).min(chars.len())..];
        return rest
            .iter()
            .position(|c| *c == '\'')
            .map_or(at, |length| at + 4 + length);
    }
    if chars.get(at + 2) == Some(&'\'') {
        at + 3
    } else {
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked() {
        for (source, expected) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x // y", 'z')"#, r#"f("      ", " ")"#),
            (r##"r#"a"b"# c"##, r##""      " c"##),
            (r#"br"a" + b"\"" + c"#, r#"b"  " + b"  " + c"#),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            (r"['\'', '\u{1f}', '{']", r#"["  ", "      ", " "]"#),
            ("for r in rs { r#type }", "for r in rs { r#type }"),
            ("\"open", "\"   \""),
        ] {
            assert_eq!(blank(source), expected, "{source}");
        }
    }

    #[test]
    fn test_items_are_marked() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { \"}\"; }\n}\nfn c() {}\n";
        let code = Code::new("runtime/sip/src/x.rs", text);
        assert_eq!(code.test, [false, true, true, true, true, false, false]);
        assert!(
            Code::new("runtime/sip/tests/x.rs", text)
                .test
                .iter()
                .all(|test| *test)
        );
        let outside = Code::new("x/src/y.rs", "#[cfg(test)]\nmod tests;\nfn a() {}\n");
        assert_eq!(outside.test, [true, true, false, false]);
    }

    #[test]
    fn functions_are_measured_without_blanks_and_comments() {
        let text = "trait T {\n    fn none(&self, a: [u8; 2]);\n    fn some(\n        x: fn(u8),\n    ) -> u8 {\n\n        // why\n        1\n    }\n}\n";
        let functions = Code::new("a/src/b.rs", text).functions();
        assert_eq!(
            functions,
            [Function {
                name: "some".to_owned(),
                line: 2,
                code_lines: 5
            }]
        );
    }
}
