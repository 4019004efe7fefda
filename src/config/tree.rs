//! Reading the spanned tree of a TOML file: every getter notes what it took and what is wrong, and goes on.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Problems, Second, Severity};
use super::later::{Later, later};
use super::suggest::nearest;
use super::words::{self, File};

mod unread;

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its bytes in the file; of a text those inside the quotation marks.
    pub span: Range<usize>,
}

/// Collects what is wrong in one file.
pub struct Sink<'t> {
    path: String,
    text: &'t str,
    found: RefCell<Vec<Diagnostic>>,
    not_acted_on: RefCell<Vec<String>>,
    /// Other texts that a mistake points into, by path.
    others: RefCell<BTreeMap<String, String>>,
    /// What kind of file it is: whose words count.
    file: Cell<File>,
}

impl<'t> Sink<'t> {
    /// For a file at `path`, relative to the project.
    pub fn new(path: &str, text: &'t str) -> Self {
        let file = Cell::new(File::Mapping);
        let (found, not_acted_on, others) = Default::default();
        Self { path: path.to_owned(), text, found, not_acted_on, others, file }
    }

    /// Parses the file; syntax errors are collected, and what can be read is read.
    pub fn parse(&self) -> Spanned<DeTable<'t>> {
        let (tree, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            self.error("NF100", &span, error.message().to_owned(), "TOML cannot be read on from here");
        }
        tree
    }

    /// Notes an error.
    pub fn error(&self, code: &'static str, span: &Range<usize>, message: impl Into<String>, label: &str) {
        self.note(Severity::Error, code, span, message.into(), label, Vec::new());
    }

    /// Notes an error with what to do about it.
    pub fn error_help(
        &self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        label: &str,
        help: impl Into<String>,
    ) {
        self.note(Severity::Error, code, span, message.into(), label, vec![help.into()]);
    }

    /// Notes a warning with what to do about it.
    pub fn warn(&self, code: &'static str, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.note(Severity::Warning, code, span, message.into(), "", vec![help.into()]);
    }

    /// Notes an error of two places of this file that disagree: the first with its label, the second with its own.
    pub fn error_two(
        &self,
        code: &'static str,
        message: impl Into<String>,
        (span, label, second, second_label): (&Range<usize>, &str, &Range<usize>, &str),
        help: Vec<String>,
    ) {
        self.note(Severity::Error, code, span, message.into(), label, help);
        if let Some(last) = self.found.borrow_mut().last_mut() {
            let (path, label) = (self.path.clone(), second_label.to_owned());
            last.second = Some(Second { path, span: second.clone(), label });
        }
    }

    /// Notes an error whose other place is in another text: its path, the text, the bytes and the label.
    pub fn error_elsewhere(
        &self,
        code: &'static str,
        message: impl Into<String>,
        (span, label): (&Range<usize>, &str),
        (path, text, second, second_label): (&str, &str, Range<usize>, String),
        help: Vec<String>,
    ) {
        self.note(Severity::Error, code, span, message.into(), label, help);
        if let Some(last) = self.found.borrow_mut().last_mut() {
            last.second = Some(Second { path: path.to_owned(), span: second, label: second_label });
        }
        self.others.borrow_mut().insert(path.to_owned(), text.to_owned());
    }

    fn note(
        &self,
        severity: Severity,
        code: &'static str,
        span: &Range<usize>,
        message: String,
        label: &str,
        help: Vec<String>,
    ) {
        let end = span.end.min(self.text.len());
        let span = self.text.floor_char_boundary(span.start.min(end))..self.text.ceil_char_boundary(end);
        let known = |known: &Diagnostic| known.code == code && known.span == span && known.message == message;
        if self.found.borrow().iter().any(known) {
            // A value may be looked at twice.
            return;
        }
        let before = &self.text[..span.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        self.found.borrow_mut().push(Diagnostic {
            code,
            severity,
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span,
            message,
            label: label.to_owned(),
            help,
            second: None,
        });
    }

    /// The line of a place, from 1.
    pub fn line(&self, span: &Range<usize>) -> usize {
        self.text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1)
    }

    /// True while no error was noted.
    pub fn is_clean(&self) -> bool {
        !self.found.borrow().iter().any(Diagnostic::is_error)
    }

    /// Everything found; the words that this version does not act on become one warning.
    pub fn finish(self) -> Problems {
        let words = self.not_acted_on.take();
        if !words.is_empty() {
            let message = format!("this version reads but does not act on: {}", words.join(", "));
            let help = "what is sent does not change; commands of later versions will act on them";
            self.warn("NF190", &(0..0), message, help);
        }
        let mut sources = self.others.into_inner();
        sources.insert(self.path, self.text.to_owned());
        Problems { diagnostics: self.found.into_inner(), sources }
    }

    /// The place of a value; of a text without its quotation marks.
    fn inner(&self, node: &Spanned<DeValue<'_>>) -> Range<usize> {
        let span = node.span();
        if !matches!(node.get_ref(), DeValue::String(_)) {
            return span;
        }
        let marks = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|marks| self.text[span.clone()].starts_with(marks));
        let width = marks.map_or(0, str::len);
        span.start + width..(span.end - width).max(span.start + width)
    }
}

