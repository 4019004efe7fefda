//! The model as a mapping file.

use std::fmt::Write as _;

use super::{
    Clean, Condition, Constant, Field, Kind, Lookup, Mapping, OnConflict, OnMissing, Origin, Part, Rule, Test,
};

pub fn mapping(name: &str, mapping: &Mapping) -> String {
    let mut out = format!("[mapping]\nname = {}\n\n[input]\nformat = \"csv\"\n", text(name));
    let mut line = |key: &str, value: String| writeln!(out, "{key} = {value}").unwrap();
    line("delimiter", text(&mapping.delimiter.to_string()));
    line("decimal_mark", text(&mapping.decimal_mark.to_string()));
    if let Some(mark) = mapping.group_mark {
        line("group_mark", text(&mark.to_string()));
    }
    line("missing", texts(&mapping.missing));
    if let Some(words) = &mapping.true_values {
        line("true_values", texts(words));
    }
    if let Some(words) = &mapping.false_values {
        line("false_values", texts(words));
    }
    line("unknown_columns", text("ignore"));
    if mapping.group_by.is_some() || !mapping.skip_when.is_empty() {
        out.push_str("\n[record]\n");
        if let Some(column) = &mapping.group_by {
            writeln!(out, "group_by = [{}]", text(column)).unwrap();
            let word = match mapping.on_conflict {
                OnConflict::Reject => "reject",
                OnConflict::First => "first",
                OnConflict::Last => "last",
            };
            writeln!(out, "on_conflict = \"{word}\"").unwrap();
        }
        if !mapping.skip_when.is_empty() {
            writeln!(out, "skip_when = {}", conditions(&mapping.skip_when)).unwrap();
        }
    }
    for used in &mapping.lookups {
        out.push_str(&lookup(name, used));
    }
    out.push_str("\n[fields]\n");
    for used in &mapping.fields {
        writeln!(out, "{} = {{ {} }}", text(&used.target), field(used).join(", ")).unwrap();
    }
    for check in &mapping.checks {
        writeln!(out, "\n[[checks]]\nid = {}", text(&check.id)).unwrap();
        match &check.rule {
            Rule::SumEquals { sum, equals, tolerance } => {
                writeln!(out, "sum = {}\nequals = {}", text(sum), text(equals)).unwrap();
                if let Some(tolerance) = tolerance {
                    writeln!(out, "tolerance = {tolerance}").unwrap();
                }
            }
            Rule::FieldEquals { field, equals } => {
                writeln!(out, "field = {}\nequals = {}", text(field), text(equals)).unwrap();
            }
            Rule::NotBefore { field, other } => {
                writeln!(out, "field = {}\nnot_before = {}", text(field), text(other)).unwrap();
            }
            Rule::AtLeastOneOf(targets) => writeln!(out, "at_least_one_of = {}", texts(targets)).unwrap(),
        }
        if check.warn_only {
            out.push_str("severity = \"warn\"\n");
        }
    }
    out.push_str("\n[rejects]\nmax_percent = 100\n\n[output]\nformat = \"jsonl\"\n");
    writeln!(out, "omit_empty = {}", mapping.omit_empty).unwrap();
    out
}

/// Where the file of a lookup is in the project.
pub fn lookup_path(mapping: &str, lookup: &Lookup) -> String {
    format!("lookups/{mapping}-{}.csv", lookup.name)
}

/// The file of a lookup.
pub fn lookup_file(lookup: &Lookup) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let rows = lookup.entries.iter().map(|(key, value)| match value {
        Constant::Text(text) => format!("{},{}\n", quoted(key), quoted(text)),
        other => panic!("a file holds text only, and not {other:?}"),
    });
    "from,to\n".to_owned() + &rows.collect::<String>()
}

fn lookup(mapping: &str, lookup: &Lookup) -> String {
    let on_missing = match lookup.on_missing {
        OnMissing::Reject => "reject",
        OnMissing::Default => "default",
        OnMissing::Keep => "keep",
    };
    let entries = if lookup.in_file {
        format!("file = {}\nkey = \"from\"\nvalue = \"to\"", text(&lookup_path(mapping, lookup)))
    } else {
        let entry = |(key, value): &(String, Constant)| format!("{} = {}", text(key), constant(value));
        format!("values = {{ {} }}", lookup.entries.iter().map(entry).collect::<Vec<_>>().join(", "))
    };
    let (name, ignore_case) = (&lookup.name, lookup.ignore_case);
    format!("\n[lookups.{name}]\n{entries}\nignore_case = {ignore_case}\non_missing = \"{on_missing}\"\n")
}

