//! The books as CSV for a spreadsheet: UTF-8 with a byte order mark, every cell quoted, and no cell that a spreadsheet would
//! take for a formula.

use super::books::Books;
use super::document::instant;
use super::reconciliation::{amounts_of, note_of, state_of_break, state_of_file, what_of};
use crate::domain::file::shown_name;

/// What Excel on Windows needs to read UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

const HEAD: [&str; 15] = [
    "run",
    "job",
    "business date",
    "section",
    "what",
    "unit",
    "expected",
    "found",
    "difference",
    "tolerance",
    "result",
    "age (days)",
    "amount",
    "reason",
    "note",
];

/// The reconciliations of some runs, a line for each thing that is compared.
pub fn csv(books: &[Books]) -> String {
    let mut text = BYTE_ORDER_MARK.to_owned();
    push(&mut text, &HEAD.map(str::to_owned));
    for one in books {
        rows(one).iter().for_each(|row| push(&mut text, row));
    }
    text
}

fn rows(books: &Books) -> Vec<[String; 15]> {
    let (rows, records) = books.totals();
    let none = String::new;
    let start = |section: &str, what: &str| {
        let mut row: [String; 15] = Default::default();
        row[0] = books.run.id.to_string();
        row[1] = books.run.job.to_string();
        row[2] = books.run.business_date.to_string();
        row[3] = section.to_owned();
        row[4] = what.to_owned();
        row
    };
    let mut all = vec![{
        let mut row = start("result", books.run.state.word());
        row[10] = books.result().word().to_owned();
        row[14] = books.run.error.as_ref().map_or_else(none, |error| format!("{}: {}", error.code, error.message));
        row
    }];
    let counts = [
        ("rows", "read", rows.read),
        ("rows", "skipped", rows.skipped),
        ("rows", "rejected", rows.rejected),
        ("rows", "used", rows.used),
        ("records", "made", records.made),
        ("records", "accepted", records.accepted),
        ("records", "refused", records.refused),
        ("records", "unanswered", records.unanswered),
        ("records", "pending", records.pending),
    ];
    for (section, what, count) in counts {
        let mut row = start(section, what);
        row[7] = count.to_string();
        all.push(row);
    }
    for line in books.lines() {
        let mut row = start(line.section, &line.what);
        (row[5], row[6], row[7]) = (line.unit, machine(&line.expected), machine(&line.found));
        (row[8], row[9], row[10]) = (machine(&line.difference), line.tolerance, line.result.word().to_owned());
        all.push(row);
    }
    for one in &books.breaks {
        let mut row = start("break", &format!("{}: {}", one.kind.title(), what_of(one)));
        (row[6], row[7], row[10]) = (one.expected.clone(), one.found.clone(), state_of_break(one));
        (row[11], row[12]) = (books.age_of(one).to_string(), amounts_of(one));
        (row[13], row[14]) = (one.reason.clone().unwrap_or_default(), note_of(one));
        all.push(row);
    }
    let mut sign_off = start("sign-off", &books.sign_off_words());
    sign_off[14] = books.sign_offs.last().map_or_else(none, |last| format!("{} {}", instant(last.at), last.note));
    all.push(sign_off);
    for file in &books.files {
        let mut row = start("file", &shown_name(&file.name));
        row[7] = file.sha256.as_ref().map_or_else(none, |hash| format!("sha256:{hash}"));
        row[10] = state_of_file(file);
        all.push(row);
    }
    all
}

/// A number without the marks that make it readable.
fn machine(text: &str) -> String {
    let plain: String = text.chars().filter(|character| *character != ' ').collect::<String>().replace('−', "-");
    if plain.parse::<rust_decimal::Decimal>().is_ok() { plain } else { text.to_owned() }
}

fn push(text: &mut String, row: &[String]) {
    let cells: Vec<String> = row.iter().map(|cell| format!("\"{}\"", safe(cell).replace('"', "\"\""))).collect();
    *text += &cells.join(",");
    *text += "\r\n";
}

/// A cell that no spreadsheet takes for a formula: an apostrophe stands before one that begins as a formula may. Numbers are
/// left alone.
pub fn safe(cell: &str) -> String {
    const STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    let begins = cell.trim_start_matches(' ').starts_with(STARTS);
    if begins && cell.parse::<rust_decimal::Decimal>().is_err() { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t10_no_cell_is_a_formula() {
        for payload in
            ["=1+1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1+1", "＠a", "  =1"]
        {
            assert_eq!(safe(payload), format!("'{payload}"));
        }
        for plain in ["-2.50", "+3", "ORD=1", "", "0017", "a@b.example"] {
            assert_eq!(safe(plain), plain);
        }
        let mut text = String::new();
        push(&mut text, &["=cmd|' /C calc'!A0".to_owned(), "a \"b\"".to_owned()]);
        assert_eq!(text, "\"'=cmd|' /C calc'!A0\",\"a \"\"b\"\"\"\r\n");
    }

    #[test]
    fn numbers_lose_the_marks_that_people_read() {
        assert_eq!(machine("−1 204.50"), "-1204.50");
        assert_eq!(machine("318 after 317"), "318 after 317");
    }
}
