//! The gate: nothing passes to the target unless the file is proven good enough.

use rust_decimal::Decimal;

use super::convert::Converted;
use crate::domain::reject::{FileFault, RejectCode};
use crate::mapping::spec::{RejectLimits, RejectUnit};

/// The fault of a file whose rejects exceed a limit. Only strictly more than the limit stops it; the first exceeded wins.
pub fn check(converted: &Converted, limits: &RejectLimits) -> Option<FileFault> {
    let rows = &converted.rows;
    let (noun, rejected, counted) = match limits.unit {
        RejectUnit::Record => ("records", converted.rejected_records, converted.made + converted.rejected_records),
        RejectUnit::Row | RejectUnit::File => ("rows", rows.rejected, rows.read - rows.skipped),
    };
    if limits.unit == RejectUnit::File && rejected > 0 {
        let message =
            format!("{rejected} rows were rejected, and the file is taken whole or not at all: nothing was sent");
        return Some(too_many(message));
    }
    if let Some(most) = limits.max_count.filter(|most| rejected > *most) {
        let message =
            format!("{rejected} {noun} were rejected, more than `max_count = {most}` allows: nothing was sent");
        return Some(too_many(message));
    }
    let exceeded = Decimal::from(rejected) * Decimal::ONE_HUNDRED > limits.max_percent * Decimal::from(counted);
    exceeded.then(|| {
        let percent = (Decimal::from(rejected) * Decimal::ONE_HUNDRED / Decimal::from(counted)).round_dp(2);
        too_many(format!(
            "{rejected} of {counted} {noun} were rejected ({percent} %), more than `max_percent = {}` allows: nothing was sent",
            limits.max_percent
        ))
    })
}

fn too_many(message: String) -> FileFault {
    FileFault { code: RejectCode::TooManyRejects, row: None, byte: 0, column: None, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::file::RowCounts;

    fn rows(read: u64, skipped: u64, rejected: u64) -> Converted {
        let rows = RowCounts { read, skipped, rejected, used: read - skipped - rejected };
        Converted { rows, made: rows.used, rejected_records: rejected, ..Converted::default() }
    }

    #[test]
    fn records_are_counted_where_they_are_the_unit_and_one_row_stops_a_whole_file() {
        let mut converted = rows(100, 0, 40);
        (converted.made, converted.rejected_records) = (30, 1);
        let limits = |unit| RejectLimits { unit, max_count: None, max_percent: Decimal::new(50, 1) };
        assert_eq!(check(&converted, &limits(RejectUnit::Record)), None);
        assert!(check(&converted, &limits(RejectUnit::Row)).is_some());
        assert_eq!(check(&rows(100, 0, 0), &limits(RejectUnit::File)), None);
        let fault = check(&rows(100, 0, 1), &limits(RejectUnit::File)).map(|fault| fault.message);
        let expected = "1 rows were rejected, and the file is taken whole or not at all: nothing was sent";
        assert_eq!(fault.as_deref(), Some(expected));
    }

    #[test]
    fn only_strictly_more_than_the_limit_stops_the_file() {
        let limits = RejectLimits { max_count: Some(25), ..RejectLimits::default() };
        assert_eq!(check(&rows(1000, 0, 25), &limits), None);
        let fault = check(&rows(1000, 0, 26), &limits).map(|fault| fault.message);
        assert_eq!(
            fault.as_deref(),
            Some("26 rows were rejected, more than `max_count = 25` allows: nothing was sent")
        );
    }

    #[test]
    fn the_percentage_is_of_the_rows_that_were_not_skipped() {
        let limits = RejectLimits::default();
        assert_eq!(check(&rows(100, 0, 5), &limits), None);
        let fault = check(&rows(100, 50, 5), &limits).map(|fault| fault.message);
        assert_eq!(
            fault.as_deref(),
            Some("5 of 50 rows were rejected (10 %), more than `max_percent = 5.0` allows: nothing was sent")
        );
    }

    #[test]
    fn a_file_without_rows_passes() {
        assert_eq!(check(&rows(0, 0, 0), &RejectLimits::default()), None);
        assert_eq!(check(&rows(3, 3, 0), &RejectLimits::default()), None);
    }
}