fn field(field: &Field) -> Vec<String> {
    let mut keys = vec![origin(&field.origin)];
    if !field.when.is_empty() {
        keys.push(format!("when = {}", conditions(&field.when)));
    }
    if !field.clean.is_empty() {
        keys.push(format!("clean = [{}]", field.clean.iter().map(clean).collect::<Vec<_>>().join(", ")));
    }
    keys.extend(field.lookup.as_ref().map(|name| format!("lookup = {}", text(name))));
    keys.extend(kind(&field.kind));
    keys.extend(field.default.as_ref().map(|value| format!("default = {}", constant(value))));
    keys.extend(field.required.then(|| "required = true".to_owned()));
    keys.extend(field.unique.then(|| "unique = true".to_owned()));
    if !field.allowed.is_empty() {
        keys.push(format!("enum = {}", texts(&field.allowed)));
    }
    keys.extend(field.pattern.map(|pattern| format!("pattern = '{}'", pattern.written())));
    keys.extend(field.minimum.as_ref().map(|limit| format!("minimum = {}", constant(limit))));
    keys.extend(field.maximum.as_ref().map(|limit| format!("maximum = {}", constant(limit))));
    keys.extend(field.min_length.map(|length| format!("min_length = {length}")));
    keys.extend(field.max_length.map(|length| format!("max_length = {length}")));
    keys.extend(field.not_before.as_ref().map(|other| format!("not_before = {}", text(other))));
    keys.extend(field.not_after.as_ref().map(|other| format!("not_after = {}", text(other))));
    keys
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::From(column) => format!("from = {}", text(column)),
        Origin::FirstOf(columns) => format!("first_of = {}", texts(columns)),
        Origin::Template(parts) => {
            let part = |part: &Part| match part {
                Part::Text(text) => text.clone(),
                Part::Cell(column) => format!("{{{column}}}"),
            };
            format!("template = {}", text(&parts.iter().map(part).collect::<String>()))
        }
        Origin::Value(value) => format!("value = {}", constant(value)),
        Origin::Cases(cases) => {
            let case = |(when, value): &(Vec<Condition>, Constant)| {
                format!("{{ when = {}, value = {} }}", conditions(when), constant(value))
            };
            format!("cases = [{}]", cases.iter().map(case).collect::<Vec<_>>().join(", "))
        }
        Origin::Row => "auto = \"row\"".to_owned(),
        Origin::FileName => "auto = \"file.name\"".to_owned(),
    }
}

fn kind(kind: &Kind) -> Vec<String> {
    match kind {
        Kind::Text => Vec::new(),
        Kind::Integer => vec!["type = \"integer\"".to_owned()],
        Kind::Boolean => vec!["type = \"boolean\"".to_owned()],
        Kind::Date(format) => vec!["type = \"date\"".to_owned(), format!("format = {}", text(format))],
        Kind::Number { decimals, implied, minor_units, negative_when } => {
            let mut keys = vec!["type = \"number\"".to_owned()];
            keys.extend(decimals.map(|number| format!("decimals = {number}")));
            keys.extend(implied.map(|number| format!("implied_decimals = {number}")));
            keys.extend(minor_units.map(|number| format!("minor_units = {number}")));
            keys.extend(
                negative_when
                    .as_ref()
                    .map(|(column, word)| format!("negative_when = {{ {} = {} }}", text(column), text(word))),
            );
            keys
        }
    }
}

fn clean(step: &Clean) -> String {
    match step {
        Clean::Trim => "\"trim\"".to_owned(),
        Clean::Squeeze => "\"squeeze\"".to_owned(),
        Clean::Upper => "\"upper\"".to_owned(),
        Clean::Lower => "\"lower\"".to_owned(),
        Clean::Digits => "\"digits\"".to_owned(),
        Clean::Ascii => "\"ascii\"".to_owned(),
        Clean::PadLeft(width, with) => format!("{{ pad_left = [{width}, {}] }}", text(&with.to_string())),
        Clean::Remove(set) => format!("{{ remove = {} }}", text(set)),
        Clean::Replace(from, to) => format!("{{ replace = [{}, {}] }}", text(from), text(to)),
        Clean::Take(first, last) => format!("{{ take = [{first}, {last}] }}"),
        Clean::After(mark) => format!("{{ after = {} }}", text(mark)),
        Clean::Before(mark) => format!("{{ before = {} }}", text(mark)),
    }
}

/// A table with a key for each column; the tests of one column stand together.
fn conditions(conditions: &[Condition]) -> String {
    let one = |condition: &Condition| {
        let test = match &condition.test {
            Test::OneOf(words) if words.len() == 1 => text(&words[0]),
            Test::OneOf(words) => texts(words),
            Test::Present(present) => format!("{{ present = {present} }}"),
            Test::AtLeast(limit) => format!("{{ at_least = {limit} }}"),
            Test::AtMost(limit) => format!("{{ at_most = {limit} }}"),
        };
        format!("{} = {test}", text(&condition.column))
    };
    format!("{{ {} }}", conditions.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn constant(value: &Constant) -> String {
    match value {
        Constant::Text(value) | Constant::Date(value) => text(value),
        Constant::Number(digits) => digits.clone(),
        Constant::Boolean(yes) => yes.to_string(),
    }
}

fn texts(values: &[String]) -> String {
    format!("[{}]", values.iter().map(|value| text(value)).collect::<Vec<_>>().join(", "))
}

/// A basic string of TOML.
pub fn text(value: &str) -> String {
    let mut out = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => write!(out, "\\u{:04X}", control as u32).unwrap(),
            ordinary => out.push(ordinary),
        }
    }
    out + "\""
}
