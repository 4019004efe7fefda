//! Records → requests that are no plain JSON: another format, an envelope around it, an address of their own, packed.
//!
//! The payload spool keeps the records of a batch as JSON, whatever is sent: so answers find their records and a batch can be
//! split. What is sent is made of that JSON by the rules alone, is hashed when the batch is sealed, and is compared before it
//! leaves.

pub mod kept;

use sha2::{Digest, Sha256};

use super::address::Address;
use super::output;
use super::spec::{MappingSpec, OutputFormat};
use super::version::hex;
use crate::domain::job::BatchRule;
use crate::domain::name::Sha256Hex;
use crate::domain::request::{BodyRule, SoapVersion};
use crate::format::write::json::{AliasWriter, JsonWriter};
use crate::format::write::multipart::{BOUNDARY, MultipartWriter};
use crate::format::write::xml::{XmlStyle, XmlWriter};
use crate::format::write::{RecordWriter, Refused};

/// The default envelope's body; `{records}` stands for the document.
const RECORDS: &str = "{records}";

/// A request as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Path and query; `None`: those of the target.
    pub path: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Of everything that depends on the records.
    pub fn sha256(&self) -> Sha256Hex {
        let mut hasher = Sha256::new();
        hasher.update(self.path.as_deref().unwrap_or_default());
        hasher.update([0]);
        hasher.update(&self.body);
        hex(&hasher.finalize())
    }
}

/// Makes requests of records.
pub struct Encoder {
    writer: Box<dyn RecordWriter>,
    address: Option<Address>,
    rule: BatchRule,
    path: Option<String>,
}

impl Encoder {
    /// For the requests of a job; `None`: the JSON of the records is the body, and the address is fixed.
    pub fn new(spec: &MappingSpec, rule: &BatchRule) -> Option<Self> {
        let request = &rule.request;
        let plain = matches!(spec.output.format, OutputFormat::Json | OutputFormat::Jsonl);
        if plain && request.path.is_none() && request.body == BodyRule::Output && !request.gzip {
            return None;
        }
        let address = request.path.as_ref().map(|path| Address::new(path, spec));
        Some(Self { writer: writer(spec, rule), address, rule: rule.clone(), path: None })
    }

    /// The rule that it follows.
    pub(super) fn rule(&self) -> &BatchRule {
        &self.rule
    }

    /// The request of some records.
    ///
    /// # Errors
    /// What the writer says at its end, or of a record that could not have been sealed.
    pub fn encode(&mut self, records: &[&[u8]]) -> Result<Request, String> {
        let (mut body, mut refused) = (Vec::new(), Vec::new());
        self.begin(&mut body);
        for record in records {
            self.record(record, &mut body, &mut refused);
        }
        self.end(&mut body)?;
        match refused.first() {
            Some(refused) => Err(format!("a sealed record {}", refused.message)),
            None => Ok(self.request(body)),
        }
    }

    /// The request of the body that was written since `begin`.
    pub fn request(&mut self, body: Vec<u8>) -> Request {
        let body = if self.rule.request.gzip { packed(&body) } else { body };
        Request { path: self.path.take(), body }
    }
}

/// gzip (RFC 1952) without a time or a name, by a packer that is the same on every processor: the same bytes must come out the
/// same wherever a batch is sent again.
fn packed(body: &[u8]) -> Vec<u8> {
    const HEAD: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut crc = flate2::Crc::new();
    crc.update(body);
    let mut packed = HEAD.to_vec();
    packed.extend(miniz_oxide::deflate::compress_to_vec(body, 6));
    packed.extend(crc.sum().to_le_bytes());
    packed.extend((body.len() as u32).to_le_bytes());
    packed
}

impl RecordWriter for Encoder {
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.path = None;
        self.writer.begin(out);
    }

    fn record(&mut self, record: &[u8], out: &mut Vec<u8>, refused: &mut Vec<Refused>) {
        match self.address.as_ref().map(|address| address.fill(record)).transpose() {
            Ok(path) => self.path = path,
            Err(one) => refused.push(one),
        }
        self.writer.record(record, out, refused);
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        self.writer.end(out)
    }

    fn tail(&self) -> usize {
        self.writer.tail()
    }
}

