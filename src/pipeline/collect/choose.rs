//! Choosing: which names of a listing are the job's, in which order, and whether their numbers leave a gap. Pure.

use std::collections::{BTreeSet, HashSet};

use chrono::NaiveDate;
use globset::GlobBuilder;
use regex::bytes::{Captures, Regex};

use super::Refused;
use super::fault;
use crate::domain::file::shown_name;
use crate::domain::reject::RejectCode;
use crate::domain::source::{DateTemplate, FileOrder, NameRule, OnGap, SequenceRule, TemplatePart};
use crate::ports::RemoteFile;

/// A rule for names, filled for a business date.
pub struct Matcher {
    patterns: Vec<Regex>,
    /// As an operator reads it.
    shown: Vec<String>,
    date: NaiveDate,
}

/// A file whose name is the job's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The file.
    pub file: RemoteFile,
    /// The number in its name.
    pub number: Option<u64>,
}

impl Matcher {
    /// Compiles the rule.
    ///
    /// # Errors
    /// The pattern and why it cannot be used; `check` has refused it before.
    pub fn new(rule: &NameRule, date: NaiveDate) -> Result<Self, String> {
        let (texts, shown) = match rule {
            NameRule::Globs(globs) => {
                let texts: Result<Vec<_>, _> = globs.iter().map(|glob| regex_of(glob, date)).collect();
                (texts?, globs.iter().map(|glob| glob.fill(date, "")).collect())
            }
            NameRule::Regex(regex) => (vec![format!(r"\A(?:{})\z", regex.fill(date, ""))], vec![regex.fill(date, "")]),
        };
        let patterns: Result<Vec<_>, _> = texts.iter().map(|text| Regex::new(text)).collect();
        Ok(Self { patterns: patterns.map_err(|error| error.to_string())?, shown, date })
    }

    /// Whether the name is the job's, and its number.
    pub fn look(&self, name: &[u8]) -> Option<Option<u64>> {
        self.patterns.iter().find_map(|pattern| {
            let found = pattern.captures(name)?;
            if found.name("date").is_some_and(|date| !is_date(date.as_bytes(), self.date)) {
                return None;
            }
            let numbered = pattern.capture_names().flatten().any(|group| group == "sequence");
            let number = number_of(&found);
            (!numbered || number.is_some()).then_some(number)
        })
    }

    /// The patterns, as an operator reads them.
    pub fn shown(&self) -> &[String] {
        &self.shown
    }
}

fn number_of(found: &Captures<'_>) -> Option<u64> {
    std::str::from_utf8(found.name("sequence")?.as_bytes()).ok()?.parse().ok()
}

/// `20261123`, `2026-11-23`, `2026.11.23`: year first, so that nothing is guessed.
fn is_date(text: &[u8], date: NaiveDate) -> bool {
    let digits: Vec<u8> = text.iter().copied().filter(u8::is_ascii_digit).collect();
    digits == date.format("%Y%m%d").to_string().as_bytes()
}

/// A glob with `{sequence}` in it as a regular expression. Each side of the number is a glob of its own.
fn regex_of(glob: &DateTemplate, date: NaiveDate) -> Result<String, String> {
    let is_number = |part: &TemplatePart| matches!(part, TemplatePart::Sequence(_));
    let mut text = String::from(r"(?s-u)\A");
    for side in glob.0.chunk_by(|a, b| !is_number(a) && !is_number(b)) {
        if let [TemplatePart::Sequence(digits)] = side {
            text.push_str(&format!("(?<sequence>[0-9]{{{},19}})", (*digits).max(1)));
            continue;
        }
        let pattern = DateTemplate(side.to_vec()).fill(date, "");
        let built = GlobBuilder::new(&pattern).literal_separator(true).build().map_err(|error| error.to_string())?;
        let whole = built.regex();
        let inner = whole.strip_prefix("(?-u)^").and_then(|rest| rest.strip_suffix('$'));
        text.push_str(inner.ok_or_else(|| format!("`{pattern}` became `{whole}`"))?);
    }
    Ok(text + r"\z")
}

/// What a listing holds for a job.
#[derive(Debug, Default)]
pub struct Choice {
    /// The job's files, by name.
    pub candidates: Vec<Candidate>,
    /// Names that may not be asked for, and the second of two that are the same.
    pub refused: Vec<Refused>,
    /// Everything else that is there.
    pub others: Vec<RemoteFile>,
}

/// Parts a listing. `companion` names the file that lies beside each one, which is itself never taken.
pub fn choose(matcher: &Matcher, companion: Option<&DateTemplate>, listed: Vec<RemoteFile>) -> Choice {
    let mut choice = Choice::default();
    for file in listed {
        if !is_plain(&file.name) {
            choice.refused.extend(strange(matcher, file));
        } else if let Some(number) = matcher.look(&file.name) {
            choice.candidates.push(Candidate { file, number });
        } else {
            choice.others.push(file);
        }
    }
    if let Some(companion) = companion {
        let names = choice.candidates.iter().filter_map(|one| companion_name(companion, matcher.date, &one.file.name));
        let companions: HashSet<Vec<u8>> = names.collect();
        let (aside, files): (Vec<_>, Vec<_>) =
            choice.candidates.into_iter().partition(|one| companions.contains(&one.file.name));
        choice.candidates = files;
        choice.others.extend(aside.into_iter().map(|one| one.file));
    }
    choice.candidates.sort_by(|a, b| a.file.name.cmp(&b.file.name));
    refuse_twins(&mut choice);
    choice
}

