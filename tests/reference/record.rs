//! Rows → values, checks, keys and the text of the records.

use super::group::{Line, Record};
use super::number::{Number, adds_up, date};
use super::{
    Condition, Constant, Field, Kind, Mapping, OnMissing, Origin, Outcome, Part, Reject, Rule, Test, Value, clean,
};

/// The cells of one row by name.
pub struct Cells<'a> {
    pub header: &'a [String],
    pub cells: &'a [String],
    pub line: usize,
    pub file_name: &'a str,
}

impl Cells<'_> {
    fn raw(&self, column: &str) -> &str {
        let at = self.header.iter().position(|name| name == column).expect("a column of the file");
        &self.cells[at]
    }

    /// The cell, unless it counts as empty.
    fn present(&self, mapping: &Mapping, column: &str) -> Option<&str> {
        let cell = self.raw(column);
        (!mapping.missing.iter().any(|word| word == cell.trim())).then_some(cell)
    }

    /// True when every condition holds.
    pub fn meet(&self, mapping: &Mapping, conditions: &[Condition]) -> bool {
        conditions.iter().all(|Condition { column, test }| {
            let cell = self.present(mapping, column).map(str::trim);
            let number = || Number::read(cell?, mapping.decimal_mark, mapping.group_mark);
            match test {
                Test::OneOf(words) => cell.is_some_and(|cell| words.iter().any(|word| word == cell)),
                Test::Present(present) => cell.is_some() == *present,
                Test::AtLeast(limit) => number().is_some_and(|number| number >= Number::constant(limit)),
                Test::AtMost(limit) => number().is_some_and(|number| number <= Number::constant(limit)),
            }
        })
    }

    pub fn key(&self, column: &str) -> &str {
        self.raw(column).trim()
    }
}

/// The value of an origin after `clean`, if there is one.
pub fn origin(mapping: &Mapping, field: &Field, cells: &Cells<'_>) -> Option<Value> {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let value = match &field.origin {
        Origin::From(column) => cells.present(mapping, column).and_then(text),
        Origin::FirstOf(columns) => columns.iter().find_map(|column| cells.present(mapping, column)).and_then(text),
        Origin::Template(parts) => {
            let mut joined = String::new();
            let mut any = false;
            for part in parts {
                match part {
                    Part::Text(literal) => joined.push_str(literal),
                    Part::Cell(column) => {
                        if let Some(cell) = cells.present(mapping, column) {
                            any = true;
                            joined.push_str(cell);
                        }
                    }
                }
            }
            if any { text(&joined) } else { None }
        }
        Origin::Value(value) => Some(constant(value)),
        Origin::Cases(cases) => {
            cases.iter().find(|(when, _)| cells.meet(mapping, when)).map(|(_, value)| constant(value))
        }
        Origin::Row => Some(Value::Number(Number::constant(&cells.line.to_string()))),
        Origin::FileName => text(cells.file_name),
    };
    match value {
        Some(Value::Text(text)) if !field.clean.is_empty() => {
            Some(clean::clean(&field.clean, &text)).filter(|text| !text.is_empty()).map(Value::Text)
        }
        other => other,
    }
}

fn constant(value: &Constant) -> Value {
    match value {
        Constant::Text(text) => Value::Text(text.clone()),
        Constant::Number(digits) => Value::Number(Number::constant(digits)),
        Constant::Boolean(yes) => Value::Boolean(*yes),
        Constant::Date(iso) => {
            let (year, month, day) = date(iso, "%Y-%m-%d").expect("a date in the mapping");
            Value::Date(year, month, day)
        }
    }
}