/// A value of the file.
#[derive(Clone, Copy)]
pub struct Value<'t> {
    sink: &'t Sink<'t>,
    node: &'t Spanned<DeValue<'t>>,
}

impl<'t> Value<'t> {
    /// Its place.
    pub fn span(&self) -> Range<usize> {
        self.sink.inner(self.node)
    }

    /// The tree node.
    pub fn node(&self) -> &'t DeValue<'t> {
        self.node.get_ref()
    }

    /// Where its mistakes go.
    pub fn sink(&self) -> &'t Sink<'t> {
        self.sink
    }

    fn wrong(&self, wanted: &str) {
        let is = match self.node() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.sink.error(
            "NF102",
            &self.span(),
            format!("{wanted} is needed here, this is {is}"),
            &format!("not {wanted}"),
        );
    }

    /// Text.
    pub fn text(&self) -> Option<At<String>> {
        match self.node() {
            DeValue::String(text) => {
                if let Some(choice) = text.strip_prefix("CHOOSE:") {
                    let message = format!("a choice is left to be made:{choice}");
                    self.sink.error("NF130", &self.span(), message, "write the one that is right");
                }
                Some(At { value: text.clone().into_owned(), span: self.span() })
            }
            _ => {
                self.wrong("text in quotation marks");
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        if let DeValue::Boolean(yes) = self.node() {
            return Some(*yes);
        }
        self.wrong("`true` or `false`");
        None
    }

    /// A whole number within limits.
    pub fn integer(&self, least: u64, most: u64) -> Option<u64> {
        let DeValue::Integer(digits) = self.node() else {
            self.wrong("a whole number");
            return None;
        };
        let number = i128::from_str_radix(&digits.as_str().replace('_', ""), digits.radix()).unwrap_or(i128::MAX);
        if number < i128::from(least) || number > i128::from(most) {
            self.sink.error("NF104", &self.span(), format!("a whole number from {least} to {most} is needed here"), "");
            return None;
        }
        u64::try_from(number).ok()
    }

    /// A list of values; a single value counts as a list of one where `or_one`.
    pub fn list(&self, or_one: bool) -> Vec<Value<'t>> {
        match self.node() {
            DeValue::Array(items) => items.iter().map(|node| Value { sink: self.sink, node }).collect(),
            _ if or_one => vec![*self],
            _ => {
                self.wrong("a list");
                Vec::new()
            }
        }
    }

    /// A table.
    pub fn table(&self, name: &str) -> Option<Table<'t>> {
        match self.node() {
            DeValue::Table(entries) => {
                let (name, place, taken) = (name.to_owned(), words::place_of(name), RefCell::default());
                Some(Table { sink: self.sink, entries, name, place, span: self.node.span(), taken })
            }
            _ => {
                self.wrong("a table");
                None
            }
        }
    }
}

/// A table of the file; remembers which keys were taken.
pub struct Table<'t> {
    sink: &'t Sink<'t>,
    entries: &'t DeTable<'t>,
    /// As people read it: `fields.customer.email`.
    name: String,
    /// Where its words stand: `fields.*`.
    place: String,
    span: Range<usize>,
    taken: RefCell<BTreeSet<String>>,
}

impl<'t> Table<'t> {
    /// The whole file, which is of this kind.
    pub fn root(sink: &'t Sink<'t>, tree: &'t Spanned<DeTable<'t>>, file: File) -> Self {
        sink.file.set(file);
        let (name, place) = (String::new(), String::new());
        Self { sink, entries: tree.get_ref(), name, place, span: 0..0, taken: RefCell::default() }
    }

    /// Its place.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Where its mistakes go.
    pub fn sink(&self) -> &'t Sink<'t> {
        self.sink
    }

