//! Warnings that may concern millions of rows: counted, with the first few as examples.

/// Most examples that are kept.
const EXAMPLES: usize = 20;

/// Rows that one warning is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warned {
    /// Number of rows.
    pub rows: u64,
    /// Lines and values of the first.
    pub examples: Vec<(u64, String)>,
}

impl Warned {
    /// Counts a row.
    #[cold]
    pub(super) fn add(&mut self, line: u64, value: impl FnOnce() -> String) {
        self.rows += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push((line, value()));
        }
    }

    /// The first row.
    pub(super) fn first(&self) -> Option<(u64, &str)> {
        self.examples.first().map(|(line, value)| (*line, value.as_str()))
    }

    /// Adds what another thread has counted.
    pub(super) fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.examples.extend(other.examples);
        self.examples.sort_by_key(|(line, _)| *line);
        self.examples.truncate(EXAMPLES);
    }
}
