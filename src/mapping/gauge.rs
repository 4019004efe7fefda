//! Gauges: what a job's measures add up, read from the records as they are sent. Only jobs with measures pay for it.

use rust_decimal::Decimal;

use super::spec::{FieldSpec, MappingSpec, ValueKind};
use super::write;
use crate::domain::measure::{Measure, Measured};

/// More units of one measure than this are no units.
const MOST_UNITS: usize = 200;

/// What to read of every record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gauge {
    paths: Vec<Vec<Name>>,
    sums: Vec<Sum>,
}

/// A member of an object: its key as it stands in JSON, without the quotation marks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    key: Vec<u8>,
    list: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sum {
    measure: u32,
    /// In `paths`.
    field: usize,
    per: Option<usize>,
    minor_units: u32,
}

/// A sum of one measure and one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Position of the measure in the job.
    pub measure: u32,
    /// The value of `per`.
    pub unit: String,
    /// The sum.
    pub sum: Decimal,
    /// The sum of the absolute values.
    size: Decimal,
    /// Most decimals of one value.
    pub scale: u32,
}

/// A part of a slot's sum: its position, and the amount.
pub type Amount = (u32, Decimal);

/// The sums of a file, and of its open batch.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// In the order in which they were first seen.
    pub slots: Vec<Slot>,
    open: Vec<Amount>,
    /// Why the sums cannot be relied on.
    pub fault: Option<String>,
}

impl Totals {
    /// The slot of a measure and a unit; `None` when there are too many.
    fn slot(&mut self, measure: u32, unit: &str) -> Option<usize> {
        let known = self.slots.iter().position(|slot| slot.measure == measure && slot.unit == unit);
        if known.is_none() {
            if self.slots.iter().filter(|slot| slot.measure == measure).count() == MOST_UNITS {
                return None;
            }
            let (unit, zero) = (unit.to_owned(), Decimal::ZERO);
            self.slots.push(Slot { measure, unit, sum: zero, size: zero, scale: 0 });
        }
        known.or(Some(self.slots.len() - 1))
    }

    fn add(&mut self, measure: u32, unit: &str, amount: Decimal) {
        let Some(at) = self.slot(measure, unit) else {
            self.fault.get_or_insert_with(|| format!("`per` has more than {MOST_UNITS} different values"));
            return;
        };
        let slot = &mut self.slots[at];
        slot.scale = slot.scale.max(amount.scale());
        match (slot.sum.checked_add(amount), slot.size.checked_add(amount.abs())) {
            (Some(sum), Some(size)) => (slot.sum, slot.size) = (sum, size),
            _ => drop(self.fault.get_or_insert_with(too_big)),
        }
        let at = at as u32;
        match self.open.iter_mut().find(|(slot, _)| *slot == at) {
            Some((_, open)) => *open += amount,
            None => self.open.push((at, amount)),
        }
    }

    /// The amounts since the last call.
    pub fn take(&mut self) -> Vec<Amount> {
        std::mem::take(&mut self.open)
    }

    /// Why the sums cannot be kept exactly, if they cannot: a ledger holds 18 digits.
    pub fn why_not_exact(&self) -> Option<String> {
        let fits = |slot: &Slot| whole(slot.size, slot.scale).is_some_and(|whole| whole < 1_000_000_000_000_000_000);
        self.fault.clone().or_else(|| (!self.slots.iter().all(fits)).then(too_big))
    }
}

fn too_big() -> String {
    "the sum has more than 18 digits".to_owned()
}

/// An amount in units of its last decimal.
pub fn whole(amount: Decimal, scale: u32) -> Option<i64> {
    let shift = 10_i128.checked_pow(scale.checked_sub(amount.scale())?)?;
    i64::try_from(amount.mantissa().checked_mul(shift)?).ok()
}

impl Gauge {
    /// A gauge for the measures of a job. `None`: none of them needs to look into records.
    pub fn new(measures: &[Measure], spec: &MappingSpec) -> Option<Self> {
        let mut gauge = Self { paths: Vec::new(), sums: Vec::new() };
        for (measure, number) in measures.iter().zip(0..) {
            let Measured::Sum { field, per } = &measure.what else { continue };
            let minor_units = match field_of(spec, field).map(|field| &field.kind) {
                Some(ValueKind::Number(format)) => format.minor_units.unwrap_or(0),
                _ => 0,
            };
            let field = gauge.path(field);
            let per = per.as_ref().map(|per| gauge.path(per));
            gauge.sums.push(Sum { measure: number, field, per, minor_units });
        }
        (!gauge.sums.is_empty()).then_some(gauge)
    }

