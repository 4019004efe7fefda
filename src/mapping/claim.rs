//! Claims: what a record says that only the end of the file can judge. Only fingerprints of values are kept.

use std::hash::{DefaultHasher, Hasher};

/// What a fingerprint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimKind {
    /// The key of a group.
    Group,
    /// A row has this value in the column of a `same_file` lookup.
    Has {
        /// The lookup.
        lookup: u16,
    },
    /// A field needs a row with this value there.
    Needs {
        /// The lookup.
        lookup: u16,
        /// The field.
        field: u16,
    },
    /// The value of a field that must be unique.
    Unique(u16),
}

/// A claim of a record, or of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it is about.
    pub kind: ClaimKind,
    /// 128 bits: two different values share them with a chance of one in 10^20, for a billion values.
    pub hash: [u8; 16],
    /// The line it stands on.
    pub line: u64,
    /// Offset and length of that row in the file; of groups only.
    pub place: (u64, u64),
}

impl Claim {
    pub(super) fn new(kind: ClaimKind, hash: [u8; 16], line: u64) -> Self {
        Self { kind, hash, line, place: (0, 0) }
    }
}

/// The fingerprint of a value.
pub(super) fn fingerprint(value: &[u8]) -> [u8; 16] {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(seed);
        hasher.write(value);
        hasher.finish().to_be_bytes()
    };
    let (left, right) = (half(1), half(2));
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&left);
    hash[8..].copy_from_slice(&right);
    hash
}
