//! Checksums: a landed file is compared with what the file beside it says.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::choose::companion_name;
use super::fault;
use crate::domain::file::shown_name;
use crate::domain::reject::{FileFault, RejectCode};
use crate::domain::source::{ChecksumKind, DateTemplate};
use crate::pipeline::remote_thread::RemoteThread;
use crate::ports::RemoteError;

/// The most that is read of a file with checksums.
const LONGEST: usize = 1 << 20;

/// Compares a landed file with the checksum beside the remote one. A repeat reads both again.
///
/// # Errors
/// The remote or our own disk; that they differ is a fault of the file.
pub async fn verify(
    remote: &RemoteThread,
    folder: &str,
    name: &[u8],
    (template, kind, date): (&DateTemplate, ChecksumKind, chrono::NaiveDate),
    landed: &Path,
) -> Result<Result<(), FileFault>, RemoteError> {
    let wrong = |message: String| Ok(Err(fault(RejectCode::Checksum, message)));
    let Some(beside) = companion_name(template, date, name) else {
        return wrong(format!("`{}` is not UTF-8, so no checksum can lie beside it", shown_name(name)));
    };
    let (folder, asked) = (folder.to_owned(), beside.clone());
    let read = remote.call(move |remote| {
        let mut text = Vec::new();
        remote.copy(&folder, &asked, 0, &mut |bytes| {
            text.extend_from_slice(bytes);
            if text.len() > LONGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
        })?;
        Ok(text)
    });
    let shown = shown_name(&beside);
    let text = match read.await {
        Ok(text) => text,
        Err(RemoteError::Local(_)) => return wrong(format!("`{shown}` is longer than 1 MiB, so it holds no checksum")),
        Err(RemoteError::Refused { message }) => return wrong(message),
        Err(error) => return Err(error),
    };
    let Some(declared) = declared(&text, name, kind) else {
        return wrong(format!("`{shown}` holds no {} checksum of `{}`", kind.word(), shown_name(name)));
    };
    let found = tokio::task::block_in_place(|| digest(landed, kind))?;
    if found == declared {
        return Ok(Ok(()));
    }
    let name = shown_name(name);
    wrong(format!("`{shown}` says {} {declared}, but that of `{name}` is {found}", kind.word()))
}

/// The checksum that a text holds for a name: alone, as `sha256sum` writes it, or as BSD does. A text of several lines
/// must name the file.
fn declared(text: &[u8], name: &[u8], kind: ChecksumKind) -> Option<String> {
    let lines: Vec<&[u8]> =
        text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect();
    let hex = |word: &[u8]| {
        let good = word.len() == kind.digits() && word.iter().all(u8::is_ascii_hexdigit);
        good.then(|| String::from_utf8_lossy(word).to_ascii_lowercase())
    };
    if let [line] = lines[..]
        && let Some(alone) = hex(line)
    {
        return Some(alone);
    }
    lines.iter().find_map(|line| {
        let (first, rest) = line.split_at_checked(kind.digits()).unwrap_or((line, b""));
        if let (Some(found), Some(named)) = (hex(first), rest.strip_prefix(b" ").or(rest.strip_prefix(b"\t"))) {
            let named = named.strip_prefix(b"*").unwrap_or(named.trim_ascii_start());
            return (last_part(named) == name).then_some(found);
        }
        // `SHA256 (name) = digits`
        let (head, digits) = line.rsplit_once_bytes(b" = ")?;
        let named = head.split_once_byte(b'(')?.strip_suffix(b")")?;
        hex(digits).filter(|_| last_part(named) == name)
    })
}

trait SplitBytes {
    fn rsplit_once_bytes(&self, mark: &[u8]) -> Option<(&[u8], &[u8])>;
    fn split_once_byte(&self, mark: u8) -> Option<&[u8]>;
}

impl SplitBytes for [u8] {
    fn rsplit_once_bytes(&self, mark: &[u8]) -> Option<(&[u8], &[u8])> {
        let at = memchr::memmem::rfind(self, mark)?;
        Some((&self[..at], &self[at + mark.len()..]))
    }

    /// What stands behind the first `mark`.
    fn split_once_byte(&self, mark: u8) -> Option<&[u8]> {
        memchr::memchr(mark, self).map(|at| &self[at + 1..])
    }
}

/// Senders write the path that the file had with them.
fn last_part(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or(path)
}

fn digest(path: &Path, kind: ChecksumKind) -> io::Result<String> {
    let file = File::open(path)?;
    match kind {
        ChecksumKind::Md5 => hashed::<Md5>(file),
        ChecksumKind::Sha1 => hashed::<Sha1>(file),
        ChecksumKind::Sha256 => hashed::<Sha256>(file),
        ChecksumKind::Sha512 => hashed::<Sha512>(file),
    }
}

fn hashed<D: Digest>(mut file: File) -> io::Result<String> {
    let (mut hash, mut buffer) = (D::new(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    Ok(crate::pipeline::land::hex(&hash.finalize()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_read_alone_and_in_the_forms_of_the_usual_tools() {
        let digits = "0123456789abcdef0123456789ABCDEF";
        let found = |text: String| declared(text.as_bytes(), b"a b.csv", ChecksumKind::Md5);
        let good = Some(digits.to_ascii_lowercase());
        for text in [
            format!("{digits}\r\n"),
            format!("{digits}  a b.csv\n"),
            format!("{digits} *a b.csv"),
            format!("{digits}  /out/a b.csv"),
            format!("MD5 (a b.csv) = {digits}\n"),
            format!("{}  other.csv\n{digits}  a b.csv\n", "0".repeat(32)),
        ] {
            assert_eq!(found(text.clone()), good, "{text}");
        }
        for text in [
            String::new(),
            format!("{digits}0"),
            format!("{digits}  other.csv"),
            format!("{digits}\n{digits}\n"),
            "x".repeat(32),
        ] {
            assert_eq!(found(text.clone()), None, "{text}");
        }
    }
}
