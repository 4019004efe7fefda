//! Code tables.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::plan::Encoded;
use super::spec::{LookupSpec, LookupTable, OnMissing};

/// Up to this many entries a walk is quicker than a hash.
const FEW: usize = 8;

/// A compiled `[lookups.NAME]`.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) on_missing: OnMissing,
    ignore_case: bool,
    /// The value must stand in a column of the same file, which is known at its end only.
    pub(super) same_file: bool,
    few: Vec<(String, Encoded)>,
    many: HashMap<Vec<u8>, Encoded>,
}

impl Lookup {
    pub(super) fn new(name: &str, spec: &LookupSpec) -> Self {
        let key = |key: &String| if spec.ignore_case { key.to_lowercase() } else { key.clone() };
        let none = BTreeMap::new();
        let (table, same_file) = match &spec.table {
            LookupTable::Entries(entries) => (entries, false),
            LookupTable::SameFile(_) => (&none, true),
        };
        let entries = table.iter().map(|(from, to)| (key(from), Encoded::new(to)));
        let small = table.len() <= FEW;
        let (few, many) = if small {
            (entries.collect(), HashMap::new())
        } else {
            (Vec::new(), entries.map(|(key, value)| (key.into_bytes(), value)).collect())
        };
        Self {
            name: name.to_owned(),
            source: spec.source.clone(),
            on_missing: spec.on_missing,
            ignore_case: spec.ignore_case,
            same_file,
            few,
            many,
        }
    }

    /// True when keys are compared as they are, with a table that is known from the beginning.
    pub(super) fn is_exact(&self) -> bool {
        !self.ignore_case && !self.same_file
    }

    /// True when it has few entries.
    pub(super) fn is_small(&self) -> bool {
        self.many.is_empty()
    }

    /// The entries of a table that has few.
    pub(super) fn few(&self) -> impl Iterator<Item = (&str, &Encoded)> {
        self.few.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value for `key`.
    #[inline]
    pub(super) fn get(&self, key: &str) -> Option<&Encoded> {
        if !self.ignore_case {
            return self.exact(key.as_bytes());
        }
        if key.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
            return self.exact(key.to_lowercase().as_bytes());
        }
        self.exact(key.as_bytes())
    }

    /// The key as it is compared.
    pub(super) fn folded<'a>(&self, key: &'a str) -> Cow<'a, str> {
        if self.ignore_case { key.to_lowercase().into() } else { key.into() }
    }

    /// The value for a key that is compared as it is.
    #[inline]
    pub(super) fn exact(&self, key: &[u8]) -> Option<&Encoded> {
        if self.many.is_empty() {
            return self.few.iter().find(|(known, _)| known.as_bytes() == key).map(|(_, value)| value);
        }
        self.many.get(key)
    }
}
