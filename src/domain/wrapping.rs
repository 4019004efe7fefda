//! `[format]`: how a file is wrapped, and how much may come out of it.

use super::run::words;
use super::source::DateTemplate;

/// The wrapping of a job's files. The wrapped file is what was received; rows and laws are about what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapping {
    /// How it is compressed.
    pub compression: Compression,
    /// A glob for the file within an archive; `None`: there is only one.
    pub member: Option<DateTemplate>,
    /// The most that may come out, in bytes.
    pub max_size: u64,
    /// The most that may come out of one byte.
    pub max_ratio: u64,
}

impl Wrapping {
    /// With the limits that hold where a job names none.
    pub const fn new(compression: Compression) -> Self {
        Self { compression, member: None, max_size: 16 << 30, max_ratio: 100 }
    }
}

/// `[format] compression`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `.gz`, also of several members one behind the other.
    Gzip,
    /// An archive with one file, or with one that `archive_member` names.
    Zip,
    /// `.zst`.
    Zstd,
    /// `.bz2`.
    Bzip2,
    /// `.xz`.
    Xz,
}

words!(Compression { Gzip => "gzip", Zip => "zip", Zstd => "zstd", Bzip2 => "bzip2", Xz => "xz" });

impl Compression {
    /// How such a file begins.
    pub const fn magic(self) -> &'static [u8] {
        match self {
            Self::Gzip => &[0x1f, 0x8b],
            Self::Zip => b"PK\x03\x04",
            Self::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            Self::Bzip2 => b"BZh",
            Self::Xz => &[0xfd, b'7', b'z', b'X', b'Z', 0],
        }
    }

    /// What a file that begins so looks like.
    pub fn of_magic(head: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| head.starts_with(kind.magic()))
    }
}
