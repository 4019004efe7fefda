//! Unwrapping: what is in a compressed file, written beside it. The wrapped file stays as it came: its hash is the
//! identity, and what was in it can be taken out again.

mod archive;

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::mapped::Artifacts;
use crate::domain::reject::{FileFault, RejectCode};
use crate::domain::wrapping::{Compression, Wrapping};

/// The most memory that a compressed file may ask for: the largest window of the usual tools (`xz -9`, `zstd --long`).
const MOST_MEMORY: u32 = 128 << 20;

/// So much may come out of any file before the ratio counts.
const WITHOUT_RATIO: u64 = 1 << 20;

/// What is to be unwrapped, and how.
#[derive(Clone, Copy, Debug)]
pub struct Unwrap<'a> {
    /// The rule of the job.
    pub wrapping: &'a Wrapping,
    /// For the name within an archive.
    pub date: NaiveDate,
    /// The file is a workbook, which is an archive itself.
    pub workbook: bool,
    /// A person gave the file, repaired perhaps: without a wrapping it is taken as it is.
    pub by_hand: bool,
}

/// The file that rows are read from: the one that came, or what was in it, which is taken out when it is not there.
///
/// # Errors
/// Our own disk; what is wrong with the wrapped file is a fault of it.
pub fn content(artifacts: &Artifacts, unwrap: Option<Unwrap<'_>>) -> io::Result<Result<PathBuf, FileFault>> {
    let Some(unwrap) = unwrap else { return Ok(Ok(artifacts.landed.clone())) };
    if unwrap.by_hand && !is_wrapped(&artifacts.landed, unwrap.wrapping.compression)? {
        return Ok(Ok(artifacts.landed.clone()));
    }
    if artifacts.plain.exists() {
        return Ok(Ok(artifacts.plain.clone()));
    }
    let part = artifacts.plain.with_extension("plain-part");
    let output = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    let outcome = take_out(&artifacts.landed, &output, &unwrap, u64::MAX);
    match outcome {
        Ok(()) => {
            fs::rename(&part, &artifacts.plain)?;
            Ok(Ok(artifacts.plain.clone()))
        }
        Err(stop) => {
            // The half may be what fills the disk; that it cannot be removed is not worth hiding the real fault.
            let _ = fs::remove_file(&part);
            stop.fault().map(Err)
        }
    }
}

/// The same for a look at a landed file: what is taken out goes away with the handle. After `most` bytes it ends.
///
/// # Errors
/// Our own disk; what is wrong with the wrapped file is a fault of it.
pub fn opened(landed: &Path, unwrap: Option<Unwrap<'_>>, most: u64) -> io::Result<Result<File, FileFault>> {
    let Some(unwrap) = unwrap else { return File::open(landed).map(Ok) };
    if unwrap.by_hand && !is_wrapped(landed, unwrap.wrapping.compression)? {
        return File::open(landed).map(Ok);
    }
    let mut output = tempfile::tempfile()?;
    match take_out(landed, &output, &unwrap, most) {
        Ok(()) => {
            output.rewind()?;
            Ok(Ok(output))
        }
        Err(stop) => stop.fault().map(Err),
    }
}

/// Why nothing can be taken out.
enum Stop {
    /// Our own disk.
    Ours(io::Error),
    /// The wrapped file.
    Archive(String),
}

