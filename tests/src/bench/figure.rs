//! One figure: what is measured, what is to be reached, and what came out.

use std::collections::BTreeSet;

/// What a figure should be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Target {
    /// Nothing was promised.
    None,
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

/// A figure that a row measures.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Figure {
    /// Its name within its row; empty if the row has only this one.
    pub(super) name: &'static str,
    /// One line for the table.
    pub(super) what: &'static str,
    /// Unit of its values.
    pub(super) unit: &'static str,
    /// What is to be reached.
    pub(super) target: Target,
}

/// How a figure compares with its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The median is as good as the target or better.
    Reached,
    /// It is not.
    Missed,
    /// There is none.
    NoTarget,
}

impl Verdict {
    /// As the table says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Missed => "missed",
            Self::NoTarget => "no target",
        }
    }
}

impl Target {
    /// Compares a median.
    pub(super) fn judge(self, median: f64) -> Verdict {
        let reached = match self {
            Self::None => return Verdict::NoTarget,
            Self::AtMost(most) => median <= most,
            Self::AtLeast(least) => median >= least,
        };
        if reached {
            Verdict::Reached
        } else {
            Verdict::Missed
        }
    }
}

/// What one run of a row gave.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Sample {
    /// By the figure's name.
    pub(super) values: Vec<(&'static str, f64)>,
    /// What the reader must know beside the values.
    pub(super) notes: BTreeSet<String>,
}

impl Sample {
    /// A sample of a row with one figure.
    pub(super) fn one(value: f64) -> Self {
        Self {
            values: vec![("", value)],
            notes: BTreeSet::new(),
        }
    }

    /// Adds a figure's value.
    pub(super) fn with(mut self, name: &'static str, value: f64) -> Self {
        self.values.push((name, value));
        self
    }
}

/// The values of one figure over all runs of its row.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Measured {
    /// The row's name.
    pub(super) row: &'static str,
    /// The figure.
    pub(super) figure: Figure,
    /// In order of the runs; at least one.
    pub(super) values: Vec<f64>,
    /// Of its row's runs.
    pub(super) notes: BTreeSet<String>,
}

impl Measured {
    /// Row and figure as one word.
    pub(super) fn name(&self) -> String {
        match self.figure.name {
            "" => self.row.to_owned(),
            name => format!("{}.{name}", self.row),
        }
    }

    /// The middle value; of an even number the lower of the two.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[(sorted.len() - 1) / 2]
    }

    /// The least value.
    pub(super) fn min(&self) -> f64 {
        self.values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The greatest value.
    pub(super) fn max(&self) -> f64 {
        self.values
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max)
    }

    /// How the median compares.
    pub(super) fn verdict(&self) -> Verdict {
        self.figure.target.judge(self.median())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_decides() {
        let figure = |target| Figure {
            name: "",
            what: "",
            unit: "ms",
            target,
        };
        let measured = |target, values: &[f64]| Measured {
            row: "row",
            figure: figure(target),
            values: values.to_vec(),
            notes: BTreeSet::new(),
        };
        for (target, values, median, verdict) in [
            (
                Target::AtMost(2.0),
                &[9.0, 1.0, 2.0][..],
                2.0,
                Verdict::Reached,
            ),
            (Target::AtMost(2.0), &[9.0, 1.0, 2.1], 2.1, Verdict::Missed),
            (Target::AtLeast(2.0), &[3.0, 1.0], 1.0, Verdict::Missed),
            (Target::AtLeast(2.0), &[2.0], 2.0, Verdict::Reached),
            (Target::None, &[1.0], 1.0, Verdict::NoTarget),
        ] {
            let measured = measured(target, values);
            assert_eq!(
                (measured.median(), measured.verdict()),
                (median, verdict),
                "{values:?}"
            );
        }
        let all = measured(Target::None, &[3.0, 1.0, 2.0]);
        assert_eq!(
            (all.min(), all.max(), all.name()),
            (1.0, 3.0, "row".to_owned())
        );
    }
}
