//! Newtypes for every id and name that could be swapped for another.

use std::fmt;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(String);

        impl $type {
            /// Wraps the text as it is; whoever parses input checks it first.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// `[job] name`, unique in a project.
    JobName
);
name!(
    /// `[mapping] name`, the stem of `mappings/NAME.toml`.
    MappingName
);
name!(
    /// A table name in `connections.toml`.
    ConnectionName
);
name!(
    /// A run: UUIDv7 in its usual text form, so that ids sort by time.
    RunId
);
name!(
    /// A lease: random, never a counter, so that no two holders ever share one.
    LeaseId
);
name!(
    /// A SHA-256 in 64 lower-case hexadecimal digits.
    Sha256Hex
);
