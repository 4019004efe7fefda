//! Land: copy a file whole into our own folder, prove that it is what was listed, and only then give it its name.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::error;
use super::remote_thread::{RemoteThread, Seat};
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
    let landed = fetch(remote, folder, file, &part, progress).await?;
    publish(&part, target).map_err(|error| LandFault::Remote(error.into()))?;
    Ok(landed)
}

/// Copies `file` to `part`, proven and fsynced; what cannot be proven is removed. A connection that breaks is made anew,
/// and the copy goes on where it was if the file is still the same (F07).
pub async fn fetch(
    remote: &RemoteThread,
    folder: &str,
    file: &RemoteFile,
    part: &Path,
    progress: impl Fn(u64) + Send + 'static,
) -> Result<Landed, LandFault> {
    let (folder_text, seen, part_path) = (folder.to_owned(), file.clone(), part.to_owned());
    let copied =
        remote.sit(move |seat| Copying { seat, folder: &folder_text, file: &seen }.run(&part_path, &progress)).await;
    let outcome = match copied {
        Ok(None) => Err(LandFault::Vanished),
        Ok(Some((landed, after))) => verify(file, &landed, after.as_ref()).map(|()| landed),
        Err(RemoteError::Refused { message }) => Err(LandFault::File(fault(RejectCode::Unreadable, message))),
        Err(error) => Err(LandFault::Remote(error)),
    };
    if outcome.is_err() {
        // The half copy may be what fills the disk; that it cannot be removed is not worth hiding the real fault.
        let _ = fs::remove_file(part);
    }
    outcome
}

/// Drops in a row without a byte between them that are borne.
const MOST_STALLS: u32 = 3;
/// Drops of one file that are borne, however far it comes between them.
const MOST_DROPS: u32 = 50;
/// So much of the beginning and of the end of what is held is read again before a copy goes on.
const COMPARED: u64 = 128 << 10;
/// The pause after a drop; doubled after each that brought nothing.
const PAUSE: Duration = Duration::from_millis(200);

/// One file on its way.
struct Copying<'a> {
    seat: &'a mut Seat,
    folder: &'a str,
    file: &'a RemoteFile,
}

impl Copying<'_> {
    /// Copies to the end, whatever breaks on the way; `None`: the file is gone.
    fn run(mut self, part: &Path, progress: &dyn Fn(u64)) -> Result<Option<(Landed, Option<RemoteFile>)>, RemoteError> {
        let Some(before) = self.persist(Self::stat)? else { return Ok(None) };
        let mut sink = HashedFile::create(part)?;
        let (mut drops, mut stalls) = (0, 0);
        loop {
            let held = sink.size;
            let (folder, name) = (self.folder, &self.file.name);
            let copied = self.seat.with(|remote| {
                remote.copy(folder, name, held, &mut |bytes| {
                    sink.write(bytes)?;
                    progress(sink.size);
                    Ok(())
                })
            });
            let error = match copied {
                Ok(_) => break,
                Err(error @ RemoteError::Unreachable { .. }) => error,
                Err(error) => return Err(error),
            };
            (drops, stalls) = (drops + 1, if sink.size > held { 0 } else { stalls + 1 });
            if drops > MOST_DROPS || stalls > MOST_STALLS {
                return Err(error);
            }
            tracing::info!("{error}; {} bytes are here, trying again", sink.size);
            std::thread::sleep(PAUSE * 2_u32.pow(stalls));
            if !self.persist(|copying| copying.is_the_same(&before, &sink))? {
                sink.restart()?;
            }
        }
        let after = self.persist(Self::stat)?;
        Ok(Some((sink.finish()?, after)))
    }

    fn stat(&mut self) -> Result<Option<RemoteFile>, RemoteError> {
        self.seat.with(|remote| remote.stat(self.folder, &self.file.name))
    }

    /// Does something small that may be repeated, also over a connection that breaks.
    fn persist<R>(&mut self, work: impl Fn(&mut Self) -> Result<R, RemoteError>) -> Result<R, RemoteError> {
        for stalls in 0..MOST_STALLS {
            match work(self) {
                Err(error @ RemoteError::Unreachable { .. }) => {
                    tracing::info!("{error}; trying again");
                    std::thread::sleep(PAUSE * 2_u32.pow(stalls));
                }
                done => return done,
            }
        }
        work(self)
    }

    /// Whether what is held is the beginning of the file as it is now: same size and time, and the same bytes where they
    /// are compared.
    fn is_the_same(&mut self, before: &RemoteFile, sink: &HashedFile) -> Result<bool, RemoteError> {
        let Some(now) = self.stat()? else { return Ok(false) };
        if (now.size, now.mtime) != (before.size, before.mtime) || now.mtime.is_none() || now.size.is_none() {
            return Ok(false);
        }
        for start in [0, sink.size.saturating_sub(COMPARED)] {
            let length = COMPARED.min(sink.size - start);
            let held = sink.piece(start, length)?;
            let there = self.seat.with(|remote| remote.piece(self.folder, &self.file.name, start, held.len()))?;
            if there != held {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The remote file must be, after the read, what it was in the listing; and we must hold as many bytes as it has.
fn verify(listed: &RemoteFile, landed: &Landed, after: Option<&RemoteFile>) -> Result<(), LandFault> {
    let name = String::from_utf8_lossy(&listed.name).into_owned();
    let Some(after) = after else { return Err(LandFault::Vanished) };
    // A server that says nothing of its files (F08) cannot show that one changed.
    let resized = after.size.is_some() && after.size != listed.size;
    if resized || after.mtime != listed.mtime {
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
    size: u64,
    /// Where the free space is looked at again.
    look_at: u64,
}

/// The free space is looked at once for so many bytes: the reserve is larger.
const LOOK_EVERY: u64 = 64 << 20;

impl HashedFile {
    fn create(path: &Path) -> std::io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self { file, hash: Sha256::new(), size: 0, look_at: LOOK_EVERY })
    }

    /// Takes the next bytes. Space is judged by what has arrived, never by what a server claims (F10).
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.size >= self.look_at {
            self.look_at = self.size + LOOK_EVERY;
            error::room_for_more(&self.file)?;
        }
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn restart(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        (self.hash, self.size, self.look_at) = (Sha256::new(), 0, LOOK_EVERY);
        Ok(())
    }

    fn piece(&self, start: u64, length: u64) -> std::io::Result<Vec<u8>> {
        let mut piece = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut piece, start)?;
        Ok(piece)
    }

    fn finish(self) -> std::io::Result<Landed> {
        self.file.sync_all()?;
        Ok(Landed { size: self.size, sha256: hex(&self.hash.finalize()) })
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

/// Gives a proven copy its name, for good.
pub(super) fn publish(part: &Path, target: &Path) -> std::io::Result<()> {
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
