//! Proposes a mapping from a sample: what every cell agrees about becomes a recipe with its evidence, and what can be read in two
//! ways becomes a choice that `check` refuses.

use std::collections::BTreeSet;

use crate::format::encoding::{Encoding, Transcoder};
use crate::mapping::mask::Pii;

/// Most rows that are looked at.
const MOST_ROWS: usize = 10_000;

/// A proposed mapping.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Its text.
    pub text: String,
    /// Number of columns.
    pub columns: u64,
    /// Number of rows that were looked at.
    pub rows: u64,
    /// What a person has to decide.
    pub choices: Vec<String>,
}

/// Dates that people write; day and month first are told apart by a cell above 12.
const DATES: [&str; 9] =
    ["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d", "%Y/%m/%d", "%d.%m.%y"];
const MISSING: [&str; 6] = ["-", "NULL", "null", "N/A", "n/a", "NA"];

/// Proposes a mapping called `name` for a sample of a CSV file.
///
/// # Errors
/// Why nothing can be proposed.
pub fn propose(name: &str, bytes: &[u8]) -> Result<Proposal, String> {
    let (text, encoding) = decode(bytes)?;
    let delimiter = delimiter(&text);
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().map_err(|error| error.to_string())?.iter().map(str::to_owned).collect();
    if header.iter().all(|name| name.trim().is_empty()) {
        return Err("the sample has no header".to_owned());
    }
    let records = reader.records().take(MOST_ROWS).filter_map(Result::ok);
    let rows: Vec<csv::StringRecord> = records.filter(|record| record.len() == header.len()).collect();
    if rows.is_empty() {
        return Err("the sample has no rows beside its header".to_owned());
    }
    let cell = |row: &csv::StringRecord, at: usize| row.get(at).unwrap_or_default().to_owned();
    let missing: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| row.iter().map(str::trim))
        .filter(|cell| MISSING.contains(cell))
        .map(str::to_owned)
        .collect();
    let columns: Vec<Vec<String>> =
        (0..header.len()).map(|at| rows.iter().map(|row| cell(row, at)).collect()).collect();
    let mut writer = Writer { choices: Vec::new(), missing, marks: Marks::guess(&columns) };
    let text = writer.mapping(name, &header, &columns, delimiter, encoding);
    Ok(Proposal { text, columns: header.len() as u64, rows: rows.len() as u64, choices: writer.choices })
}

/// The text, and its encoding when it is not UTF-8 for certain.
fn decode(bytes: &[u8]) -> Result<(String, Option<&'static str>), String> {
    use std::io::Read as _;
    let read = |name: &'static str| {
        let mut text = String::new();
        let encoding = Encoding::parse(name).unwrap_or(Encoding::UTF_8);
        Transcoder::new(bytes, encoding).read_to_string(&mut text).ok().map(|_| text)
    };
    let wide = matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..])
        || bytes.iter().take(64).filter(|byte| **byte == 0).count() > 8;
    if wide && let Some(text) = read("utf-16") {
        return Ok((text, Some("utf-16")));
    }
    if let Some(text) = read("utf-8") {
        return Ok((text, None));
    }
    read("windows-1252").map(|text| (text, Some("windows-1252"))).ok_or("the encoding is not known".to_owned())
}

/// The one that gives the most lines the same number of cells above one.
fn delimiter(text: &str) -> u8 {
    let score = |delimiter: u8| {
        let lines: Vec<usize> =
            text.lines().take(100).map(|line| line.bytes().filter(|byte| *byte == delimiter).count()).collect();
        let first = lines.first().copied().unwrap_or(0);
        if first == 0 { 0 } else { lines.iter().filter(|count| **count == first).count() * 1000 + first }
    };
    [b';', b'\t', b'|', b','].into_iter().max_by_key(|delimiter| score(*delimiter)).unwrap_or(b',')
}

/// What the numbers of the sample say about their marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marks {
    /// No cell has one.
    None,
    /// `decimal_mark`, and `group_mark` if there is one.
    Known(char, Option<char>),
    /// `1,234` can be read in two ways.
    Unclear,
}