    fn path(&mut self, dotted: &str) -> usize {
        let name = |part: &str| {
            let (name, list) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
            let mut key = Vec::new();
            write::string(&mut key, name);
            Name { key: key[1..key.len() - 1].to_vec(), list }
        };
        self.paths.push(dotted.split('.').map(name).collect());
        self.paths.len() - 1
    }

    /// Adds a record. Records are our own JSON; another text is a fault of the sums.
    pub fn add(&self, record: &[u8], totals: &mut Totals) {
        let mut found = vec![Vec::new(); self.paths.len()];
        let all = 1_u64.checked_shl(self.paths.len() as u32).map_or(u64::MAX, |bit| bit - 1);
        let mut reader = Reader { paths: &self.paths, bytes: record, at: 0, found: &mut found };
        if reader.object(all, 0).is_none() {
            totals.fault.get_or_insert_with(|| "a record is not JSON".to_owned());
            return;
        }
        for sum in &self.sums {
            let unit = sum.per.and_then(|per| found[per].first()).map(|text| text_of(text)).unwrap_or_default();
            for value in &found[sum.field] {
                match number(value, sum.minor_units) {
                    Ok(Some(amount)) => totals.add(sum.measure, &unit, amount),
                    Ok(None) => {}
                    Err(()) => drop(totals.fault.get_or_insert_with(|| {
                        format!("`{}` is no number that can be added up", String::from_utf8_lossy(value))
                    })),
                }
            }
        }
    }

    /// The amounts of one record; slots are those of `known`.
    pub fn of_record(&self, record: &[u8], known: &[Slot]) -> Vec<Amount> {
        let mut totals = Totals { slots: known.to_vec(), ..Totals::default() };
        self.add(record, &mut totals);
        totals.take()
    }
}

fn field_of<'s>(spec: &'s MappingSpec, name: &str) -> Option<&'s FieldSpec> {
    spec.fields.iter().find(|field| field.name() == name)
}

impl Slot {
    /// A slot as a ledger knows it.
    pub fn known(measure: u32, unit: String, scale: u32) -> Self {
        Self { measure, unit, sum: Decimal::ZERO, size: Decimal::ZERO, scale }
    }
}

/// A JSON number, or a text that is one; `None` for null.
fn number(text: &[u8], minor_units: u32) -> Result<Option<Decimal>, ()> {
    if text == b"null" {
        return Ok(None);
    }
    let inner = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
    let parsed = std::str::from_utf8(inner).ok().and_then(|text| Decimal::from_str_exact(text).ok());
    let Some(mut number) = parsed else { return Err(()) };
    if minor_units > 0 {
        number.set_scale(number.scale() + minor_units).map_err(|_| ())?;
    }
    Ok(Some(number))
}

/// A JSON scalar as text.
fn text_of(value: &[u8]) -> String {
    match serde_json::from_slice(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(serde_json::Value::Null) | Err(_) => String::new(),
        Ok(other) => other.to_string(),
    }
}

/// Walks the JSON that we wrote: no blanks between tokens.
struct Reader<'a, 'f> {
    paths: &'a [Vec<Name>],
    bytes: &'a [u8],
    at: usize,
    /// By path, the values found.
    found: &'f mut [Vec<&'a [u8]>],
}

