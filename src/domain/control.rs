//! Control totals: what the sender declares about a file, beside what was found in it.

/// The result of one of `[[controls]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlResult {
    /// `id` in the mapping.
    pub id: String,
    /// `title` in the mapping.
    pub title: String,
    /// What the file (or the file before) says, as text.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// They agree.
    pub holds: bool,
    /// It is a number that follows the one of the file before.
    pub sequence: bool,
}

/// What the controls of a file need to know of the file before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Previous {
    /// Id of a sequence control, and its number in the last accepted file.
    pub sequences: Vec<(String, String)>,
    /// Rows of the last accepted file.
    pub rows: Option<u64>,
}
