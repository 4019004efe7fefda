//! JSON records as they are, with something before, between and behind them: a list, one bare record, or the variables of a
//! GraphQL request.

use super::{RecordWriter, Refused};

/// Writes records as they are.
pub struct JsonWriter {
    before: Vec<u8>,
    between: &'static [u8],
    behind: Vec<u8>,
    written: bool,
}

impl JsonWriter {
    /// With `between` between two records.
    pub fn new(before: &str, between: &'static [u8], behind: &str) -> Self {
        Self { before: before.as_bytes().to_vec(), between, behind: behind.as_bytes().to_vec(), written: false }
    }

    /// A list, or one record alone.
    pub fn list(alone: bool) -> Self {
        if alone { Self::new("", b",", "") } else { Self::new("[", b",", "]") }
    }

    /// A GraphQL query with the records in one of its variables.
    pub fn graphql(query: &str, variable: &str, variables: &[(String, String)], alone: bool) -> Self {
        let others: String = variables.iter().map(|(name, json)| format!("{}:{json},", quoted(name))).collect();
        let (open, close) = if alone { ("", "") } else { ("[", "]") };
        let before = format!("{{\"query\":{},\"variables\":{{{others}{}:{open}", quoted(query), quoted(variable));
        Self::new(&before, b",", &format!("{close}}}}}"))
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl RecordWriter for JsonWriter {
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.written = false;
        out.extend_from_slice(&self.before);
    }

    fn record(&mut self, record: &[u8], out: &mut Vec<u8>, _refused: &mut Vec<Refused>) {
        if std::mem::replace(&mut self.written, true) {
            out.extend_from_slice(self.between);
        }
        out.extend_from_slice(record);
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(&self.behind);
        Ok(())
    }

    fn tail(&self) -> usize {
        self.behind.len()
    }
}

/// Writes a GraphQL mutation with one aliased field for each record: `r0: createOrder(input: $r0) { id }`.
pub struct AliasWriter {
    field: String,
    record_type: String,
    variables: Vec<(String, String)>,
    count: usize,
}

impl AliasWriter {
    /// `field` has `$record` where the record goes.
    pub fn new(field: &str, record_type: &str, variables: &[(String, String)]) -> Self {
        let (field, record_type) = (field.to_owned(), record_type.to_owned());
        Self { field, record_type, variables: variables.to_vec(), count: 0 }
    }

    fn query(&self) -> String {
        let declared: Vec<String> = (0..self.count).map(|at| format!("$r{at}: {}", self.record_type)).collect();
        let fields = (0..self.count).map(|at| format!("r{at}: {}", self.field.replace("$record", &format!("$r{at}"))));
        format!("mutation ({}) {{ {} }}", declared.join(", "), fields.collect::<Vec<_>>().join(" "))
    }
}

impl RecordWriter for AliasWriter {
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.count = 0;
        out.extend_from_slice(b"{\"variables\":{");
        for (name, json) in &self.variables {
            out.extend_from_slice(format!("{}:{json},", quoted(name)).as_bytes());
        }
    }

    fn record(&mut self, record: &[u8], out: &mut Vec<u8>, _refused: &mut Vec<Refused>) {
        let comma = if self.count > 0 { "," } else { "" };
        out.extend_from_slice(format!("{comma}\"r{}\":", self.count).as_bytes());
        out.extend_from_slice(record);
        self.count += 1;
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(format!("}},\"query\":{}}}", quoted(&self.query())).as_bytes());
        Ok(())
    }

    fn tail(&self) -> usize {
        (self.count + 1) * (self.field.len() + self.record_type.len() + 16)
    }
}
