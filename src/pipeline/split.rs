//! How the records of a batch go on that the target did not take as a whole. Pure.

/// What follows for the records of a refused batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Division {
    /// The refusal is meant for every record.
    Whole,
    /// The records that the target named are refused; the others go on together.
    Named {
        /// Positions of the others.
        others: Vec<u64>,
    },
    /// One of them is to blame, or they are too many at once: each half goes on.
    Halves(Vec<u64>, Vec<u64>),
}

/// Divides a batch of `records` records that was answered with `status`; `named` are the positions that the answer blames,
/// ascending. Every part is smaller than the batch, so that dividing comes to an end.
pub fn divide(status: u16, records: u64, named: &[u64]) -> Division {
    if records < 2 || !matches!(status, 400 | 413 | 422) {
        return Division::Whole;
    }
    let blamed = named.len() as u64;
    if status == 413 || blamed == 0 {
        let middle = records.div_ceil(2);
        return Division::Halves((0..middle).collect(), (middle..records).collect());
    }
    let others: Vec<u64> = (0..records).filter(|position| named.binary_search(position).is_err()).collect();
    if others.is_empty() { Division::Whole } else { Division::Named { others } }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_may_be_the_fault_of_one_record_is_divided() {
        assert_eq!(divide(400, 3, &[]), Division::Halves(vec![0, 1], vec![2]));
        assert_eq!(divide(413, 2, &[1]), Division::Halves(vec![0], vec![1]), "too large: no record is to blame");
        assert_eq!(divide(422, 4, &[1, 3]), Division::Named { others: vec![0, 2] });
        assert_eq!(divide(422, 2, &[0, 1]), Division::Whole);
        for status in [409, 410, 415, 501] {
            assert_eq!(divide(status, 10, &[]), Division::Whole, "{status}");
        }
        assert_eq!(divide(413, 1, &[]), Division::Whole);
    }

    proptest! {
        #[test]
        fn every_record_is_in_exactly_one_part_and_every_part_is_smaller(
            status in prop_oneof![Just(400), Just(413), Just(422)],
            records in 2_u64..200,
            blamed in proptest::collection::btree_set(0_u64..200, 0..20),
        ) {
            let named: Vec<u64> = blamed.into_iter().filter(|position| *position < records).collect();
            let mut all: Vec<u64> = match divide(status, records, &named) {
                Division::Whole => (0..records).collect(),
                Division::Named { others } => {
                    prop_assert!(!others.is_empty() && (others.len() as u64) < records);
                    others.into_iter().chain(named).collect()
                }
                Division::Halves(left, right) => {
                    prop_assert!(!left.is_empty() && !right.is_empty());
                    left.into_iter().chain(right).collect()
                }
            };
            all.sort_unstable();
            prop_assert_eq!(all, (0..records).collect::<Vec<_>>());
        }
    }
}
