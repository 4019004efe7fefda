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
    many: HashMap<String, Encoded>,
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
        let (few, many) = if small { (entries.collect(), HashMap::new()) } else { (Vec::new(), entries.collect()) };
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

    /// The value for `key`.
    #[inline]
    pub(super) fn get(&self, key: &str) -> Option<&Encoded> {
        if !self.ignore_case {
            return self.exact(key);
        }
        if key.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
            return self.exact(&key.to_lowercase());
        }
        self.exact(key)
    }

    /// The key as it is compared.
    pub(super) fn folded<'a>(&self, key: &'a str) -> Cow<'a, str> {
        if self.ignore_case { key.to_lowercase().into() } else { key.into() }
    }

    #[inline]
    fn exact(&self, key: &str) -> Option<&Encoded> {
        if self.many.is_empty() {
            return self.few.iter().find(|(known, _)| known == key).map(|(_, value)| value);
        }
        self.many.get(key)
    }
}
