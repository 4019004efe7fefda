//! The one file of a zip archive. Names within it choose, and are never used as names of ours.

use std::io::{Read, Seek};

use chrono::NaiveDate;
use zip::ZipArchive;
use zip::result::ZipError;

use super::Stop;
use crate::domain::file::shown_name;
use crate::domain::source::{DateTemplate, NameRule};
use crate::pipeline::collect::choose::Matcher;

/// More entries than this are not looked at.
const MOST_ENTRIES: usize = 10_000;

/// Reads the member that the glob names, or the only one, to its end; its checksum is proven at the end.
pub(super) fn member<R: Read + Seek>(
    input: R,
    glob: Option<&DateTemplate>,
    date: NaiveDate,
    take: &mut dyn FnMut(&mut dyn Read) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut archive = ZipArchive::new(input).map_err(|error| damaged(&error))?;
    if archive.has_duplicate_names() {
        return stop("the zip file has two entries of the same name, so it is not certain which one is meant");
    }
    if archive.len() > MOST_ENTRIES {
        return stop(&format!("the zip file has {} entries, more than {MOST_ENTRIES}", archive.len()));
    }
    if archive.has_overlapping_entries().map_err(|error| damaged(&error))? {
        return stop("entries of the zip file lie over each other, which no honest tool writes");
    }
    let at = chosen(&mut archive, glob, date)?;
    let mut entry = archive.by_index(at).map_err(|error| damaged(&error))?;
    take(&mut entry)
}

/// Which entry is meant: folders do not count.
fn chosen<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    glob: Option<&DateTemplate>,
    date: NaiveDate,
) -> Result<usize, Stop> {
    let matcher = glob.map(|glob| Matcher::new(&NameRule::Globs(vec![glob.clone()]), date)).transpose();
    let matcher = matcher.map_err(Stop::Archive)?;
    let (mut found, mut names) = (Vec::new(), Vec::new());
    for at in 0..archive.len() {
        let entry = archive.by_index_raw(at).map_err(|error| damaged(&error))?;
        let name = shown_name(entry.name_raw());
        if entry.is_dir() {
            continue;
        }
        if matcher.as_ref().is_none_or(|matcher| matcher.look(entry.name_raw()).is_some()) {
            found.push((at, name.clone(), entry.encrypted(), entry.is_symlink(), leads_elsewhere(entry.name_raw())));
        }
        names.push(format!("`{name}`"));
    }
    let list = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    match found.as_slice() {
        [(at, _, false, false, false)] => Ok(*at),
        [(_, name, true, ..)] => stop(&format!("`{name}` in the zip file is encrypted")),
        [(_, name, _, true, _)] => stop(&format!("`{name}` in the zip file is a link, not a file")),
        [(_, name, ..)] => stop(&format!("the name `{name}` in the zip file leads elsewhere")),
        [] if names.is_empty() => stop("there is no file in the zip file"),
        [] => stop(&format!("nothing in the zip file matches `archive_member`; it holds {list}")),
        several => stop(&format!(
            "{} files in the zip file could be meant, and one is taken: name it with `archive_member`; it holds {list}",
            several.len()
        )),
    }
}

fn leads_elsewhere(name: &[u8]) -> bool {
    name.starts_with(b"/") || name.contains(&b'\\') || name.split(|byte| *byte == b'/').any(|part| part == b"..")
}

fn damaged(error: &ZipError) -> Stop {
    Stop::Archive(format!("the zip file is damaged: {error}"))
}

fn stop<T>(message: &str) -> Result<T, Stop> {
    Err(Stop::Archive(message.to_owned()))
}