fn writer(spec: &MappingSpec, rule: &BatchRule) -> Box<dyn RecordWriter> {
    let alone = super::batch::is_alone(rule);
    let in_format = || -> Box<dyn RecordWriter> {
        match (output::writer(spec), spec.output.format) {
            (Some(writer), _) => writer,
            (None, OutputFormat::Jsonl) => Box::new(JsonWriter::new("", b"\n", "\n")),
            (None, _) => match &rule.wrap {
                Some(wrap) => {
                    Box::new(JsonWriter::new(&format!("{{{}:[", serde_json::Value::from(wrap.as_str())), b",", "]}"))
                }
                None => Box::new(JsonWriter::list(alone)),
            },
        }
    };
    match &rule.request.body {
        BodyRule::Output => in_format(),
        BodyRule::Nothing => Box::new(Nothing),
        BodyRule::Multipart { part, file_name, fields } => {
            let kind = content_type(spec.output.format);
            Box::new(MultipartWriter::new(in_format(), (part, file_name, kind), fields))
        }
        BodyRule::GraphQl { query, variable, variables } => {
            Box::new(JsonWriter::graphql(query, variable, variables, alone))
        }
        BodyRule::Aliases { field, record_type, variables } => {
            Box::new(AliasWriter::new(field, record_type, variables))
        }
        BodyRule::Soap { version, envelope, .. } => Box::new(soap(spec, *version, envelope.as_deref())),
    }
}

fn soap(spec: &MappingSpec, version: SoapVersion, envelope: Option<&str>) -> XmlWriter {
    let file = &spec.output.file;
    let each = file.each.as_deref().unwrap_or(output::XML_EACH);
    let document = XmlStyle::document(each, file.namespace.as_deref(), output::encoding(file));
    let (declaration, root) = document.before.split_once('\n').unwrap_or_default();
    let plain = format!(
        "<soap:Envelope xmlns:soap=\"{}\"><soap:Body>{RECORDS}</soap:Body></soap:Envelope>",
        version.namespace()
    );
    let (before, behind) = envelope.unwrap_or(&plain).split_once(RECORDS).unwrap_or_default();
    let before = format!("{declaration}\n{before}{root}");
    let behind = format!("{}{behind}", document.behind);
    XmlWriter::new(output::columns(spec), XmlStyle { before, behind, ..document })
}

/// Nothing is sent but the address.
struct Nothing;

impl RecordWriter for Nothing {
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    fn record(&mut self, _record: &[u8], _out: &mut Vec<u8>, _refused: &mut Vec<Refused>) {}

    fn end(&mut self, _out: &mut Vec<u8>) -> Result<(), String> {
        Ok(())
    }

    fn tail(&self) -> usize {
        0
    }
}

/// The media type of a format.
pub fn content_type(format: OutputFormat) -> &'static str {
    match format {
        OutputFormat::Json => "application/json",
        OutputFormat::Jsonl => "application/x-ndjson",
        OutputFormat::Form => "application/x-www-form-urlencoded",
        OutputFormat::Csv => "text/csv",
        OutputFormat::Fixed => "text/plain",
        OutputFormat::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        OutputFormat::Xml => "application/xml",
    }
}

/// The headers that go with the bodies of a job: content type, encoding, action.
pub fn headers(spec: &MappingSpec, rule: &BatchRule) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    let format = spec.output.format;
    let charset = match format {
        OutputFormat::Csv | OutputFormat::Fixed | OutputFormat::Xml => {
            format!("; charset={}", output::encoding(&spec.output.file).name().to_lowercase())
        }
        _ => String::new(),
    };
    match &rule.request.body {
        BodyRule::Output if format == OutputFormat::Json => {}
        BodyRule::Output => headers.push(("content-type", format!("{}{charset}", content_type(format)))),
        BodyRule::Nothing | BodyRule::GraphQl { .. } | BodyRule::Aliases { .. } => {}
        BodyRule::Multipart { .. } => {
            headers.push(("content-type", format!("multipart/form-data; boundary={BOUNDARY}")));
        }
        BodyRule::Soap { version: SoapVersion::V11, action, .. } => {
            headers.push(("content-type", format!("text/xml{charset}")));
            headers.push(("accept", "text/xml".to_owned()));
            headers.push(("soapaction", format!("\"{action}\"")));
        }
        BodyRule::Soap { version: SoapVersion::V12, action, .. } => {
            headers.push(("content-type", format!("application/soap+xml{charset}; action=\"{action}\"")));
            headers.push(("accept", "application/soap+xml".to_owned()));
        }
    }
    if rule.request.gzip {
        headers.push(("content-encoding", "gzip".to_owned()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_never_changes_between_releases() {
        // The same key must carry the same bytes after an update of Nightferry too.
        let packed = packed(b"{\"id\":1}{\"id\":1}");
        assert_eq!(
            hex(&Sha256::digest(packed)).as_str(),
            "dd411e488b1b7f120f91dae4fd5c68952284eda90ee879932000eb94bc8bba65"
        );
    }
}
