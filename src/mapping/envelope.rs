//! What stands around the records of a body: it lets some of them go on in a body of their own.

use super::batch::is_alone;
use super::spec::OutputFormat;
use super::write;
use crate::domain::job::BatchRule;

/// The bytes of a body that belong to no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Before the first record: `[`, or the beginning of the object of `wrap`, or nothing.
    pub before: Vec<u8>,
    /// Behind the last one.
    pub behind: Vec<u8>,
    /// Between two records; `None`: a body holds one record alone.
    pub separator: Option<u8>,
}

impl Envelope {
    /// Of the bodies of a job.
    pub fn new(rule: &BatchRule, format: OutputFormat) -> Self {
        let separator = match format {
            _ if is_alone(rule) => None,
            OutputFormat::Jsonl => Some(b'\n'),
            _ => Some(b','),
        };
        let (mut before, mut behind) = (Vec::new(), Vec::new());
        if format == OutputFormat::Jsonl {
            behind.push(b'\n');
        } else if let Some(wrap) = &rule.wrap {
            before.push(b'{');
            write::string(&mut before, wrap);
            before.extend_from_slice(b":[");
            behind.extend_from_slice(b"]}");
        } else if separator.is_some() {
            before.push(b'[');
            behind.push(b']');
        }
        Self { before, behind, separator }
    }

    /// A body of these records.
    pub fn body(&self, records: &[&[u8]]) -> Vec<u8> {
        let mut body = self.before.clone();
        for (at, record) in records.iter().enumerate() {
            if at > 0 {
                body.extend(self.separator);
            }
            body.extend_from_slice(record);
        }
        body.extend_from_slice(&self.behind);
        body
    }

    /// The records in a body, by their lengths; `None`: they are not those of this body.
    pub fn records<'b>(&self, body: &'b [u8], lengths: &[u32]) -> Option<Vec<&'b [u8]>> {
        let mut rest = body.strip_prefix(self.before.as_slice())?.strip_suffix(self.behind.as_slice())?;
        let mut records = Vec::with_capacity(lengths.len());
        for (at, length) in lengths.iter().enumerate() {
            if let (true, Some(separator)) = (at > 0, self.separator) {
                rest = rest.strip_prefix(&[separator])?;
            }
            records.push(rest.split_off(..usize::try_from(*length).ok()?)?);
        }
        rest.is_empty().then_some(records)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_come_out_of_a_body_as_they_went_in(
            list in proptest::collection::vec("[a-z,\\[\\]\n]{0,12}", 1..9), wrap in any::<bool>(), lines in any::<bool>()
        ) {
            let wrap = wrap.then(|| "orders".to_owned());
            let rule = BatchRule { records: 9, bytes: 1 << 20, wrap, ..BatchRule::default() };
            let envelope = Envelope::new(&rule, if lines { OutputFormat::Jsonl } else { OutputFormat::Json });
            let records: Vec<&[u8]> = list.iter().map(String::as_bytes).collect();
            let lengths: Vec<u32> = records.iter().map(|record| record.len() as u32).collect();
            let body = envelope.body(&records);
            prop_assert_eq!(envelope.records(&body, &lengths), Some(records));
            prop_assert_eq!(envelope.records(&body, &[1000]), None);
        }
    }
}