/// The value of a field, or the code of what is wrong with it.
pub fn value(mapping: &Mapping, field: &Field, cells: &Cells<'_>) -> Result<Option<Value>, &'static str> {
    if !cells.meet(mapping, &field.when) {
        return Ok(None);
    }
    let cleaned = origin(mapping, field, cells);
    let looked_up = match (cleaned, &field.lookup) {
        (Some(Value::Text(key)), Some(lookup)) => look_up(mapping, lookup, key)?,
        (value, _) => value,
    };
    let typed = looked_up.map(|value| typed(mapping, field, value, cells)).transpose()?;
    let value = typed.or_else(|| field.default.as_ref().map(constant));
    match &value {
        None if field.required => return Err("required"),
        None => {}
        Some(value) => limits(field, value)?,
    }
    Ok(value)
}

fn look_up(mapping: &Mapping, name: &str, key: String) -> Result<Option<Value>, &'static str> {
    let lookup = mapping.lookups.iter().find(|lookup| lookup.name == name).expect("a lookup of the mapping");
    let fold = |text: &str| if lookup.ignore_case { text.to_lowercase() } else { text.to_owned() };
    let found = lookup.entries.iter().find(|(known, _)| fold(known) == fold(&key));
    match (found, lookup.on_missing) {
        (Some((_, value)), _) => Ok(Some(constant(value))),
        (None, OnMissing::Reject) => Err("lookup-missing"),
        (None, OnMissing::Default) => Ok(None),
        (None, OnMissing::Keep) => Ok(Some(Value::Text(key))),
    }
}

fn typed(mapping: &Mapping, field: &Field, value: Value, cells: &Cells<'_>) -> Result<Value, &'static str> {
    let Value::Text(text) = value else { return Ok(value) };
    match &field.kind {
        Kind::Text => Ok(Value::Text(text)),
        Kind::Integer => match Number::read(&text, mapping.decimal_mark, mapping.group_mark) {
            Some(number) if number.decimals == 0 => Ok(Value::Number(number)),
            _ => Err("bad-integer"),
        },
        Kind::Number { decimals, implied, minor_units, negative_when } => {
            let read = Number::read(&text, mapping.decimal_mark, mapping.group_mark).ok_or("bad-number")?;
            let read = read.with_implied(implied.unwrap_or(0));
            let negative = negative_when.as_ref().is_some_and(|(column, word)| cells.key(column) == word);
            let read = if negative { read.negated() } else { read };
            if decimals.or(*minor_units).is_some_and(|most| read.needed_decimals() > most) {
                return Err("too-many-decimals");
            }
            Ok(Value::Number(match (decimals, minor_units) {
                (Some(decimals), _) => read.with_decimals(*decimals),
                (_, Some(units)) => read.in_minor_units(*units),
                _ => read,
            }))
        }
        Kind::Boolean => {
            let is_in = |words: &Option<Vec<String>>, word: &str| match words {
                Some(words) => words.contains(&text),
                None => text == word,
            };
            if is_in(&mapping.true_values, "true") {
                Ok(Value::Boolean(true))
            } else if is_in(&mapping.false_values, "false") {
                Ok(Value::Boolean(false))
            } else {
                Err("bad-boolean")
            }
        }
        Kind::Date(format) => date(&text, format).map(|(y, m, d)| Value::Date(y, m, d)).ok_or("bad-date"),
    }
}

/// Enum, pattern, minimum, maximum, lengths: the first that does not hold.
fn limits(field: &Field, value: &Value) -> Result<(), &'static str> {
    if let Value::Text(text) = value {
        if !field.allowed.is_empty() && !field.allowed.contains(text) {
            return Err("not-in-enum");
        }
        if field.pattern.is_some_and(|pattern| !pattern.holds(text)) {
            return Err("pattern");
        }
    }
    let below = |limit: &Option<Constant>| limit.as_ref().is_some_and(|limit| is_less(value, &constant(limit)));
    let above = |limit: &Option<Constant>| limit.as_ref().is_some_and(|limit| is_less(&constant(limit), value));
    if below(&field.minimum) {
        return Err("below-minimum");
    }
    if above(&field.maximum) {
        return Err("above-maximum");
    }
    if let Value::Text(text) = value {
        let length = text.chars().count();
        if field.min_length.is_some_and(|least| length < least) {
            return Err("too-short");
        }
        if field.max_length.is_some_and(|most| length > most) {
            return Err("too-long");
        }
    }
    Ok(())
}

