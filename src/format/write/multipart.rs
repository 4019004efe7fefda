//! `multipart/form-data`: a file in its format, uploaded beside further fields (RFC 7578).

use super::{RecordWriter, Refused};
use crate::domain::reject::RejectCode;

/// Between the parts. The same always, because a request must be the same whenever it is made; a record that holds it is refused.
pub const BOUNDARY: &str = "nightferry-9f1c4b6a2d8e43d7a5c0";

/// Writes the parts.
pub struct MultipartWriter {
    file: Box<dyn RecordWriter>,
    before: Vec<u8>,
}

impl MultipartWriter {
    /// The records become `file` in the part `part`.
    pub fn new(
        file: Box<dyn RecordWriter>,
        (part, file_name, content_type): (&str, &str, &str),
        fields: &[(String, String)],
    ) -> Self {
        let mut before = String::new();
        for (name, value) in fields {
            before.push_str(&format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{value}\r\n",
                escaped(name)
            ));
        }
        before.push_str(&format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {content_type}\r\n\r\n",
            escaped(part),
            escaped(file_name)
        ));
        Self { file, before: before.into_bytes() }
    }
}

/// As browsers write names.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn closing() -> String {
    format!("\r\n--{BOUNDARY}--\r\n")
}

impl RecordWriter for MultipartWriter {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before);
        self.file.begin(out);
    }

    fn record(&mut self, record: &[u8], out: &mut Vec<u8>, refused: &mut Vec<Refused>) {
        let start = out.len();
        self.file.record(record, out, refused);
        let written = out.get(start..).unwrap_or_default();
        if memchr::memmem::find(written, BOUNDARY.as_bytes()).is_some() {
            let message = "or another field holds the text that ends a part of the upload".to_owned();
            refused.push(Refused { column: 0, code: RejectCode::BadCharacter, message });
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        self.file.end(out)?;
        out.extend_from_slice(closing().as_bytes());
        Ok(())
    }

    fn tail(&self) -> usize {
        self.file.tail() + closing().len()
    }
}
