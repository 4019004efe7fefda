//! Land: copy a file whole into our own folder, prove that it is what was listed, and only then give it its name.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::remote_thread::RemoteThread;
use crate::domain::name::Sha256Hex;
use crate::domain::reject::{FileFault, RejectCode};
use crate::ports::{RemoteError, RemoteFile};

/// A file that is whole in our own folder.
#[derive(Clone, Debug)]
pub struct Landed {
    /// Bytes copied.
    pub size: u64,
    /// Of those bytes.
    pub sha256: Sha256Hex,
}

/// Why a file could not be landed.
#[derive(Debug)]
pub enum LandFault {
    /// It is gone since the listing: noted, nothing claimed.
    Vanished,
    /// A fault of this file; the others go on.
    File(FileFault),
    /// The remote or our own disk failed: the run cannot go on.
    Remote(RemoteError),
}

/// Copies `file` to `target`: streamed, hashed, compared with a second look at the remote side, fsynced, renamed.
/// A repeat starts over; a half copy never carries the final name.
pub async fn land(
    remote: &RemoteThread,
    folder: &str,
    file: &RemoteFile,
    target: &Path,
    progress: impl Fn(u64) + Send + 'static,
) -> Result<Landed, LandFault> {
    let part = target.with_extension("part");
    let (folder_text, seen, part_path) = (folder.to_owned(), file.clone(), part.clone());
    let copied = remote
        .call(move |remote| {
            let before = remote.stat(&folder_text, &seen.name)?;
            if before.is_none() {
                return Ok(None);
            }
            let mut sink = HashedFile::create(&part_path)?;
            let mut written = 0;
            let size = remote.copy(&folder_text, &seen.name, 0, &mut |bytes| {
                written += bytes.len() as u64;
                progress(written);
                sink.write(bytes)
            })?;
            let after = remote.stat(&folder_text, &seen.name)?;
            Ok(Some((sink.finish(size)?, after)))
        })
        .await;
    let outcome = match copied {
        Ok(None) => Err(LandFault::Vanished),
        Ok(Some((landed, after))) => verify(file, &landed, after.as_ref()).map(|()| landed),
        Err(RemoteError::Refused { message }) => Err(LandFault::File(fault(RejectCode::Unreadable, message))),
        Err(error) => Err(LandFault::Remote(error)),
    };
    match outcome {
        Ok(landed) => publish(&part, target).map(|()| landed).map_err(|error| LandFault::Remote(error.into())),
        Err(fault) => {
            // The half copy may be what fills the disk; that it cannot be removed is not worth hiding the real fault.
            let _ = fs::remove_file(&part);
            Err(fault)
        }
    }
}

/// The remote file must be, after the read, what it was in the listing; and we must hold as many bytes as it has.
fn verify(listed: &RemoteFile, landed: &Landed, after: Option<&RemoteFile>) -> Result<(), LandFault> {
    let name = String::from_utf8_lossy(&listed.name).into_owned();
    let Some(after) = after else { return Err(LandFault::Vanished) };
    if (after.size, after.mtime) != (listed.size, listed.mtime) {
        let message = format!("`{name}` changed while it was read; the copy was thrown away and a later run takes it");
        return Err(LandFault::File(fault(RejectCode::ChangedWhileReading, message)));
    }
    match after.size {
        Some(size) if size != landed.size => {
            let message = format!("the server says `{name}` has {size} bytes, but {} arrived", landed.size);
            Err(LandFault::File(fault(RejectCode::SizeMismatch, message)))
        }
        _ => Ok(()),
    }
}

fn fault(code: RejectCode, message: String) -> FileFault {
    FileFault { code, row: None, byte: 0, column: None, message }
}

/// A new file of ours, mode 0600, hashed as it is written.
struct HashedFile {
    file: File,
    hash: Sha256,
}

impl HashedFile {
    fn create(path: &Path) -> std::io::Result<Self> {
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self { file, hash: Sha256::new() })
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }

    fn finish(self, size: u64) -> std::io::Result<Landed> {
        self.file.sync_all()?;
        Ok(Landed { size, sha256: hex(&self.hash.finalize()) })
    }
}

/// Lower-case hexadecimal digits of a digest.
pub fn hex(digest: &[u8]) -> Sha256Hex {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(digest.len() * 2);
    for byte in digest {
        let _ = write!(text, "{byte:02x}");
    }
    Sha256Hex::new(text)
}

fn publish(part: &Path, target: &Path) -> std::io::Result<()> {
    fs::rename(part, target)?;
    target.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> RemoteFile {
        RemoteFile { name: name.into(), size: Some(1), mtime: Some(1) }
    }

    #[test]
    fn a_file_that_is_not_what_was_listed_is_thrown_away() {
        let landed = Landed { size: 1, sha256: Sha256Hex::new("") };
        let grown = RemoteFile { size: Some(2), ..named("a") };
        assert!(verify(&named("a"), &landed, Some(&named("a"))).is_ok());
        let Err(LandFault::File(fault)) = verify(&named("a"), &landed, Some(&grown)) else { panic!("accepted") };
        assert_eq!(fault.code, RejectCode::ChangedWhileReading);
        let Err(LandFault::File(fault)) = verify(&grown, &landed, Some(&grown)) else { panic!("accepted") };
        assert_eq!(fault.message, "the server says `a` has 2 bytes, but 1 arrived");
        assert!(matches!(verify(&named("a"), &landed, None), Err(LandFault::Vanished)));
    }
}
