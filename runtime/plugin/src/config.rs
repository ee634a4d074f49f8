//! A plugin's configuration as the tree it reads from.
//!
//! The operator writes TOML, the shell turns it into a [`Config`], and the guest asks for values
//! by path. Scalars come as plain text, tables and lists as compact JSON, so that a plugin can
//! either ask for single values or parse its whole configuration in one go.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::limits;

/// One value of a configuration tree.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Text; dates and times too.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Values in order.
    List(Vec<Value>),
    /// Named values, in the order they were written; a name comes once.
    Table(Vec<(String, Value)>),
}

/// A configuration tree, shared by all calls of a route.
#[derive(Clone, PartialEq, Debug)]
pub struct Config(Arc<Value>);

impl Default for Config {
    /// An empty table.
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Config {
    /// A tree from its top-level entries.
    pub fn new(entries: Vec<(String, Value)>) -> Self {
        Self(Arc::new(Value::Table(entries)))
    }

    /// What a guest is told for `key`: a dotted path such as `menu.0.prompt`, where a number
    /// counts in a list from zero; the empty key means the whole tree.
    ///
    /// A name that holds dots itself is found before the path is split.
    pub fn lookup(&self, key: &str) -> Option<String> {
        let value = if key.is_empty() {
            &*self.0
        } else {
            find(&self.0, key)?
        };
        Some(match value {
            Value::Text(text) => text.clone(),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::List(_) | Value::Table(_) => {
                let mut json = String::new();
                write_json(&mut json, value, 0);
                json
            }
        })
    }
}

impl From<toml::Table> for Config {
    fn from(table: toml::Table) -> Self {
        Self::new(
            table
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
        )
    }
}

impl From<toml::Value> for Value {
    fn from(value: toml::Value) -> Self {
        match value {
            toml::Value::String(text) => Self::Text(text),
            toml::Value::Integer(number) => Self::Int(number),
            toml::Value::Float(number) => Self::Float(number),
            toml::Value::Boolean(truth) => Self::Bool(truth),
            toml::Value::Datetime(moment) => Self::Text(moment.to_string()),
            toml::Value::Array(values) => Self::List(values.into_iter().map(Self::from).collect()),
            toml::Value::Table(table) => Self::Table(
                table
                    .into_iter()
                    .map(|(name, value)| (name, value.into()))
                    .collect(),
            ),
        }
    }
}

fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let step = |value: &'a Value, name: &str| match value {
        Value::Table(entries) => entries.iter().find(|(key, _)| key == name).map(|(_, v)| v),
        Value::List(values) => values.get(name.parse::<usize>().ok()?),
        Value::Text(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) => None,
    };
    let mut value = value;
    let mut rest = path;
    // Each turn shortens the path, so a guest's long key costs its length at most.
    loop {
        if let Some(found) = step(value, rest) {
            return Some(found);
        }
        let (name, after) = rest.split_once('.')?;
        value = step(value, name)?;
        rest = after;
    }
}

/// RFC 8259, without white space. Numbers that JSON cannot say become `null`.
fn write_json(out: &mut String, value: &Value, depth: usize) {
    if depth > limits::CONFIG_DEPTH_MAX {
        return out.push_str("null");
    }
    match value {
        Value::Text(text) => write_text(out, text),
        Value::Int(number) => drop(write!(out, "{number}")),
        // The debug form keeps the point, so that a reader sees a number of the same kind.
        Value::Float(number) if number.is_finite() => drop(write!(out, "{number:?}")),
        Value::Float(_) => out.push_str("null"),
        Value::Bool(truth) => drop(write!(out, "{truth}")),
        Value::List(values) => {
            out.push('[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json(out, value, depth + 1);
            }
            out.push(']');
        }
        Value::Table(entries) => {
            out.push('{');
            for (i, (name, value)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_text(out, name);
                out.push(':');
                write_json(out, value, depth + 1);
            }
            out.push('}');
        }
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if u32::from(c) < 0x20 => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_path() {
        let table: toml::Table = toml::from_str(
            "greeting = \"say \\\"hi\\\"\\n\"\nretries = 3\nlevel = 1.0\n\"a.b\" = true\n\
             [menu]\nkeys = [\"1\", \"2\"]\n[menu.\"x.y\"]\nz = nan\n",
        )
        .unwrap();
        let config = Config::from(table);
        for (key, expected) in [
            ("greeting", Some("say \"hi\"\n")),
            ("retries", Some("3")),
            ("level", Some("1.0")),
            ("a.b", Some("true")),
            ("menu.keys.1", Some("2")),
            ("menu.keys", Some("[\"1\",\"2\"]")),
            ("menu.x.y.z", None),
            ("menu.keys.7", None),
            ("retries.x", None),
            ("nothing", None),
            (".", None),
        ] {
            assert_eq!(config.lookup(key).as_deref(), expected, "{key}");
        }
        let whole = config.lookup("").unwrap();
        assert!(whole.contains(r#""greeting":"say \"hi\"\n""#), "{whole}");
        assert!(whole.contains(r#""x.y":{"z":null}"#), "{whole}");
        assert_eq!(Config::default().lookup("").as_deref(), Some("{}"));
    }

    #[test]
    fn a_tree_too_deep_is_cut() {
        let deep = (0..100).fold(Value::Int(1), |value, _| Value::List(vec![value]));
        let json = Config::new(vec![("deep".into(), deep)]).lookup("").unwrap();
        assert!(json.contains("null") && json.len() < 100);
    }
}