fn is_less(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left < right,
        (Value::Date(y, m, d), Value::Date(year, month, day)) => (y, m, d) < (year, month, day),
        _ => panic!("a limit of another type: {left:?}, {right:?}"),
    }
}

/// `not_before` and `not_after` among values that are there: the code, if one does not hold.
pub fn beside(field: &Field, value: &Value, other: impl Fn(&str) -> Option<Value>) -> Option<&'static str> {
    let before = field.not_before.as_ref().and_then(|name| other(name)).is_some_and(|other| is_less(value, &other));
    let after = field.not_after.as_ref().and_then(|name| other(name)).is_some_and(|other| is_less(&other, value));
    if before { Some("before") } else { after.then_some("after") }
}

/// `[[checks]]`, on records whose fields all passed.
pub fn check(mapping: &Mapping, records: &mut [Record]) {
    for record in records.iter_mut().filter(|record| !record.is_rejected()) {
        for check in mapping.checks.iter().filter(|check| !check.warn_only) {
            if !holds(mapping, &check.rule, record) {
                record.lines[0].faults.push((usize::MAX, None, format!("check:{}", check.id)));
            }
        }
    }
}

fn holds(mapping: &Mapping, rule: &Rule, record: &Record) -> bool {
    let all = |target: &str| -> Vec<Value> {
        let at = mapping.fields.iter().position(|field| field.target == target).expect("a field of the mapping");
        if mapping.fields[at].is_of_line() {
            record.lines.iter().filter_map(|line| line.values[at].clone()).collect()
        } else {
            record.values[at].clone().into_iter().collect()
        }
    };
    let numbers = |target: &str| -> Vec<Number> {
        let number = |value| if let Value::Number(number) = value { Some(number) } else { None };
        all(target).into_iter().filter_map(number).collect()
    };
    match rule {
        Rule::SumEquals { sum, equals, tolerance } => {
            let tolerance = Number::constant(tolerance.as_deref().unwrap_or("0"));
            adds_up(&numbers(sum), &numbers(equals)[0], &tolerance)
        }
        Rule::FieldEquals { field, equals } => adds_up(&numbers(field), &numbers(equals)[0], &Number::constant("0")),
        Rule::NotBefore { field, other } => !is_less(&all(field)[0], &all(other)[0]),
        Rule::AtLeastOneOf(targets) => targets.iter().any(|target| !all(target).is_empty()),
    }
}

/// `unique`: the first record stays; only records that passed everything else take part.
pub fn strike_duplicates(mapping: &Mapping, records: &mut [Record]) {
    let mut seen: Vec<(usize, Value)> = Vec::new();
    for record in records.iter_mut().filter(|record| !record.is_rejected()) {
        let unique = mapping.fields.iter().enumerate().filter(|(_, field)| field.unique);
        let keys: Vec<(usize, Value)> =
            unique.filter_map(|(at, _)| record.values[at].clone().map(|value| (at, value))).collect();
        let twice: Vec<usize> = keys.iter().filter(|key| seen.contains(key)).map(|(at, _)| *at).collect();
        for at in &twice {
            record.lines[0].faults.push((*at, mapping.fields[*at].column(), "duplicate-key".to_owned()));
        }
        if twice.is_empty() {
            seen.extend(keys);
        }
    }
}

/// The text of all records that are left, and the rejects of the others.
pub fn outcome(mapping: &Mapping, records: Vec<Record>) -> Outcome {
    let mut out = String::new();
    let mut rejects = Vec::new();
    for record in &records {
        if !record.is_rejected() {
            out.push_str(&written(mapping, record));
            out.push('\n');
            continue;
        }
        for line in &record.lines {
            let mut faults = line.faults.clone();
            faults.sort_by_key(|(order, ..)| *order);
            if faults.is_empty() {
                faults.push((0, None, "group".to_owned()));
            }
            rejects.extend(faults.into_iter().map(|(_, column, code)| Reject {
                row: line.place.line,
                byte: line.place.byte,
                column,
                code,
            }));
        }
    }
    rejects.sort_by_key(|reject: &Reject| reject.row);
    Outcome::Done { out, rejects }
}