/// The name of the file beside `name`. A name that is not UTF-8 cannot be spelt in a template, so it has none.
pub fn companion_name(template: &DateTemplate, date: NaiveDate, name: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(name).ok().map(|name| template.fill(date, name).into_bytes())
}

/// A name that is nothing but a name.
pub fn is_plain(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/') && !name.contains(&0)
}

/// A name that leads elsewhere is refused where its last part is the job's; the folder's own `.` and `..` are not.
fn strange(matcher: &Matcher, file: RemoteFile) -> Option<Refused> {
    let last = file.name.rsplit(|byte| *byte == b'/' || *byte == b'\\').next().unwrap_or_default();
    let is_ours = matcher.look(last).is_some() || matcher.look(&file.name).is_some();
    is_ours.then(|| {
        let message = format!(
            "the server lists the name `{}`, which leads elsewhere: it is never asked for",
            shown_name(&file.name)
        );
        Refused { fault: fault(RejectCode::BadName, message), file }
    })
}

/// Of two names that are the same, or the same but for large and small letters, the second is refused: a server that
/// does not tell them apart would hand the first one over twice.
fn refuse_twins(choice: &mut Choice) {
    let mut seen = std::collections::HashMap::<Vec<u8>, Vec<u8>>::new();
    let candidates = std::mem::take(&mut choice.candidates);
    for candidate in candidates {
        let name = candidate.file.name.clone();
        match seen.entry(folded(&name)) {
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(name);
                choice.candidates.push(candidate);
            }
            std::collections::hash_map::Entry::Occupied(first) => {
                let (first, second) = (shown_name(first.get()), shown_name(&name));
                let message = if first == second {
                    format!("the server lists `{second}` twice; it is taken once")
                } else {
                    format!("`{first}` and `{second}` differ only in large and small letters; the first is taken")
                };
                choice.refused.push(Refused { fault: fault(RejectCode::NameConflict, message), file: candidate.file });
            }
        }
    }
}

fn folded(name: &[u8]) -> Vec<u8> {
    std::str::from_utf8(name).map_or_else(|_| name.to_ascii_lowercase(), |name| name.to_lowercase().into_bytes())
}

/// Puts files into the order of the job; equal ones by name.
pub fn sort(candidates: &mut [Candidate], order: FileOrder) {
    candidates.sort_by(|a, b| a.file.name.cmp(&b.file.name));
    match order {
        FileOrder::Name => {}
        FileOrder::Oldest => candidates.sort_by_key(|one| one.file.mtime),
        FileOrder::Newest => candidates.sort_by_key(|one| std::cmp::Reverse(one.file.mtime)),
        FileOrder::Sequence => candidates.sort_by_key(|one| one.number),
    }
}

/// Numbers that are missing between files that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first missing number.
    pub from: u64,
    /// The last missing number.
    pub to: u64,
    /// The first file behind the gap.
    pub behind: Vec<u8>,
}

impl Gap {
    /// `number 42 is missing before ORD_00043.csv`.
    pub fn words(&self) -> String {
        let behind = shown_name(&self.behind);
        if self.from == self.to {
            format!("number {} is missing before `{behind}`", self.from)
        } else {
            format!("numbers {} to {} are missing before `{behind}`", self.from, self.to)
        }
    }
}

/// Finds the gaps; unless they are only warned of, the files behind the first gap are left out of `candidates`.
/// `last` is the highest number that arrived before.
pub fn gaps(candidates: &mut Vec<Candidate>, rule: SequenceRule, last: Option<u64>) -> Vec<Gap> {
    let numbers: BTreeSet<u64> = candidates.iter().filter_map(|one| one.number).collect();
    let mut expected = last.map(|last| last.saturating_add(1)).or(rule.first).or(numbers.first().copied());
    let mut gaps = Vec::new();
    for number in numbers {
        let next = expected.unwrap_or(number);
        if number > next {
            let behind = candidates.iter().find(|one| one.number == Some(number)).map(|one| one.file.name.clone());
            gaps.push(Gap { from: next, to: number - 1, behind: behind.unwrap_or_default() });
            if rule.on_gap != OnGap::Warn {
                candidates.retain(|one| one.number.is_none_or(|one| one < number));
                return gaps;
            }
        }
        expected = Some(next.max(number.saturating_add(1)));
    }
    gaps
}

/// The names that share the longest beginning with a pattern: what an operator looks for when nothing matched.
pub fn nearest(patterns: &[String], others: &[RemoteFile]) -> Vec<Vec<u8>> {
    let shared = |name: &[u8]| {
        let with = |pattern: &String| name.iter().zip(pattern.as_bytes()).take_while(|(a, b)| a == b).count();
        patterns.iter().map(with).max().unwrap_or_default()
    };
    let mut names: Vec<&[u8]> = others.iter().map(|file| file.name.as_slice()).collect();
    names.sort_by_key(|name| (std::cmp::Reverse(shared(name)), name.to_vec()));
    names.into_iter().take(3).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests;