impl Stop {
    fn fault(self) -> io::Result<FileFault> {
        match self {
            Self::Ours(error) => Err(error),
            Self::Archive(message) => {
                Ok(FileFault { code: RejectCode::BadArchive, row: None, byte: 0, column: None, message })
            }
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Ours(error)
    }
}

fn take_out(landed: &Path, output: &File, unwrap: &Unwrap<'_>, most: u64) -> Result<(), Stop> {
    let Unwrap { wrapping, date, workbook, .. } = *unwrap;
    let wrapped = File::open(landed)?;
    let size = wrapped.metadata()?.len();
    let mut plain = Plain { output, most, written: 0, wrapped: size, wrapping, head: Vec::new() };
    if size > 0 {
        check_head(landed, wrapping.compression)?;
        let input = BufReader::with_capacity(1 << 18, wrapped);
        match wrapping.compression {
            Compression::Gzip => plain.fill(flate2::bufread::MultiGzDecoder::new(input))?,
            Compression::Bzip2 => plain.fill(bzip2::bufread::MultiBzDecoder::new(input))?,
            Compression::Xz => plain.fill(lzma_rust2::XzReader::new_mem_limit(input, true, MOST_MEMORY >> 10))?,
            Compression::Zstd => {
                let mut reader = zstd::Decoder::with_buffer(input)?;
                reader.window_log_max(MOST_MEMORY.trailing_zeros())?;
                plain.fill(reader)?;
            }
            Compression::Zip => archive::member(input, wrapping.member.as_ref(), date, &mut |entry| plain.fill(entry))?,
        }
    }
    match Compression::of_magic(&plain.head) {
        Some(Compression::Zip) if workbook => {}
        Some(inner) => {
            let (outer, inner) = (wrapping.compression.word(), inner.word());
            return Err(Stop::Archive(format!(
                "in the {outer} file lies a {inner} file; one wrapping is taken off, not two"
            )));
        }
        None => {}
    }
    plain.output.sync_all()?;
    Ok(())
}

fn is_wrapped(landed: &Path, compression: Compression) -> io::Result<bool> {
    let mut head = Vec::new();
    File::open(landed)?.take(8).read_to_end(&mut head)?;
    Ok(head.starts_with(compression.magic()))
}

fn check_head(landed: &Path, wanted: Compression) -> Result<(), Stop> {
    let mut head = Vec::new();
    File::open(landed)?.take(8).read_to_end(&mut head)?;
    if head.starts_with(wanted.magic()) || (wanted == Compression::Zip && head.starts_with(b"PK\x05\x06")) {
        return Ok(());
    }
    let looks = match Compression::of_magic(&head) {
        Some(other) => format!("it begins like a {} file", other.word()),
        None => "it does not begin like one".to_owned(),
    };
    Err(Stop::Archive(format!("this is no {} file: {looks}", wanted.word())))
}

/// What comes out, as long as it stays within the limits.
struct Plain<'a> {
    output: &'a File,
    /// So much is enough.
    most: u64,
    written: u64,
    wrapped: u64,
    wrapping: &'a Wrapping,
    /// Its first bytes.
    head: Vec<u8>,
}

impl Plain<'_> {
    fn fill(&mut self, mut reader: impl Read) -> Result<(), Stop> {
        let mut buffer = vec![0; 1 << 18];
        while self.written < self.most {
            let count = match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Stop::Archive(self.broken(&error))),
            };
            self.written += count as u64;
            self.check_limits()?;
            if self.head.len() < 8 {
                self.head.extend(buffer[..count].iter().take(8 - self.head.len()));
            }
            self.output.write_all(&buffer[..count])?;
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), Stop> {
        let Wrapping { max_size, max_ratio, .. } = *self.wrapping;
        let kind = self.wrapping.compression.word();
        if self.written > max_size {
            let message =
                format!("more than {max_size} bytes come out of the {kind} file, which is `[format] max_size`");
            return Err(Stop::Archive(message));
        }
        if self.written > WITHOUT_RATIO && self.written > self.wrapped.saturating_mul(max_ratio) {
            let message = format!(
                "more than {max_ratio} times its size comes out of the {kind} file of {} bytes, which is `[format] max_ratio`",
                self.wrapped
            );
            return Err(Stop::Archive(message));
        }
        Ok(())
    }

    fn broken(&self, error: &io::Error) -> String {
        let (kind, after) = (self.wrapping.compression.word(), self.written);
        let reason = if error.kind() == io::ErrorKind::UnexpectedEof {
            "it ends too early".to_owned()
        } else {
            error.to_string()
        };
        format!("the {kind} file is damaged, {after} bytes into what is in it: {reason}")
    }
}