impl Marks {
    fn guess(columns: &[Vec<String>]) -> Self {
        let numeric = |cell: &str| {
            !cell.is_empty()
                && cell.chars().all(|c| c.is_ascii_digit() || ".,-+".contains(c))
                && cell.contains(|c: char| c.is_ascii_digit())
        };
        let cells =
            columns.iter().filter(|cells| cells.iter().all(|cell| cell.trim().is_empty() || numeric(cell.trim())));
        let (mut found, mut unclear) = (None, false);
        for cell in cells.flatten().map(|cell| cell.trim()).filter(|cell| cell.contains(['.', ','])) {
            let last = cell.rfind(['.', ',']).unwrap_or(0);
            let (mark, behind) = (if cell[last..].starts_with(',') { ',' } else { '.' }, cell.len() - last - 1);
            let other = if mark == ',' { '.' } else { ',' };
            let certain = behind != 3 || cell.contains(other);
            match (certain, cell.matches(mark).count()) {
                (true, 1) => {
                    let group = cell.contains(other).then_some(other);
                    found = match found {
                        None => Some((mark, group)),
                        Some((known, before)) if known == mark => Some((known, before.or(group))),
                        Some(_) => return Self::Unclear,
                    };
                }
                _ => unclear = true,
            }
        }
        match (found, unclear) {
            (Some((mark, group)), _) => Self::Known(mark, group),
            (None, true) => Self::Unclear,
            (None, false) => Self::None,
        }
    }

    /// A cell as a plain number.
    fn plain(self, cell: &str) -> Option<rust_decimal::Decimal> {
        let text: String = match self {
            Self::Known(decimal, group) => {
                cell.chars().filter(|c| Some(*c) != group).map(|c| if c == decimal { '.' } else { c }).collect()
            }
            Self::None | Self::Unclear => cell.replace(',', "."),
        };
        let digits = text.trim_start_matches(['-', '+']);
        let leading = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        if leading || !digits.starts_with(|c: char| c.is_ascii_digit()) { None } else { text.parse().ok() }
    }
}

struct Writer {
    choices: Vec<String>,
    missing: BTreeSet<String>,
    marks: Marks,
}

impl Writer {
    fn mapping(
        &mut self,
        name: &str,
        header: &[String],
        columns: &[Vec<String>],
        delimiter: u8,
        encoding: Option<&str>,
    ) -> String {
        let mut text = format!(
            "#:schema ../.nightferry/mapping.schema.json\n# Proposed from a sample of {} rows. Read every line: a sample is not a specification.\n\n[mapping]\nname = \"{name}\"\n\n[input]\nformat = \"csv\"\n",
            columns.first().map_or(0, Vec::len)
        );
        match encoding {
            Some("windows-1252") => {
                self.choices.push(
                    "the encoding: the sample is not UTF-8; `windows-1252` and `iso-8859-1` would both read it"
                        .to_owned(),
                );
                text.push_str("encoding = \"CHOOSE: windows-1252 or iso-8859-1\" # not UTF-8; ask the sender\n");
            }
            Some(encoding) => text.push_str(&format!("encoding = \"{encoding}\"\n")),
            None => text.push_str("encoding = \"utf-8\"\n"),
        }
        let shown = if delimiter == b'\t' { "\\t".to_owned() } else { char::from(delimiter).to_string() };
        text.push_str(&format!("delimiter = \"{shown}\"\n"));
        match self.marks {
            Marks::None => {}
            Marks::Known(decimal, group) => {
                text.push_str(&format!("decimal_mark = \"{decimal}\"\n"));
                if let Some(group) = group {
                    text.push_str(&format!("group_mark = \"{group}\"\n"));
                }
            }
            Marks::Unclear => {
                self.choices.push("the decimal mark: cells such as `1,234` can be read in two ways".to_owned());
                text.push_str("decimal_mark = \"CHOOSE: , or .\" # no cell tells: 1,234 can be read in two ways\n");
            }
        }
        if !self.missing.is_empty() {
            let words: Vec<String> = self.missing.iter().map(|word| format!("\"{word}\"")).collect();
            text.push_str(&format!("missing = [\"\", {}]\n", words.join(", ")));
        }
        text.push_str("unknown_columns = \"warn\"\n\n[fields]\n");
        let mut targets = BTreeSet::new();
        for (at, (column, cells)) in header.iter().zip(columns).enumerate() {
            if column.trim().is_empty() {
                continue;
            }
            let mut target = camel(column);
            if target.is_empty() || !targets.insert(target.clone()) {
                target = format!("column{}", at + 1);
                targets.insert(target.clone());
            }
            let (recipe, evidence) = self.recipe(column, cells);
            text.push_str(&format!("\"{target}\" = {{ {recipe} }} # {evidence}\n"));
        }
        text.push_str("\n[rejects]\nunit = \"row\"\nmax_percent = 5.0\n\n[output]\nformat = \"json\"\nomit_empty = true\n\n[sample]\n");
        for (column, cells) in header.iter().zip(columns).filter(|(column, _)| !column.trim().is_empty()) {
            let good = cells.iter().find(|cell| !self.is_missing(cell)).map_or("", String::as_str);
            let cell = pii(column).map_or(good, |pii| fictitious(pii, good));
            text.push_str(&format!("{} = {}\n", quoted(column), quoted(cell)));
        }
        text + "\n[[tests]]\nname = \"the sample row\"\nrows = [ {} ]\nexpect = [ {} ]\n"
    }

