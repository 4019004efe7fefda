//! Version 3 of the SFTP protocol as bytes (draft-ietf-secsh-filexfer-02). Replies are read strictly: whatever does not
//! hold together ends the session.

/// The longest reply that is taken: 256 KiB and its head, as OpenSSH has it.
pub(super) const LONGEST_REPLY: usize = (256 << 10) + 1024;

/// The longest read that OpenSSH answers in full.
pub(super) const LONGEST_READ: u32 = 255 << 10;

pub(super) const NO_SUCH_FILE: u32 = 2;
pub(super) const END: u32 = 1;
const REGULAR: u32 = 0o100_000;
const KIND: u32 = 0o170_000;

/// A request without its id.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask<'a> {
    OpenToRead(&'a [u8]),
    Close(&'a [u8]),
    Read { handle: &'a [u8], offset: u64, length: u32 },
    LinkStat(&'a [u8]),
    Stat(&'a [u8]),
    HandleStat(&'a [u8]),
    OpenFolder(&'a [u8]),
    ReadFolder(&'a [u8]),
    Remove(&'a [u8]),
    MakeFolder(&'a [u8]),
    RemoveFolder(&'a [u8]),
    Rename(&'a [u8], &'a [u8]),
}

/// The first packet of a client.
pub(super) const INIT: [u8; 9] = [0, 0, 0, 5, 1, 0, 0, 0, 3];

impl Ask<'_> {
    /// The packet, with its length in front.
    pub(super) fn packet(self, id: u32) -> Vec<u8> {
        let mut packet = vec![0; 4];
        let (kind, texts): (u8, &[&[u8]]) = match &self {
            Ask::OpenToRead(path) => (3, &[path]),
            Ask::Close(handle) => (4, &[handle]),
            Ask::Read { handle, .. } => (5, &[handle]),
            Ask::LinkStat(path) => (7, &[path]),
            Ask::HandleStat(handle) => (8, &[handle]),
            Ask::OpenFolder(path) => (11, &[path]),
            Ask::ReadFolder(handle) => (12, &[handle]),
            Ask::Remove(path) => (13, &[path]),
            Ask::MakeFolder(path) => (14, &[path]),
            Ask::RemoveFolder(path) => (15, &[path]),
            Ask::Stat(path) => (17, &[path]),
            Ask::Rename(old, new) => (18, &[old, new]),
        };
        packet.push(kind);
        packet.extend_from_slice(&id.to_be_bytes());
        for text in texts {
            packet.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            packet.extend_from_slice(text);
        }
        match self {
            // To read, and no attributes.
            Ask::OpenToRead(_) => packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0]),
            // One attribute: the mode.
            Ask::MakeFolder(_) => packet.extend([4, 0o755].into_iter().flat_map(u32::to_be_bytes)),
            Ask::Read { offset, length, .. } => {
                packet.extend_from_slice(&offset.to_be_bytes());
                packet.extend_from_slice(&length.to_be_bytes());
            }
            _ => {}
        }
        let length = u32::try_from(packet.len() - 4).unwrap_or(u32::MAX);
        packet[..4].copy_from_slice(&length.to_be_bytes());
        packet
    }
}

/// A reply, without its id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status {
        code: u32,
        message: String,
    },
    Handle(Vec<u8>),
    /// The packet as it came; the bytes of the file begin at `DATA_AT`.
    Data(Vec<u8>),
    Names(Vec<Entry>),
    Attributes(Attributes),
}

/// Where the bytes of the file begin in a data packet: behind kind, id and their length.
pub(super) const DATA_AT: usize = 9;

/// One name of a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    /// The first sign of the line that `ls -l` would print; the only hint where the attributes are empty.
    pub(super) kind: Option<u8>,
    pub(super) attributes: Attributes,
}

/// What a server says of a file. Everything may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) size: Option<u64>,
    pub(super) mode: Option<u32>,
    pub(super) mtime: Option<i64>,
}

impl Attributes {
    /// `None` where the server does not say what it is.
    pub(super) fn is_file(&self) -> Option<bool> {
        self.mode.filter(|mode| mode & KIND != 0).map(|mode| mode & KIND == REGULAR)
    }
}

/// A reply that does not hold together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server sent {0}")]
pub(super) struct Garbage(pub(super) &'static str);

/// Reads the answer to `INIT`; whatever version and extensions it names, three is spoken.
pub(super) fn read_version(packet: &[u8]) -> Result<(), Garbage> {
    match packet {
        [2, version @ ..] if version.get(..4) >= Some(&[0, 0, 0, 3][..]) => Ok(()),
        [2, ..] => Err(Garbage("a version of SFTP below 3")),
        _ => Err(Garbage("something else than its version of SFTP")),
    }
}

/// Reads a whole packet, its length taken off.
pub(super) fn read_reply(packet: Vec<u8>) -> Result<(u32, Reply), Garbage> {
    let mut rest = Bytes(&packet);
    let kind = rest.byte()?;
    let id = rest.number()?;
    let reply = match kind {
        101 => {
            let code = rest.number()?;
            // Some servers leave the text out.
            let message = rest.text().unwrap_or_default();
            return Ok((id, Reply::Status { code, message: String::from_utf8_lossy(message).into_owned() }));
        }
        102 => Reply::Handle(match rest.text()? {
            handle if handle.len() <= 256 => handle.to_vec(),
            _ => return Err(Garbage("a handle of more than 256 bytes")),
        }),
        103 => {
            let length = rest.text()?.len();
            if !rest.0.is_empty() || length + DATA_AT != packet.len() {
                return Err(Garbage("data with a wrong length"));
            }
            return Ok((id, Reply::Data(packet)));
        }
        104 => Reply::Names(read_names(&mut rest)?),
        105 => Reply::Attributes(rest.attributes()?),
        _ => return Err(Garbage("a reply of an unknown kind")),
    };
    match rest.0 {
        [] => Ok((id, reply)),
        _ => Err(Garbage("a reply with something behind its end")),
    }
}

fn read_names(rest: &mut Bytes<'_>) -> Result<Vec<Entry>, Garbage> {
    let count = rest.number()?;
    // Not allocated by what it claims: each name takes at least twelve bytes of the packet.
    let mut names = Vec::with_capacity((rest.0.len() / 12).min(count as usize));
    for _ in 0..count {
        let name = rest.text()?.to_vec();
        let kind = rest.text()?.first().copied();
        names.push(Entry { name, kind, attributes: rest.attributes()? });
    }
    Ok(names)
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Garbage> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Garbage("a reply that is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Garbage> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u32, Garbage> {
        let taken = self.take(4)?;
        Ok(u32::from_be_bytes([taken[0], taken[1], taken[2], taken[3]]))
    }

    fn text(&mut self) -> Result<&'a [u8], Garbage> {
        let length = self.number()?;
        self.take(length as usize)
    }

    fn attributes(&mut self) -> Result<Attributes, Garbage> {
        let flags = self.number()?;
        let mut read = Attributes::default();
        if flags & 1 != 0 {
            read.size = Some(u64::from(self.number()?) << 32 | u64::from(self.number()?));
        }
        if flags & 2 != 0 {
            self.take(8)?;
        }
        if flags & 4 != 0 {
            read.mode = Some(self.number()?);
        }
        if flags & 8 != 0 {
            self.number()?;
            read.mtime = Some(i64::from(self.number()?));
        }
        if flags & 0x8000_0000 != 0 {
            for _ in 0..self.number()? {
                self.text()?;
                self.text()?;
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: u8, rest: &[u8]) -> Vec<u8> {
        [&[kind, 0, 0, 0, 7], rest].concat()
    }

    #[test]
    fn requests_are_as_the_draft_has_them() {
        assert_eq!(
            Ask::Read { handle: b"h", offset: 1, length: 2 }.packet(9),
            [0, 0, 0, 22, 5, 0, 0, 0, 9, 0, 0, 0, 1, b'h', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
        );
        assert_eq!(Ask::Remove(b"/x").packet(1), [0, 0, 0, 11, 13, 0, 0, 0, 1, 0, 0, 0, 2, b'/', b'x']);
        let made = Ask::MakeFolder(b"d").packet(1);
        assert_eq!(made[made.len() - 8..], [0, 0, 0, 4, 0, 0, 0x01, 0xed]);
    }

    #[test]
    fn replies_are_read_whole_or_not_at_all() {
        let data = packet(103, &[0, 0, 0, 2, b'a', b'b']);
        assert_eq!(read_reply(data.clone()), Ok((7, Reply::Data(data))));
        let status = packet(101, &[0, 0, 0, 2]);
        assert_eq!(read_reply(status), Ok((7, Reply::Status { code: 2, message: String::new() })));
        let sized = packet(105, &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2]);
        let attributes = Attributes { size: Some((1 << 32) + 2), ..Attributes::default() };
        assert_eq!(read_reply(sized), Ok((7, Reply::Attributes(attributes))));
    }

    #[test]
    fn f30_replies_that_lie_about_their_length_are_refused() {
        assert_eq!(read_reply(packet(103, &[0, 0, 0, 3, b'a', b'b'])), Err(Garbage("a reply that is cut off")));
        assert_eq!(read_reply(packet(103, &[0, 0, 0, 1, b'a', b'b'])), Err(Garbage("data with a wrong length")));
        assert_eq!(read_reply(packet(104, &[255, 255, 255, 255])), Err(Garbage("a reply that is cut off")));
        assert_eq!(read_reply(packet(99, &[])), Err(Garbage("a reply of an unknown kind")));
        assert_eq!(read_reply(vec![101]), Err(Garbage("a reply that is cut off")));
        let long = [&[0, 0, 1, 1][..], &[0; 257]].concat();
        assert_eq!(read_reply(packet(102, &long)), Err(Garbage("a handle of more than 256 bytes")));
        assert_eq!(read_version(&[2, 0, 0, 0, 2]), Err(Garbage("a version of SFTP below 3")));
    }
}
