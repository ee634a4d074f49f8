//! The table, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::figure::{Measured, Target};
use super::machine::Machine;

/// A row that gave no figures, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct NotRun {
    /// Its name.
    pub(super) row: &'static str,
    /// In one line.
    pub(super) why: String,
}

/// The table as text.
pub(super) fn text(machine: &Machine, measured: &[Measured], not_run: &[NotRun]) -> String {
    let mut out = machine.lines();
    if !machine.is_release() {
        out.push_str(
            "warning   not a release build: these figures say nothing about the targets\n",
        );
    }
    let mut lines = vec![[
        "row".to_owned(),
        "median".to_owned(),
        "min".to_owned(),
        "max".to_owned(),
        "unit".to_owned(),
        "target".to_owned(),
        "verdict".to_owned(),
        "runs".to_owned(),
        "what".to_owned(),
    ]];
    lines.extend(measured.iter().map(cells));
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    out.push('\n');
    for line in &lines {
        let mut row = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let number = matches!(column, 1..=3 | 5 | 7);
            let padding = " ".repeat(width - cell.chars().count());
            let (left, right) = if number {
                (&*padding, "")
            } else {
                ("", &*padding)
            };
            write!(row, "{left}{cell}{right}  ").expect("a string takes all");
        }
        writeln!(out, "{}", row.trim_end()).expect("a string takes all");
    }
    notes(&mut out, measured);
    for NotRun { row, why } in not_run {
        writeln!(out, "not run   {row}: {why}").expect("a string takes all");
    }
    out
}

fn cells(measured: &Measured) -> [String; 9] {
    let target = match measured.figure.target {
        Target::None => String::new(),
        Target::AtMost(most) => format!("≤ {}", number(most)),
        Target::AtLeast(least) => format!("≥ {}", number(least)),
    };
    [
        measured.name(),
        number(measured.median()),
        number(measured.min()),
        number(measured.max()),
        measured.figure.unit.to_owned(),
        target,
        measured.verdict().name().to_owned(),
        measured.values.len().to_string(),
        measured.figure.what.to_owned(),
    ]
}

/// Each note once, with the rows it is about.
fn notes(out: &mut String, measured: &[Measured]) {
    let mut rows: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for measured in measured {
        for note in &measured.notes {
            let about = rows.entry(note).or_default();
            if about.last() != Some(&measured.row) {
                about.push(measured.row);
            }
        }
    }
    for (note, rows) in rows {
        writeln!(out, "note      {}: {note}", rows.join(", ")).expect("a string takes all");
    }
}

/// As many digits as mean something.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text
        .split_once('.')
        .map_or((&*text, ""), |(whole, rest)| (whole, rest));
    let mut grouped = String::new();
    let places = whole.trim_start_matches('-').len();
    for (index, c) in whole.chars().enumerate() {
        let left = whole.len() - index;
        if c.is_ascii_digit() && left < places && left.is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(c);
    }
    if !rest.is_empty() {
        grouped.push('.');
        grouped.push_str(rest);
    }
    grouped
}

/// The table for programs.
pub(super) fn json(machine: &Machine, measured: &[Measured], not_run: &[NotRun]) -> Value {
    let rows: Vec<Value> = measured
        .iter()
        .map(|measured| {
            let target = match measured.figure.target {
                Target::None => Value::Null,
                Target::AtMost(most) => json!({ "at_most": most }),
                Target::AtLeast(least) => json!({ "at_least": least }),
            };
            json!({
                "name": measured.name(), "row": measured.row, "what": measured.figure.what,
                "unit": measured.figure.unit, "median": measured.median(), "min": measured.min(),
                "max": measured.max(), "values": measured.values, "target": target,
                "verdict": measured.verdict().name(), "notes": measured.notes,
            })
        })
        .collect();
    let not_run: Vec<Value> = not_run
        .iter()
        .map(|NotRun { row, why }| json!({ "row": row, "why": why }))
        .collect();
    json!({ "machine": machine.json(), "figures": rows, "not_run": not_run })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        for (value, shown) in [
            (0.0, "0"),
            (0.0123, "0.0123"),
            (1.234, "1.23"),
            (-12.34, "-12.3"),
            (55_123.4, "55,123"),
            (1_234_567.0, "1,234,567"),
            (100.0, "100"),
        ] {
            assert_eq!(number(value), shown);
        }
    }
}
