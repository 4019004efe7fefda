//! The gate: nothing passes to the target unless the file is proven good enough.

use rust_decimal::Decimal;

use crate::domain::file::RowCounts;
use crate::domain::reject::{FileFault, RejectCode};
use crate::mapping::spec::RejectLimits;

/// The fault of a file whose rejects exceed a limit. Only strictly more than the limit stops it; the first exceeded wins.
pub fn check(rows: &RowCounts, limits: &RejectLimits) -> Option<FileFault> {
    if let Some(most) = limits.max_count
        && rows.rejected > most
    {
        let message =
            format!("{} rows were rejected, more than `max_count = {most}` allows: nothing was sent", rows.rejected);
        return Some(too_many(message));
    }
    let counted = rows.read - rows.skipped;
    let exceeded = Decimal::from(rows.rejected) * Decimal::ONE_HUNDRED > limits.max_percent * Decimal::from(counted);
    exceeded.then(|| {
        let percent = (Decimal::from(rows.rejected) * Decimal::ONE_HUNDRED / Decimal::from(counted)).round_dp(2);
        too_many(format!(
            "{} of {counted} rows were rejected ({percent} %), more than `max_percent = {}` allows: nothing was sent",
            rows.rejected, limits.max_percent
        ))
    })
}

fn too_many(message: String) -> FileFault {
    FileFault { code: RejectCode::TooManyRejects, row: None, byte: 0, column: None, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(read: u64, skipped: u64, rejected: u64) -> RowCounts {
        RowCounts { read, skipped, rejected, used: read - skipped - rejected }
    }

    #[test]
    fn only_strictly_more_than_the_limit_stops_the_file() {
        let limits = RejectLimits { max_count: Some(25), max_percent: Decimal::new(50, 1) };
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
