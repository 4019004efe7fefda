//! Records → one file in the mapping's output format, as they come.

use std::io::{self, Write};

use super::convert::RecordSink;
use crate::format::write::RecordWriter;
use crate::mapping::chunk::Mapped;
use crate::mapping::output;
use crate::mapping::spec::MappingSpec;

/// Bytes that are collected before they are handed on.
const AT_ONCE: usize = 1 << 18;

/// Writes the file of a mapping; JSON as one record a line.
pub struct WrittenFile<W> {
    file: W,
    /// `None`: records are lines already.
    writer: Option<Box<dyn RecordWriter>>,
    waiting: Vec<u8>,
    count: u64,
}

impl<W: Write> WrittenFile<W> {
    /// Writes to `file`, which is empty.
    pub fn new(file: W, spec: &MappingSpec) -> Self {
        let mut waiting = Vec::new();
        let mut writer = output::writer(spec);
        if let Some(writer) = &mut writer {
            writer.begin(&mut waiting);
        }
        Self { file, writer, waiting, count: 0 }
    }

    /// The file, after `finish`.
    pub fn into_inner(self) -> W {
        self.file
    }

    fn hand_on(&mut self) -> io::Result<()> {
        self.file.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}

impl<W: Write> RecordSink for WrittenFile<W> {
    fn separator(&self) -> Option<u8> {
        Some(b'\n')
    }

    fn add(&mut self, mapped: &Mapped) -> io::Result<()> {
        self.count += mapped.made();
        let Some(writer) = &mut self.writer else { return self.file.write_all(&mapped.out) };
        let (mut start, mut refused) = (0, Vec::new());
        for &end in &mapped.ends {
            writer.record(mapped.out.get(start..end).unwrap_or_default(), &mut self.waiting, &mut refused);
            start = end + 1;
            if self.waiting.len() >= AT_ONCE {
                self.file.write_all(&self.waiting)?;
                self.waiting.clear();
            }
        }
        match refused.first() {
            None => Ok(()),
            // What cannot be written was rejected while the file was mapped.
            Some(refused) => Err(io::Error::other(format!("a record that was mapped {}", refused.message))),
        }
    }

    fn finish(&mut self) -> io::Result<u64> {
        if let Some(writer) = &mut self.writer {
            writer.end(&mut self.waiting).map_err(io::Error::other)?;
        }
        self.hand_on()?;
        self.file.flush()?;
        Ok(self.count)
    }
}