    fn is_missing(&self, cell: &str) -> bool {
        cell.trim().is_empty() || self.missing.contains(cell.trim())
    }

    /// The recipe of a column, and what speaks for it.
    fn recipe(&mut self, column: &str, cells: &[String]) -> (String, String) {
        let filled: Vec<&str> = cells.iter().map(String::as_str).filter(|cell| !self.is_missing(cell)).collect();
        let mut recipe = format!("from = {}", quoted(column));
        let blanks = filled.iter().any(|cell| cell.trim().len() < cell.len());
        let trimmed: Vec<&str> = filled.iter().map(|cell| cell.trim()).collect();
        if blanks {
            recipe.push_str(", clean = [\"trim\"]");
        }
        let personal = pii(column);
        let (kind, why) = self.kind(column, &trimmed);
        recipe.push_str(&kind);
        let distinct: BTreeSet<&&str> = trimmed.iter().collect();
        if !cells.is_empty() && filled.len() == cells.len() {
            recipe.push_str(", required = true");
            let keyed =
                ["id", "no", "nr", "number", "key", "ref"].iter().any(|end| column.to_lowercase().ends_with(end));
            if keyed && distinct.len() == cells.len() && cells.len() > 1 {
                recipe.push_str(", unique = true");
            }
        }
        if kind.is_empty()
            && personal.is_none()
            && (2..=8).contains(&distinct.len())
            && trimmed.len() >= 10 * distinct.len()
        {
            let words: Vec<String> = distinct.iter().map(|word| quoted(word)).collect();
            recipe.push_str(&format!(", enum = [{}]", words.join(", ")));
        }
        if let Some((word, _)) =
            personal.and_then(|pii| Pii::WORDS.iter().find(|(known, _)| *known == pii)).map(|(pii, word)| (word, pii))
        {
            recipe.push_str(&format!(", pii = \"{word}\""));
        }
        let example = match (personal, trimmed.first()) {
            (Some(pii), Some(cell)) => format!("; e.g. {}", pii.mask(cell)),
            (None, Some(cell)) => format!("; e.g. {}", cell.chars().take(30).collect::<String>()),
            (_, None) => String::new(),
        };
        (recipe, format!("{} of {} filled{why}{example}", filled.len(), cells.len()).replace(['\n', '\r'], " "))
    }

