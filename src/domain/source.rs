//! `[source]`: which files a job takes, when, and what happens to them afterwards.

use std::time::Duration;

use super::name::ConnectionName;
use super::run::words;

/// Where files come from, and which of them are the job's.
#[derive(Clone, Debug)]
pub struct Source {
    /// The connection: an `sftp` or `folder` one.
    pub connection: ConnectionName,
    /// The folder to list; a template: `{business_date:%Y-%m}` is replaced.
    pub folder: DateTemplate,
    /// Which names are the job's.
    pub names: NameRule,
    /// Which file is taken first.
    pub order: FileOrder,
    /// When a file may be taken.
    pub ready: ReadyRule,
    /// Fewer ready files than this means: not there yet.
    pub at_least: u32,
    /// The most new files that one run takes; the others wait for the next run.
    pub at_most: Option<u32>,
    /// The numbers in the names leave no gap.
    pub sequence: Option<SequenceRule>,
    /// What no file means.
    pub if_none: IfNone,
    /// The time between two listings of a run that waits.
    pub look_every: Duration,
    /// What a file of zero bytes, or with a header only, means; `None`: failed when of zero bytes, a warning when header only.
    pub empty_file: Option<EmptyFile>,
    /// What content that was settled before means.
    pub seen_before: SeenBefore,
    /// What happens to the remote file once everything has its fate.
    pub afterwards: Afterwards,
}

/// Which names of a listing are the job's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// `files`: globs, of which one must match the name.
    Globs(Vec<DateTemplate>),
    /// `regex`: a regular expression that the whole name matches. Its group `date`, if there is one, must be the business
    /// date (year first); its group `sequence` is the number of the file.
    Regex(DateTemplate),
}

/// Text with `{business_date:FORMAT}` (strptime words; plain `{business_date}` means `%Y-%m-%d`), for names of files also
/// `{file}`, and in the pattern of a name `{sequence}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DateTemplate(pub Vec<TemplatePart>);

/// A part of a `DateTemplate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// Literal text.
    Text(String),
    /// The business date in a chrono format that is known to be valid for dates.
    BusinessDate(String),
    /// The name of the file at hand.
    File,
    /// The number of the file, with at least so many digits.
    Sequence(usize),
}

impl DateTemplate {
    /// The text for a business date and a file name (empty where no file is at hand).
    pub fn fill(&self, business_date: chrono::NaiveDate, file: &str) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                TemplatePart::Text(literal) => text.push_str(literal),
                TemplatePart::BusinessDate(format) => text.push_str(&business_date.format(format).to_string()),
                TemplatePart::File => text.push_str(file),
                TemplatePart::Sequence(0) => text.push_str("{sequence}"),
                TemplatePart::Sequence(digits) => text.push_str(&format!("{{sequence:0{digits}}}")),
            }
        }
        text
    }
}

/// `[source] order`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileOrder {
    /// By the bytes of the name.
    #[default]
    Name,
    /// The oldest first.
    Oldest,
    /// The newest first.
    Newest,
    /// By the number in the name.
    Sequence,
}

words!(FileOrder { Name => "name", Oldest => "oldest", Newest => "newest", Sequence => "sequence" });

/// `[source] sequence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceRule {
    /// What a missing number means.
    pub on_gap: OnGap,
    /// The number that a sequence begins with; `None`: whatever comes first.
    pub first: Option<u64>,
    /// Whether the numbers begin again with each business date.
    pub daily: bool,
}

/// `[source] sequence.on_gap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnGap {
    /// What stands behind the gap waits for the missing number.
    Wait,
    /// What stands behind the gap is left, and the run fails.
    Fail,
    /// Everything is taken, and the gap is a warning.
    Warn,
}

words!(OnGap { Wait => "wait", Fail => "fail", Warn => "warn" });

/// `[source] ready_when`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadyRule {
    /// Taken as soon as it is seen.
    AtOnce,
    /// Two observations of equal size and mtime this far apart.
    UnchangedFor(Duration),
    /// Another file, named by this template, lies beside it.
    DoneFile(DateTemplate),
    /// Another file beside it holds its checksum.
    Checksum(DateTemplate, ChecksumKind),
}

impl ReadyRule {
    /// The template of the file that lies beside each one, if the rule has one.
    pub const fn companion(&self) -> Option<&DateTemplate> {
        match self {
            Self::AtOnce | Self::UnchangedFor(_) => None,
            Self::DoneFile(template) | Self::Checksum(template, _) => Some(template),
        }
    }
}

/// How a checksum is made; the ending of the file that holds it says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumKind {
    /// 32 hexadecimal digits.
    Md5,
    /// 40 hexadecimal digits.
    Sha1,
    /// 64 hexadecimal digits.
    Sha256,
    /// 128 hexadecimal digits.
    Sha512,
}

words!(ChecksumKind { Md5 => "md5", Sha1 => "sha1", Sha256 => "sha256", Sha512 => "sha512" });

impl ChecksumKind {
    /// Length of the checksum in hexadecimal digits.
    pub const fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha1 => 40,
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// `[source] if_none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfNone {
    /// The run waits.
    Wait,
    /// The run is done, with nothing to do.
    Succeed,
    /// The run fails.
    Fail,
}

words!(IfNone { Wait => "wait", Succeed => "succeed", Fail => "fail" });

/// `[source] empty_file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyFile {
    /// Settles with zero rows and a warning.
    Warn,
    /// The file fails.
    Fail,
    /// Settles with zero rows.
    Ok,
}

words!(EmptyFile { Warn => "warn", Fail => "fail", Ok => "ok" });

/// `[source] seen_before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenBefore {
    /// The file is passed over.
    Skip,
    /// The file fails.
    Reject,
    /// Delivered again on purpose, as a new pass with new keys.
    Process,
}

words!(SeenBefore { Skip => "skip", Reject => "reject", Process => "process" });

/// `[source] afterwards`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// The file stays where it is.
    Keep,
    /// The file is removed.
    Delete,
    /// The file is moved to this folder.
    MoveTo(DateTemplate),
}