/// A JSON value with its objects still open.
enum Node {
    Leaf(String),
    Object(Vec<(String, Node)>),
    List(Vec<Node>),
}

fn put(node: &mut Node, path: &[&str], leaf: Node) {
    let Node::Object(entries) = node else { panic!("a path through a leaf") };
    let at = entries.iter().position(|(name, _)| name == path[0]).unwrap_or_else(|| {
        entries.push((path[0].to_owned(), Node::Object(Vec::new())));
        entries.len() - 1
    });
    match path {
        [_] => entries[at].1 = leaf,
        _ => put(&mut entries[at].1, &path[1..], leaf),
    }
}

/// Objects stand where their first field stands in the mapping.
fn written(mapping: &Mapping, record: &Record) -> String {
    let mut root = Node::Object(Vec::new());
    for (at, field) in mapping.fields.iter().enumerate() {
        if field.is_of_line() {
            let entries = record.lines.iter().map(|line| line_object(mapping, line)).collect();
            put(&mut root, &["lines"], Node::List(entries));
        } else if let Some(text) = leaf(mapping, &record.values[at]) {
            put(&mut root, &field.target.split('.').collect::<Vec<_>>(), Node::Leaf(text));
        } else {
            // It may still be what makes an object stand here and not further down.
            reserve(&mut root, &field.target);
        }
    }
    text(&root, mapping.omit_empty, true)
}

fn line_object(mapping: &Mapping, line: &Line) -> Node {
    let mut entry = Node::Object(Vec::new());
    for (at, field) in mapping.fields.iter().enumerate().filter(|(_, field)| field.is_of_line()) {
        let target = &field.target["lines[].".len()..];
        match leaf(mapping, &line.values[at]) {
            Some(text) => put(&mut entry, &target.split('.').collect::<Vec<_>>(), Node::Leaf(text)),
            None => reserve(&mut entry, target),
        }
    }
    entry
}

fn reserve(root: &mut Node, target: &str) {
    if let Some((object, _)) = target.rsplit_once('.') {
        let path: Vec<&str> = object.split('.').collect();
        let mut node = root;
        for name in path {
            let Node::Object(entries) = node else { return };
            let at = entries.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                entries.push((name.to_owned(), Node::Object(Vec::new())));
                entries.len() - 1
            });
            node = &mut entries[at].1;
        }
    }
}

/// The JSON of a value; `None`: it is left out.
fn leaf(mapping: &Mapping, value: &Option<Value>) -> Option<String> {
    match value {
        None => (!mapping.omit_empty).then(|| "null".to_owned()),
        Some(Value::Text(text)) => Some(string(text)),
        Some(Value::Number(number)) => Some(number.written()),
        Some(Value::Boolean(yes)) => Some(yes.to_string()),
        Some(Value::Date(year, month, day)) => Some(format!("\"{year:04}-{month:02}-{day:02}\"")),
    }
}

fn text(node: &Node, omit_empty: bool, stays: bool) -> String {
    match node {
        Node::Leaf(text) => text.clone(),
        Node::List(entries) => {
            format!("[{}]", entries.iter().map(|entry| text(entry, omit_empty, true)).collect::<Vec<_>>().join(","))
        }
        Node::Object(entries) => {
            let written: Vec<String> = entries
                .iter()
                .map(|(name, node)| (name, text(node, omit_empty, false)))
                .filter(|(_, text)| !text.is_empty())
                .map(|(name, text)| format!("{}:{text}", string(name)))
                .collect();
            // An object whose fields are all left out is left out too, but not an entry of `lines`.
            if written.is_empty() && omit_empty && !stays {
                String::new()
            } else {
                format!("{{{}}}", written.join(","))
            }
        }
    }
}

/// A JSON string: only what must be escaped is.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if (control as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", control as u32)),
            ordinary => out.push(ordinary),
        }
    }
    out + "\""
}