    /// A value, if it is there.
    pub fn get(&self, key: &str) -> Option<Value<'t>> {
        self.taken.borrow_mut().insert(key.to_owned());
        self.entries.get(key).map(|node| Value { sink: self.sink, node })
    }

    /// A value, if it is there, without taking it.
    pub fn peek(&self, key: &str) -> Option<Value<'t>> {
        self.entries.get(key).map(|node| Value { sink: self.sink, node })
    }

    /// One of the words that `known` lists, if it is there.
    pub fn choice<T: Copy>(&self, key: &str, known: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        self.word(key, |word| known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value), &words)
    }

    /// True or false, if it is there; false otherwise.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.boolean() == Some(true))
    }

    /// Each table of a list of tables, if it is there.
    pub fn tables(&self, key: &str) -> Vec<Table<'t>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        value.list(false).iter().filter_map(|item| self.inner(key, item)).collect()
    }

    /// Whether a key is there, without taking it.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// A value that must be there.
    pub fn required(&self, key: &str) -> Option<Value<'t>> {
        let value = self.get(key);
        if value.is_none() {
            let place = if self.name.is_empty() { "this file".to_owned() } else { format!("`{}`", self.name) };
            self.sink.error("NF103", &self.span, format!("{place} needs `{key}`"), "");
        }
        value
    }

    /// Text, if it is there.
    pub fn text(&self, key: &str) -> Option<At<String>> {
        self.get(key)?.text()
    }

    /// Texts, if they are there; a single text counts as a list of one.
    pub fn texts(&self, key: &str) -> Option<Vec<At<String>>> {
        Some(self.get(key)?.list(true).iter().filter_map(Value::text).collect())
    }

    /// A word that `parse` knows, if it is there.
    pub fn word<T>(&self, key: &str, parse: impl FnOnce(&str) -> Option<T>, known: &[&str]) -> Option<T> {
        let text = self.text(key)?;
        let parsed = parse(&text.value);
        if parsed.is_none() && !self.sink.is_later_word(&self.name, key, &text) {
            let known = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
            self.sink.error(
                "NF104",
                &text.span,
                format!("`{}` is not a value of `{key}`", text.value),
                &format!("one of {known}"),
            );
        }
        parsed
    }

    /// A table inside this one, if it is there.
    pub fn table(&self, key: &str) -> Option<Table<'t>> {
        self.inner(key, &self.get(key)?)
    }

    fn inner(&self, key: &str, value: &Value<'t>) -> Option<Table<'t>> {
        let place = if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) };
        Some(Table { place, ..value.table(&self.path_of(key))? })
    }

    fn path_of(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Every key with its place and value, in the order of the file. All count as taken.
    pub fn entries(&self) -> Vec<(At<String>, Value<'t>)> {
        let mut entries: Vec<_> = self
            .entries
            .iter()
            .map(|(key, node)| {
                self.taken.borrow_mut().insert(key.get_ref().to_string());
                (At { value: key.get_ref().to_string(), span: key.span() }, Value { sink: self.sink, node })
            })
            .collect();
        entries.sort_by_key(|(key, _)| key.span.start);
        entries
    }

    /// Tells of keys that are read, so that their mistakes are found, and not acted on by this version.
    pub fn not_acted_on_yet(&self, keys: &[&str]) {
        for key in keys.iter().filter(|key| self.has(key)) {
            self.sink.not_acted_on.borrow_mut().push(format!("`{}`", self.path_of(key)));
        }
    }

    /// Ends the reading: a key that nobody took, or that the table of words does not have, is unknown, or a word of a later
    /// version.
    pub fn end(self) {
        let known = words::keys(self.sink.file.get(), &self.place);
        let is_read = |key: &str| self.taken.borrow().contains(key) && known.contains(&key);
        let mut left: Vec<_> = self.entries.iter().filter(|(key, _)| !is_read(key.get_ref().as_ref())).collect();
        left.sort_by_key(|(key, _)| key.span().start);
        for (key, node) in left {
            let path = self.path_of(key.get_ref());
            let stated = later(&path);
            match stated {
                Some(Later::Documented) => {}
                Some(Later::NotActedOn) => self.sink.not_acted_on.borrow_mut().push(format!("`{path}`")),
                Some(Later::ChangesWhatIsSent) => self.sink.error_help(
                    "NF191",
                    &key.span(),
                    format!("`{}` is not in this version yet", key.get_ref()),
                    "would change what is sent or proven",
                    "leave it out until a version that acts on it; nothing is sent on a guess",
                ),
                None => self.unknown(key.get_ref(), &key.span(), &known),
            }
            if matches!(stated, Some(Later::Documented | Later::NotActedOn)) {
                self.check_unread(key.get_ref(), &Value { sink: self.sink, node });
            }
        }
    }

    fn unknown(&self, key: &str, span: &Range<usize>, known: &[&'static str]) {
        let place = if self.name.is_empty() { "at the top of this file".into() } else { format!("in `{}`", self.name) };
        let message = format!("unknown key `{key}` {place}");
        match nearest(key, known.iter().copied()) {
            Some(near) => {
                let help = format!("did you mean `{near}`?");
                self.sink.error_help("NF101", span, message, "not a key here", help);
            }
            None => self.sink.error("NF101", span, message, "not a key here"),
        }
    }
}

impl Sink<'_> {
    /// Notes a value of the language that is not in this version; true when it was one.
    fn is_later_word(&self, table: &str, key: &str, text: &At<String>) -> bool {
        let is_later = later(&format!("{table}.{key}={}", text.value)) == Some(Later::ChangesWhatIsSent);
        if is_later {
            let message = format!("`{key} = \"{}\"` is not in this version yet", text.value);
            self.error("NF191", &text.span, message, "would change what is sent or proven");
        }
        is_later
    }
}
