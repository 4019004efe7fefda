//! Cases: a mapping and a file that fit each other well enough to go wrong in interesting places.

use super::tape::Tape;
use super::{
    Check, Clean, Condition, Constant, Field, Kind, Lookup, Mapping, OnConflict, OnMissing, Origin, Part, Pattern,
    Rule, Test,
};

#[derive(Clone, Debug)]
pub struct Case {
    pub mapping: Mapping,
    pub file: Vec<u8>,
}

/// What the cells of a column are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Key,
    Text,
    Other,
    Word,
    Amount,
    Total,
    Quantity,
    Cents,
    Sign,
    Day,
    Until,
    Flag,
}

const COLUMNS: [(About, &str); 12] = [
    (About::Key, "Order"),
    (About::Text, "Name"),
    (About::Other, "Größe"),
    (About::Word, "Code"),
    (About::Amount, "Amount"),
    (About::Total, "Order total"),
    (About::Quantity, "Qty"),
    (About::Cents, "Cents"),
    (About::Sign, "DC"),
    (About::Day, "Day"),
    (About::Until, "Until"),
    (About::Flag, "Flag"),
];

const TEXTS: [&str; 38] = [
    "Anna",
    "",
    "a",
    "X",
    " Anna ",
    "x,y",
    "x;y",
    "say \"hi\"",
    "line\nbreak",
    "crlf\r\nin",
    "tab\tin",
    "back\\slash",
    "a  b",
    "\u{a0}x",
    "Åse",
    "ÉCOLE",
    "straße",
    "日本",
    "-",
    "NULL",
    " ",
    "N/A",
    "EXPRESS",
    "=1+1|cmd",
    "\u{1}",
    "\u{2028}",
    "e\u{301}",
    "\u{1f600}",
    "\"",
    "\"\"",
    "a\"b",
    "\r\n",
    "007",
    "ab-cd-ef",
    "\u{7f}",
    "+4512 34",
    "\t",
    "'",
];
const WORDS: [&str; 10] = ["A", "B", "C", "a", "Zzz", "Ä", "ä", "", "-", " A"];
const DATES: [(u32, u32, u32); 8] = [
    (2026, 11, 23),
    (2026, 11, 24),
    (2024, 2, 29),
    (2026, 2, 29),
    (2026, 4, 31),
    (1999, 12, 31),
    (2026, 13, 1),
    (2026, 1, 0),
];
const FORMATS: [&str; 4] = ["%d.%m.%Y", "%Y-%m-%d", "%Y%m%d", "%m/%d/%Y"];
const NUMBERS: [&str; 18] = [
    "0",
    "-0",
    "+5",
    "007",
    "1e5",
    "x",
    "5D",
    "D5",
    "1G5",
    "1G23",
    "1234G567",
    "12G345D6",
    "9007199254740993",
    " 5",
    "",
    "1234567890123456789012345678",
    "123456789012345678901234567890123456789012345678901234567890",
    "-0D00",
];

/// Makes a case of a tape of numbers. Small numbers make simple cases.
pub fn case(numbers: &[u32]) -> Case {
    let tape = &mut Tape::new(numbers);
    let grouped = tape.below(5) >= 3;
    let notation = [('.', None), (',', Some('.')), (',', None), ('.', Some(','))][tape.below(4)];
    let mut mapping = Mapping {
        delimiter: [',', ';', '\t', '|'][tape.below(4)],
        decimal_mark: notation.0,
        group_mark: notation.1,
        missing: [&[""][..], &["", "-", "NULL"], &["", "N/A"]][tape.below(3)]
            .iter()
            .map(|word| (*word).into())
            .collect(),
        true_values: None,
        false_values: None,
        skip_when: Vec::new(),
        group_by: grouped.then(|| "Order".to_owned()),
        on_conflict: [OnConflict::Reject, OnConflict::First, OnConflict::Last][tape.below(3)],
        lookups: lookups(tape),
        fields: Vec::new(),
        checks: Vec::new(),
        omit_empty: tape.below(2) == 1,
    };
    if tape.below(2) == 1 {
        mapping.true_values = Some(vec!["Y".to_owned(), "yes".to_owned()]);
        mapping.false_values = Some(vec!["N".to_owned(), "no".to_owned()]);
    }
    if tape.rarely(4) {
        mapping.skip_when = conditions(tape);
    }
    let format = FORMATS[tape.below(4)];
    fields(tape, &mut mapping, grouped, format);
    checks(tape, &mut mapping, grouped);
    let used = |lookup: &Lookup| mapping.fields.iter().any(|field| field.lookup.as_ref() == Some(&lookup.name));
    mapping.lookups = mapping.lookups.iter().filter(|lookup| used(lookup)).cloned().collect();
    let file = file(tape, &mapping, format);
    Case { mapping, file }
}

