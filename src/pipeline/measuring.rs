//! Between gauges and the ledger: sums as exact whole numbers, kept with the run and divided by fate.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::convert::Converted;
use crate::domain::delivery::Fate;
use crate::domain::measure::{Measure, MeasureLine, Measured};
use crate::ledger::row::{FileMeasure, NewMeasure, Portion};
use crate::mapping::gauge::{Amount, Gauge, Slot, whole};

/// A measure as a run keeps it: changed in the job, it stays as it was for the run.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptMeasure {
    title: String,
    /// `None`: it counts records.
    sum: Option<String>,
    per: Option<String>,
    tolerance: Decimal,
}

impl From<&Measure> for KeptMeasure {
    fn from(measure: &Measure) -> Self {
        let (sum, per) = match &measure.what {
            Measured::Count => (None, None),
            Measured::Sum { field, per } => (Some(field.clone()), per.clone()),
        };
        Self { title: measure.title.clone(), sum, per, tolerance: measure.tolerance }
    }
}

impl From<KeptMeasure> for Measure {
    fn from(kept: KeptMeasure) -> Self {
        let KeptMeasure { title, sum, per, tolerance } = kept;
        let what = sum.map_or(Measured::Count, |field| Measured::Sum { field, per });
        Self { title, what, tolerance }
    }
}

/// What the ledger keeps of the sums of a file. Slots of sums come first, so that their numbers are those of the batches.
pub(super) fn new_measures(measures: &[Measure], slots: &[Slot]) -> Vec<NewMeasure> {
    let row = |slot: usize, measure: u32, unit: &str, counts, scale, made| {
        let of = measures.get(measure as usize)?;
        let (slot, title, unit) = (slot as u32, of.title.clone(), unit.to_owned());
        Some(NewMeasure { slot, measure, title, unit, counts, scale, tolerance: of.tolerance, made })
    };
    let mut rows: Vec<NewMeasure> = slots
        .iter()
        .enumerate()
        .filter_map(|(at, slot)| row(at, slot.measure, &slot.unit, false, slot.scale, whole(slot.sum, slot.scale)?))
        .collect();
    for (measure, number) in measures.iter().zip(0_u32..) {
        let counts = measure.what == Measured::Count;
        if counts || !slots.iter().any(|slot| slot.measure == number) {
            rows.extend(row(rows.len(), number, "", counts, 0, 0));
        }
    }
    rows
}

/// The amounts of a batch, in units of each slot's last decimal.
pub(super) fn whole_amounts(amounts: &[Amount], measures: &[FileMeasure]) -> Vec<(u32, i64)> {
    let scale = |slot: u32| measures.iter().find(|measure| measure.slot == slot).map_or(0, |measure| measure.scale);
    amounts.iter().filter_map(|(slot, amount)| Some((*slot, whole(*amount, scale(*slot))?))).collect()
}

/// The measures of a file that was only tried: everything is pending.
pub(super) fn lines(measures: &[Measure], converted: &Converted) -> Vec<MeasureLine> {
    let zero = Decimal::ZERO;
    let line = |new: NewMeasure| {
        let made = if new.counts { Decimal::from(converted.made) } else { Decimal::new(new.made, new.scale) };
        MeasureLine {
            measure: new.measure,
            title: new.title,
            unit: new.unit,
            tolerance: new.tolerance,
            made,
            accepted: zero,
            refused: zero,
            unanswered: zero,
            pending: made,
        }
    };
    new_measures(measures, &converted.measures).into_iter().map(line).collect()
}

/// What is needed to divide the amounts of a batch.
pub struct Measuring {
    /// Reads the amounts of a record.
    pub gauge: Gauge,
    /// The sums of the file, by slot.
    sums: Vec<FileMeasure>,
    known: Vec<Slot>,
}

impl Measuring {
    /// For the measures of a file; those that count records need no reading.
    pub fn new(gauge: Gauge, measures: Vec<FileMeasure>) -> Self {
        let sums: Vec<FileMeasure> = measures.into_iter().filter(|measure| !measure.counts).collect();
        let known = sums.iter().map(|sum| Slot::known(sum.line.measure, sum.line.unit.clone(), sum.scale)).collect();
        Self { gauge, sums, known }
    }

    fn of_record(&self, record: &[u8]) -> Vec<(u32, i64)> {
        whole_amounts(&self.gauge.of_record(record, &self.known), &self.sums)
    }

    /// The amounts of some records together, as their batch carries them.
    pub fn amounts(&self, records: &[&[u8]]) -> Vec<(u32, i64)> {
        let mut sums: Vec<(u32, i64)> = Vec::new();
        for (slot, amount) in records.iter().flat_map(|record| self.of_record(record)) {
            match sums.iter_mut().find(|(known, _)| *known == slot) {
                Some((_, sum)) => *sum += amount,
                None => sums.push((slot, amount)),
            }
        }
        sums
    }

    /// The amounts of one record that was mapped anew; `None`: it has a unit, or more decimals, that the file had not.
    pub fn exact(&self, record: &[u8]) -> Option<Vec<(u32, i64)>> {
        let amounts = self.gauge.of_record(record, &self.known);
        let exact = amounts.iter().map(|(slot, amount)| {
            let sum = self.sums.get(*slot as usize).filter(|sum| sum.slot == *slot)?;
            Some((*slot, whole(*amount, sum.scale)?))
        });
        exact.collect()
    }

    /// The amounts of the records of a body by their fate.
    pub fn divide(&self, records: &[&[u8]], fates: &[Fate]) -> Vec<Portion> {
        let mut portions: Vec<Portion> =
            self.sums.iter().map(|sum| Portion { slot: sum.slot, accepted: 0, refused: 0, unanswered: 0 }).collect();
        for (record, fate) in records.iter().zip(fates) {
            for (slot, amount) in self.of_record(record) {
                let Some(portion) = portions.iter_mut().find(|portion| portion.slot == slot) else { continue };
                match fate {
                    Fate::Accepted { .. } => portion.accepted += amount,
                    Fate::Refused { .. } => portion.refused += amount,
                    Fate::Unanswered => portion.unanswered += amount,
                }
            }
        }
        portions
    }
}