impl<'a> Reader<'a, '_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// The inside of a string.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            let next = memchr::memchr2(b'"', b'\\', self.bytes.get(self.at..)?)?;
            self.at += next;
            if self.bytes[self.at] == b'"' {
                self.at += 1;
                return self.bytes.get(start..self.at - 1);
            }
            self.at += 2;
        }
    }

    /// An object; `paths` are those that lead through it, at `depth`.
    fn object(&mut self, paths: u64, depth: usize) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.take(b':')?;
            let mut further = 0;
            for (number, path) in self.paths.iter().enumerate().take(64) {
                if paths & (1 << number) != 0 && path.get(depth).is_some_and(|name| name.key == key) {
                    further |= 1 << number;
                }
            }
            self.value(further, depth)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// The value of a member that `paths` name at `depth`.
    fn value(&mut self, paths: u64, depth: usize) -> Option<()> {
        match self.peek()? {
            _ if paths == 0 => self.skip(),
            b'{' => self.object(paths, depth + 1),
            b'[' => {
                self.at += 1;
                let inside = self.those(paths, |path| path.get(depth).is_some_and(|name| name.list));
                while self.peek()? != b']' {
                    self.value(inside, depth)?;
                    if self.peek()? == b',' {
                        self.at += 1;
                    }
                }
                self.at += 1;
                Some(())
            }
            _ => {
                let start = self.at;
                self.skip()?;
                let text = self.bytes.get(start..self.at)?;
                let ends = self.those(paths, |path| path.len() == depth + 1);
                for (number, found) in self.found.iter_mut().enumerate().take(64) {
                    if ends & (1 << number) != 0 {
                        found.push(text);
                    }
                }
                Some(())
            }
        }
    }

    fn those(&self, paths: u64, wanted: impl Fn(&[Name]) -> bool) -> u64 {
        let bits = self.paths.iter().enumerate().take(64);
        bits.filter(|(number, path)| paths & (1 << number) != 0 && wanted(path)).map(|(number, _)| 1 << number).sum()
    }

    /// Any value.
    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' | b'[' => {
                let mut depth = 0;
                loop {
                    match self.peek()? {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        return Some(());
                    }
                }
            }
            _ => {
                let rest = self.bytes.get(self.at..)?;
                self.at += rest.iter().position(|byte| b",}]".contains(byte)).unwrap_or(rest.len());
                Some(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(field: &str, per: Option<&str>) -> Gauge {
        let mut gauge = Gauge { paths: Vec::new(), sums: Vec::new() };
        let field = gauge.path(field);
        let per = per.map(|per| gauge.path(per));
        gauge.sums.push(Sum { measure: 0, field, per, minor_units: 0 });
        gauge
    }

    fn totals(gauge: &Gauge, records: &[&str]) -> Vec<(String, String)> {
        let mut totals = Totals::default();
        records.iter().for_each(|record| gauge.add(record.as_bytes(), &mut totals));
        assert_eq!(totals.why_not_exact(), None);
        totals.slots.into_iter().map(|slot| (slot.unit, slot.sum.to_string())).collect()
    }

    #[test]
    fn sums_are_exact_and_kept_apart_by_unit() {
        let gauge = gauge("amount.value", Some("amount.currency"));
        let records = [
            r#"{"id":"a\"}","amount":{"value":0.10,"currency":"EUR"},"x":[1,{"amount":2}]}"#,
            r#"{"amount":{"currency":"DKK","value":-7},"value":9}"#,
            r#"{"amount":{"value":0.20,"currency":"EUR"}}"#,
            r#"{"amount":{"value":null,"currency":"EUR"}}"#,
            r#"{}"#,
        ];
        let expected = [("EUR".to_owned(), "0.30".to_owned()), ("DKK".to_owned(), "-7".to_owned())];
        assert_eq!(totals(&gauge, &records), expected);
    }

    #[test]
    fn the_entries_of_a_list_are_added_up_and_texts_may_be_numbers() {
        let gauge = gauge("lines[].total", None);
        let records = [r#"{"lines":[{"total":"1.5","no":1},{"no":2},{"total":2}],"total":100}"#];
        assert_eq!(totals(&gauge, &records), [(String::new(), "3.5".to_owned())]);
    }

    #[test]
    fn what_cannot_be_added_up_is_a_fault_and_never_left_out() {
        let gauge = gauge("n", Some("u"));
        let fault = |records: Vec<String>| {
            let mut totals = Totals::default();
            records.iter().for_each(|record| gauge.add(record.as_bytes(), &mut totals));
            totals.why_not_exact()
        };
        assert_eq!(fault(vec![r#"{"n":"x"}"#.into()]).unwrap(), "`\"x\"` is no number that can be added up");
        assert_eq!(fault(vec![r#"{"n":999999999999999999}"#.into()]), None);
        assert_eq!(fault(vec![r#"{"n":9999999999999999.999}"#.into()]).unwrap(), "the sum has more than 18 digits");
        let units = (0..=200).map(|unit| format!(r#"{{"n":1,"u":"{unit}"}}"#)).collect();
        assert_eq!(fault(units).unwrap(), "`per` has more than 200 different values");
        assert_eq!(fault(vec!["nonsense".into()]).unwrap(), "a record is not JSON");
    }
}