fn name(about: About) -> String {
    COLUMNS.iter().find(|(known, _)| *known == about).expect("a known column").1.to_owned()
}

fn lookups(tape: &mut Tape<'_>) -> Vec<Lookup> {
    let on_missing = |tape: &mut Tape<'_>| [OnMissing::Reject, OnMissing::Default, OnMissing::Keep][tape.below(3)];
    let text = |text: &str| Constant::Text(text.to_owned());
    let few = Lookup {
        name: "few".to_owned(),
        entries: vec![
            ("A".to_owned(), text("alpha")),
            ("B".to_owned(), Constant::Number("30".to_owned())),
            ("Ä".to_owned(), text("\"ä\"")),
            ("C".to_owned(), Constant::Boolean(true)),
        ],
        in_file: false,
        ignore_case: tape.below(2) == 1,
        on_missing: on_missing(tape),
    };
    let many = (0..40).map(|at| (format!("W{at}"), text(&format!("word {at}"))));
    let many = Lookup {
        name: "many".to_owned(),
        entries: many.chain([("A".to_owned(), text("first")), ("Ä".to_owned(), text("Ärger"))]).collect(),
        in_file: true,
        ignore_case: tape.below(2) == 1,
        on_missing: on_missing(tape),
    };
    vec![few, many]
}

/// Conditions on one or two columns.
fn conditions(tape: &mut Tape<'_>) -> Vec<Condition> {
    let first = match tape.below(5) {
        0 => (About::Word, Test::OneOf(vec!["A".to_owned()])),
        1 => (About::Word, Test::OneOf(vec!["B".to_owned(), "Zzz".to_owned()])),
        2 => (About::Quantity, Test::AtLeast(["5", "2.5"][tape.below(2)].to_owned())),
        3 => (About::Quantity, Test::AtMost(["1", "-1"][tape.below(2)].to_owned())),
        _ => (About::Other, Test::Present(tape.below(2) == 0)),
    };
    let mut conditions = vec![Condition { column: name(first.0), test: first.1 }];
    if tape.rarely(4) {
        conditions.push(Condition { column: name(About::Flag), test: Test::Present(true) });
    }
    conditions
}

fn fields(tape: &mut Tape<'_>, mapping: &mut Mapping, grouped: bool, format: &str) {
    for at in 0..1 + tape.below(9) {
        let of_line = grouped && tape.below(2) == 1;
        let nested = ["", "", "o.", "p.q."][tape.below(4)];
        let prefix = if of_line { "lines[]." } else { "" };
        let target = format!("{prefix}{nested}f{at}");
        let mut field = field(tape, mapping, &target, grouped && !of_line, format);
        if let Kind::Date(_) = field.kind {
            let of_same = |other: &&Field| matches!(other.kind, Kind::Date(_)) && other.is_of_line() == of_line;
            let other = mapping.fields.iter().rfind(of_same).map(|other| other.target.clone());
            match tape.below(3) {
                1 => field.not_before = other,
                2 => field.not_after = other,
                _ => {}
            }
        }
        mapping.fields.push(field);
    }
}