    /// `, type = …`, and what speaks for it.
    fn kind(&mut self, column: &str, cells: &[&str]) -> (String, String) {
        let none = (String::new(), String::new());
        if cells.is_empty() {
            return none;
        }
        let reads = |format: &str, cell: &str| {
            let read = chrono::NaiveDate::parse_from_str(cell, format).ok();
            read.is_some_and(|day| day.format(format).to_string() == cell)
        };
        let dates: Vec<&str> =
            DATES.into_iter().filter(|format| cells.iter().all(|cell| reads(format, cell))).collect();
        match dates.as_slice() {
            [] => {}
            [one] => return (format!(", type = \"date\", format = \"{one}\""), format!(", all fit {one}")),
            several => {
                let list = several.join(" or ");
                self.choices.push(format!("{column}: every date fits {list}"));
                return (format!(", type = \"date\", format = \"CHOOSE: {list}\""), format!(", all fit {list}"));
            }
        }
        let numbers: Option<Vec<rust_decimal::Decimal>> = cells.iter().map(|cell| self.marks.plain(cell)).collect();
        if let Some(numbers) = numbers {
            let decimals = numbers.iter().map(rust_decimal::Decimal::scale).max().unwrap_or(0);
            let plain = cells.iter().all(|cell| !cell.contains(['.', ',']));
            return match plain {
                true => (", type = \"integer\"".to_owned(), ", all whole numbers".to_owned()),
                false if self.marks == Marks::Unclear => (", type = \"number\"".to_owned(), ", all numbers".to_owned()),
                false => (
                    format!(", type = \"number\", decimals = {decimals}"),
                    format!(", all numbers with up to {decimals} decimals"),
                ),
            };
        }
        let all = |test: &dyn Fn(&str) -> bool| cells.iter().all(|cell| test(cell));
        if all(&|cell| cell.contains('@') && cell.contains('.') && !cell.contains(' ')) {
            return (", format = \"email\"".to_owned(), ", all have an @".to_owned());
        }
        if all(&|cell| uuid::Uuid::try_parse(cell).is_ok() && cell.len() == 36) {
            return (", format = \"uuid\"".to_owned(), ", all UUIDs".to_owned());
        }
        if all(&|cell| cell == "true" || cell == "false") {
            return (", type = \"boolean\"".to_owned(), ", all true or false".to_owned());
        }
        none
    }
}

/// A TOML text.
fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// `order_date`, `Order Date` and `OrderDate` become `orderDate`.
fn camel(column: &str) -> String {
    let mut target = String::new();
    for word in column.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            let shouts = word.chars().all(|c| !c.is_lowercase());
            let rest = if shouts { letters.as_str().to_lowercase() } else { letters.as_str().to_owned() };
            match target.is_empty() {
                true => target.extend(first.to_lowercase()),
                false => target.extend(first.to_uppercase()),
            }
            target.push_str(&rest);
        }
    }
    target
}

/// What personal data a column holds, by its name.
fn pii(column: &str) -> Option<Pii> {
    let name: String = column.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    Some(match () {
        () if has(&["mail"]) => Pii::Email,
        () if has(&["phone", "mobile", "telefon"]) => Pii::Phone,
        () if has(&["iban"]) => Pii::Iban,
        () if has(&["birth", "dob"]) => Pii::BirthDate,
        () if has(&["nationalid", "ssn", "cpr"]) => Pii::NationalId,
        () if has(&["salary", "wage"]) => Pii::Salary,
        () if has(&["street", "address"]) => Pii::Address,
        () if has(&["firstname", "lastname", "surname", "customername", "fullname", "givenname", "familyname"])
            || name == "name" =>
        {
            Pii::Name
        }
        () => return None,
    })
}

/// A cell that is nobody's, in place of somebody's.
fn fictitious(pii: Pii, cell: &str) -> &str {
    match pii {
        Pii::Email => "someone@example.com",
        Pii::Phone => "+45 12 34 56 78",
        Pii::Iban => "DE89370400440532013000",
        Pii::Name => "Example",
        Pii::Address => "Example Street 1",
        // Its form is a part of what the recipe says, so it stays a value of that form.
        Pii::BirthDate | Pii::NationalId | Pii::Salary | Pii::Health | Pii::Other => cell,
    }
}
