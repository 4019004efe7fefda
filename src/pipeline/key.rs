//! Idempotency keys: a function of what is sent, never of who sends it or when.

use uuid::Uuid;

use crate::domain::delivery::IdempotencyKey;
use crate::domain::name::{JobName, Sha256Hex};

/// UUIDv5 of "nightferry.batch" in the URL namespace: ours for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0c_51f0_5f6e_5c4b_9d5a_8f3b_2d1e_7a90);

/// What all keys of a file have in common.
#[derive(Clone, Debug)]
pub struct KeySeed {
    /// The job.
    pub job: JobName,
    /// Of the file as it came.
    pub file: Sha256Hex,
    /// Of the compiled plan.
    pub mapping_version: Sha256Hex,
    /// 0, and one more for every deliberate second delivery.
    pub pass: u32,
    /// The values of every `auto` that the mapping sends, except `row`: the same content under another name has
    /// another body, so it must have another key.
    pub facts: Option<String>,
}

impl KeySeed {
    /// The key of the batch at `ordinal`. The same on every machine and after the loss of the ledger.
    pub fn key(&self, ordinal: u64) -> IdempotencyKey {
        // NUL cannot stand in any of the parts, so two different seeds never spell the same text.
        let mut text = format!("{}\0{}\0{}\0{}\0{ordinal}", self.job, self.file, self.mapping_version, self.pass);
        if let Some(facts) = &self.facts {
            text.push('\0');
            text.push_str(facts);
        }
        IdempotencyKey(Uuid::new_v5(&NAMESPACE, text.as_bytes()).to_string())
    }
}

/// The key of a batch of some records of another: `first` is the position of its first record in the parent, `resend` counts
/// the resends of the parent and is 0 for the parts of a split. A repeat derives the same key.
pub fn derived(parent: &IdempotencyKey, first: u64, resend: u64) -> IdempotencyKey {
    let text = format!("{}\0{first}\0{resend}", parent.0);
    IdempotencyKey(Uuid::new_v5(&NAMESPACE, text.as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> KeySeed {
        KeySeed {
            job: JobName::new("orders"),
            file: Sha256Hex::new("aa"),
            mapping_version: Sha256Hex::new("bb"),
            pass: 0,
            facts: None,
        }
    }

    #[test]
    fn the_key_depends_on_every_part_and_on_nothing_else() {
        let base = seed().key(0);
        assert_eq!(base, seed().key(0));
        let others = [
            seed().key(1),
            KeySeed { pass: 1, ..seed() }.key(0),
            KeySeed { job: JobName::new("order"), ..seed() }.key(0),
            KeySeed { file: Sha256Hex::new("ab"), ..seed() }.key(0),
            KeySeed { mapping_version: Sha256Hex::new("bc"), ..seed() }.key(0),
            KeySeed { facts: Some("a.csv".into()), ..seed() }.key(0),
        ];
        for other in &others {
            assert_ne!(*other, base);
        }
    }

    #[test]
    fn a_derived_key_depends_on_parent_place_and_resend() {
        let parent = seed().key(0);
        let keys = [
            derived(&parent, 0, 0),
            derived(&parent, 5, 0),
            derived(&parent, 0, 1),
            derived(&seed().key(1), 0, 0),
            derived(&derived(&parent, 0, 0), 0, 0),
        ];
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(keys[0].0, "5e1e25a7-2c3c-54d3-aaa5-a76d3c8e3414");
    }

    #[test]
    fn the_key_never_changes_between_releases() {
        assert_eq!(seed().key(7).0, "413f6a8e-361b-5fa1-97bb-7b6fbfac1b8a");
    }
}