fn field(tape: &mut Tape<'_>, mapping: &Mapping, target: &str, of_group: bool, format: &str) -> Field {
    let from = |about| Origin::From(name(about));
    let number = |digits: &str| Some(Constant::Number(digits.to_owned()));
    let mut field = match tape.below(14) {
        0 | 1 => text_field(tape, target, from(About::Text)),
        2 => text_field(tape, target, from(About::Other)),
        3 => {
            let columns = [About::Other, About::Text, About::Word].map(name);
            let count = 2 + tape.below(2);
            text_field(tape, target, Origin::FirstOf(columns[..count].to_vec()))
        }
        4 => {
            let cell = |about| Part::Cell(name(about));
            let literal = Part::Text(["-", " \"ø\" ", "\\"][tape.below(3)].to_owned());
            text_field(tape, target, Origin::Template(vec![cell(About::Text), literal, cell(About::Other)]))
        }
        5 => {
            let mut field = Field::new(target, from(About::Word), Kind::Text);
            field.lookup = Some(["few", "many"][tape.below(2)].to_owned());
            if tape.below(2) == 1 {
                field.clean = vec![Clean::Trim];
            }
            if tape.below(2) == 1 {
                field.default = Some(Constant::Text("none".to_owned()));
            }
            field
        }
        6 => {
            let mut field = Field::new(target, from([About::Quantity, About::Amount][tape.below(2)]), Kind::Integer);
            (field.minimum, field.maximum) =
                [(None, None), (number("1"), None), (number("-3"), number("10"))][tape.below(3)].clone();
            if tape.rarely(3) {
                field.default = number("7");
            }
            field
        }
        7 | 8 => {
            let about = [About::Amount, About::Total, About::Quantity][tape.below(3)];
            let (decimals, minor_units) =
                [(None, None), (Some(2), None), (Some(0), None), (None, Some(2))][tape.below(4)];
            let kind = Kind::Number { decimals, implied: None, minor_units, negative_when: None };
            let mut field = Field::new(target, from(about), kind);
            if tape.rarely(3) {
                field.minimum = number("0");
            }
            if tape.rarely(4) && minor_units.is_none() {
                field.maximum = number("999.5");
            }
            field
        }
        9 => {
            let negative_when = (tape.below(2) == 1).then(|| (name(About::Sign), "D".to_owned()));
            let decimals = [None, Some(2), Some(3)][tape.below(3)];
            let kind = Kind::Number { decimals, implied: Some(2), minor_units: None, negative_when };
            Field::new(target, from(About::Cents), kind)
        }
        10 => {
            let mut field =
                Field::new(target, from([About::Day, About::Until][tape.below(2)]), Kind::Date(format.to_owned()));
            let iso = |text: &str| Some(Constant::Date(text.to_owned()));
            (field.minimum, field.maximum) =
                [(None, None), (iso("2020-01-01"), None), (None, iso("2026-11-23"))][tape.below(3)].clone();
            if tape.rarely(4) {
                field.default = iso("2026-01-02");
            }
            field
        }
        11 => {
            let mut field = Field::new(target, from(About::Flag), Kind::Boolean);
            if tape.rarely(3) {
                field.default = Some(Constant::Boolean(false));
            }
            field
        }
        12 => {
            let value = |tape: &mut Tape<'_>| match tape.below(3) {
                0 => Constant::Text("R\"USH".to_owned()),
                1 => Constant::Number("12".to_owned()),
                _ => Constant::Boolean(true),
            };
            let count = 1 + tape.below(3);
            let cases = (0..count).map(|_| (conditions(tape), value(tape))).collect();
            let mut field = Field::new(target, Origin::Cases(cases), Kind::Text);
            if tape.below(2) == 1 {
                field.default = Some(Constant::Text("NORMAL".to_owned()));
            }
            return field;
        }
        _ => {
            let constant = Constant::Number("2.5".to_owned());
            let origin = [Origin::Row, Origin::FileName, Origin::Value(constant)][tape.below(3)].clone();
            return Field::new(target, origin, Kind::Text);
        }
    };
    // What `when` means for a default, nobody has written down.
    if field.default.is_none() && tape.rarely(4) {
        let own = field.column().expect("it reads a cell");
        let present = Condition { column: own, test: Test::Present(true) };
        field.when = if of_group { vec![present] } else { conditions(tape) };
    }
    field.required = tape.rarely(4);
    let unique = matches!(field.origin, Origin::From(_)) && !field.is_of_line() && tape.rarely(12);
    field.unique = unique && mapping.fields.iter().all(|other| !other.unique);
    field
}

fn text_field(tape: &mut Tape<'_>, target: &str, origin: Origin) -> Field {
    let mut field = Field::new(target, origin, Kind::Text);
    for _ in 0..[0, 0, 1, 2, 3][tape.below(5)] {
        let text = |text: &str| text.to_owned();
        field.clean.push(match tape.below(12) {
            0 => Clean::Trim,
            1 => Clean::Squeeze,
            2 => Clean::Upper,
            3 => Clean::Lower,
            4 => Clean::Digits,
            5 => Clean::Ascii,
            6 => Clean::PadLeft([8, 3][tape.below(2)], ['0', 'ø', '"'][tape.below(3)]),
            7 => Clean::Remove(text(tape.pick(&["-", " a\"", "日\n"]))),
            8 => {
                let (from, to) = [("a", "b"), ("an", ""), ("x", "\"x\""), ("-", "\n")][tape.below(4)];
                Clean::Replace(text(from), text(to))
            }
            9 => {
                let (first, last) = [(1, 3), (2, 2), (3, 100)][tape.below(3)];
                Clean::Take(first, last)
            }
            10 => Clean::After(text(tape.pick(&["-", " ", "nn"]))),
            _ => Clean::Before(text(tape.pick(&["-", "\"", "b"]))),
        });
    }
    match tape.below(8) {
        1 => field.default = Some(Constant::Text(tape.pick(&["", "none", "d\"q"]).to_owned())),
        2 => field.allowed = ["Anna", "a", "X", "ANNA"].map(str::to_owned).to_vec(),
        3 => field.pattern = Some(Pattern::ALL[tape.below(Pattern::ALL.len())]),
        4 => field.min_length = Some(2),
        5 => field.max_length = Some(4),
        6 => {
            field.pattern = Some(Pattern::HoldsA);
            (field.min_length, field.max_length) = (Some(3), Some(3));
        }
        _ => {}
    }
    field
}

fn checks(tape: &mut Tape<'_>, mapping: &mut Mapping, grouped: bool) {
    let amount = Kind::Number { decimals: Some(2), implied: None, minor_units: None, negative_when: None };
    let required = |target: &str, about: About, kind: Kind| {
        let mut field = Field::new(target, Origin::From(name(about)), kind);
        field.required = true;
        field
    };
    let rule = match tape.below(6) {
        1 | 2 if grouped => {
            mapping.fields.push(required("total", About::Total, amount.clone()));
            mapping.fields.push(required("lines[].amount", About::Amount, amount));
            let tolerance = [None, Some("0.01".to_owned())][tape.below(2)].clone();
            Rule::SumEquals { sum: "lines[].amount".to_owned(), equals: "total".to_owned(), tolerance }
        }
        3 if !grouped => {
            mapping.fields.push(required("left", About::Amount, amount.clone()));
            mapping.fields.push(required("right", About::Total, amount));
            Rule::FieldEquals { field: "left".to_owned(), equals: "right".to_owned() }
        }
        4 => {
            let targets: Vec<String> = mapping
                .fields
                .iter()
                .filter(|field| !field.is_of_line() && field.column().is_some())
                .map(|field| field.target.clone())
                .take(2)
                .collect();
            if targets.is_empty() {
                return;
            }
            Rule::AtLeastOneOf(targets)
        }
        _ => return,
    };
    mapping.checks.push(Check { id: "adds-up".to_owned(), rule, warn_only: tape.rarely(6) });
}

/// The whole file: header, groups of rows, and now and then something that should not be there.
fn file(tape: &mut Tape<'_>, mapping: &Mapping, format: &str) -> Vec<u8> {
    let turn = tape.below(COLUMNS.len());
    let columns: Vec<(About, &str)> = COLUMNS.iter().cycle().skip(turn).take(COLUMNS.len()).copied().collect();
    let ends: &[&str] = [&["\n"][..], &["\r\n"], &["\n", "\r\n"]][tape.below(3)];
    let faults = tape.below(3) == 2;
    let mut out: Vec<u8> = if tape.rarely(6) { b"\xEF\xBB\xBF".to_vec() } else { Vec::new() };
    let names: Vec<&str> = columns.iter().map(|(_, name)| *name).collect();
    out.extend(names.join(&mapping.delimiter.to_string()).bytes());
    out.extend(tape.pick(ends).bytes());
    for group in 0..tape.below(14) {
        // Now and then a key comes back.
        let key = if tape.rarely(20) { format!("K{}", group / 2) } else { format!("K{group}") };
        let rows = 1 + tape.below(3);
        let amounts: Vec<i64> = (0..rows).map(|_| [100, 5, 1250, 99_999_999, -250][tape.below(5)]).collect();
        let off = if tape.rarely(5) { 1 } else { 0 };
        let shared: Vec<String> = columns.iter().map(|(about, _)| cell(tape, *about, mapping, format)).collect();
        for amount in &amounts {
            let cells: Vec<String> = columns
                .iter()
                .zip(&shared)
                .map(|((about, _), shared)| match about {
                    About::Key => key.clone(),
                    About::Amount if !tape.rarely(8) => money(*amount, mapping),
                    About::Total if !tape.rarely(16) => money(amounts.iter().sum::<i64>() + off, mapping),
                    // Most of a group is the same in all of its rows.
                    About::Quantity | About::Flag | About::Cents => cell(tape, *about, mapping, format),
                    about if tape.rarely(16) => cell(tape, *about, mapping, format),
                    _ => shared.clone(),
                })
                .collect();
            row(tape, &cells, mapping.delimiter, faults, &mut out);
            out.extend(tape.pick(ends).bytes());
            if tape.rarely(24) {
                out.extend(tape.pick(ends).bytes());
            }
        }
    }
    if faults && tape.rarely(12) {
        out.extend(b"\"never closed");
        out.extend(tape.pick(ends).bytes());
    } else if tape.rarely(4) {
        // No line end behind the last row.
        while matches!(out.last(), Some(b'\n' | b'\r')) {
            out.pop();
        }
    }
    out
}

fn money(cents: i64, mapping: &Mapping) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}{}{:02}", cents.abs() / 100, mapping.decimal_mark, cents.abs() % 100)
}

fn cell(tape: &mut Tape<'_>, about: About, mapping: &Mapping, format: &str) -> String {
    let number = |text: &str| {
        let group = mapping.group_mark.map_or(String::new(), String::from);
        text.replace('D', &mapping.decimal_mark.to_string()).replace('G', &group)
    };
    match about {
        About::Key => "K".to_owned(),
        About::Text | About::Other if tape.below(3) == 0 => ["Anna", "a", "Bea"][tape.below(3)].to_owned(),
        About::Text | About::Other => TEXTS[tape.below(TEXTS.len())].to_owned(),
        About::Word if tape.rarely(3) => format!("W{}", tape.below(44)),
        About::Word if !tape.rarely(4) => WORDS[tape.below(3)].to_owned(),
        About::Word => WORDS[tape.below(WORDS.len())].to_owned(),
        About::Amount | About::Total => number(NUMBERS[tape.below(NUMBERS.len())]),
        About::Quantity if tape.rarely(10) => number(NUMBERS[tape.below(NUMBERS.len())]),
        About::Quantity => tape.below(12).to_string(),
        About::Cents => tape.pick(&["1250", "0", "00000000", "5", "0000000124950", "77", "100", "x", ""]).to_owned(),
        About::Sign => tape.pick(&["C", "D", "", "d"]).to_owned(),
        About::Day | About::Until if tape.rarely(8) => tape.pick(&["", "1.2.2026", "2026", " 20261123"]).to_owned(),
        About::Day | About::Until => {
            let good = !tape.rarely(6);
            let (year, month, day) = DATES[tape.below(if good { 3 } else { DATES.len() })];
            let text = format.replace("%d", &format!("{day:02}")).replace("%m", &format!("{month:02}"));
            text.replace("%Y", &format!("{year:04}"))
        }
        About::Flag if tape.rarely(8) => tape.pick(&["", "TRUE", " Y", "true", "Y"]).to_owned(),
        About::Flag if mapping.true_values.is_some() => tape.pick(&["Y", "N", "yes", "no"]).to_owned(),
        About::Flag => tape.pick(&["true", "false"]).to_owned(),
    }
}

/// One row, without its line end.
fn row(tape: &mut Tape<'_>, cells: &[String], delimiter: char, faults: bool, out: &mut Vec<u8>) {
    let fault = if faults && tape.rarely(12) { 1 + tape.below(7) } else { 0 };
    let bad = tape.below(cells.len());
    let count = if fault == 1 { bad + 1 } else { cells.len() };
    for (at, cell) in cells.iter().take(count).enumerate() {
        if at > 0 {
            out.push(delimiter as u8);
        }
        match fault {
            3 if at == bad => out.extend(b"ab\"c"),
            4 if at == bad => out.extend(b"\"ab\"c"),
            5 if at == bad => out.extend(b"\"ab\ncd\"x"),
            6 if at == bad => out.extend([b"a\xFFb".as_slice(), b"\xC3", b"\xED\xA0\x80"][tape.below(3)]),
            7 if at == bad => out.extend(b"a\0b"),
            _ => {
                let special = |character: char| character == delimiter || "\"\r\n".contains(character);
                if cell.contains(special) || tape.rarely(5) {
                    out.extend(format!("\"{}\"", cell.replace('"', "\"\"")).bytes());
                } else {
                    out.extend(cell.bytes());
                }
            }
        }
    }
    if fault == 2 {
        out.push(delimiter as u8);
        out.extend(b"more");
    }
}
