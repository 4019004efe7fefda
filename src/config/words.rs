//! The words of every file that people write: one table that the reader takes keys by, that suggestions and references are printed from
//! and that the editor schemas are made from. A key that is not in the table is refused, whoever reads it.

mod calendar;
mod connections;
mod job;
mod mapping;
mod project;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// `mappings/*.toml`.
    Mapping,
    /// `jobs/*.toml`.
    Job,
    /// `connections.toml`.
    Connections,
    /// `nightferry.toml`.
    Project,
    /// `calendars/*.toml`.
    Calendar,
}

/// What stands behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    Text,
    /// Text, or a list of texts.
    Texts,
    /// A duration with a unit: `"30s"`.
    Duration,
    /// A size with a unit: `"1MiB"`.
    Size,
    /// A date, or a date with time, without quotation marks.
    Moment,
    /// A column: its name, or its position from 1.
    Column,
    /// A list of columns (one may stand alone).
    Columns,
    /// `true` or `false`.
    Flag,
    /// `true`, `false`, or one of these words.
    FlagOr(&'static [&'static str]),
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// A number, or a date as text.
    Limit,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of these words (one may stand alone).
    SomeOf(&'static [&'static str]),
    /// Whole numbers.
    Statuses,
    /// Whole numbers and these words.
    StatusesAnd(&'static [&'static str]),
    /// Text, a number, or true or false.
    Constant,
    /// A list of constants (one may stand alone).
    Constants,
    /// Conditions: columns with what must hold.
    Conditions,
    /// Steps of `clean`.
    Steps,
    /// A table of names with constants.
    Pairs,
    /// Two whole numbers.
    Two,
    /// Rows, records, rejects of a test.
    Tables,
    /// A table with words of its own.
    Table,
    /// One of these words, or a table with words of its own; `&[]`: any text.
    WordOrTable(&'static [&'static str]),
    /// A list of tables with words of their own.
    TableList,
    /// A reference: `{ secret = "NAME" }`.
    Secret,
    /// A list of references.
    Secrets,
    /// Text, or a reference.
    TextOrSecret,
    /// Names with texts or references.
    Headers,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// `fields.*`, `input`, `target.retry`, `@*` (a connection) …
    pub table: &'static str,
    /// The key.
    pub key: &'static str,
    /// What stands behind it.
    pub shape: Shape,
    /// What it means, in one sentence.
    pub means: &'static str,
    /// How it is used.
    pub example: Option<Example>,
}

/// A recipe and what it makes.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The recipe of the field `x`.
    pub recipe: &'static str,
    /// Other tables that it needs.
    pub beside: &'static str,
    /// The row: column and cell.
    pub row: &'static [(&'static str, &'static str)],
    /// What is sent as `x`, or `✗` and the reject code, or `–` when nothing is.
    pub gives: &'static str,
}

/// How a table stands at the top of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `[input]`.
    One,
    /// `[lookups.NAME]`; its words are those of `lookups.*`.
    Named,
    /// `[[checks]]`.
    List,
    /// A table whose keys are the writer's own.
    Free,
}

/// A table at the top of a file.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its key.
    pub name: &'static str,
    /// How it stands there.
    pub kind: Kind,
    /// What it is for, in one sentence.
    pub means: &'static str,
}

impl File {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Mapping, Self::Job, Self::Connections, Self::Project, Self::Calendar];

    /// What `nightferry explain` and the name of the schema call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mapping => "mapping",
            Self::Job => "job",
            Self::Connections => "connections",
            Self::Project => "config",
            Self::Calendar => "calendar",
        }
    }

    /// Every word, in the order of the reference.
    pub fn words(self) -> &'static [Word] {
        match self {
            Self::Mapping => mapping::WORDS,
            Self::Job => job::WORDS,
            Self::Connections => connections::WORDS,
            Self::Project => project::WORDS,
            Self::Calendar => calendar::WORDS,
        }
    }

    /// The tables at its top. None for `connections.toml`, where every name is a connection.
    pub fn places(self) -> &'static [Place] {
        match self {
            Self::Mapping => mapping::PLACES,
            Self::Job => job::PLACES,
            Self::Connections => &[],
            Self::Project => project::PLACES,
            Self::Calendar => calendar::PLACES,
        }
    }

    /// The tables without which it has no meaning.
    pub fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Mapping => &["fields"],
            Self::Job => &["job", "source", "target"],
            Self::Connections | Self::Project => &[],
            Self::Calendar => &["calendar"],
        }
    }
}

/// Where the words of a table called `name` stand: `fields.customer.email` has those of `fields.*`, `@erp` those of `@*`.
pub fn place_of(name: &str) -> String {
    if name.starts_with('@') {
        return "@*".to_owned();
    }
    let named = |head: &str| {
        let places = File::ALL.iter().flat_map(|file| file.places());
        places.into_iter().any(|place| place.kind == Kind::Named && place.name == head)
    };
    match name.split_once('.') {
        Some((head, _)) if named(head) => format!("{head}.*"),
        _ => name.to_owned(),
    }
}

/// The keys that a table may have.
pub fn keys(file: File, place: &str) -> Vec<&'static str> {
    if place.is_empty() {
        return file.places().iter().map(|place| place.name).collect();
    }
    file.words().iter().filter(|word| word.table == place).map(|word| word.key).collect()
}

/// One word, if there is such a key.
pub fn find(file: File, place: &str, key: &str) -> Option<&'static Word> {
    file.words().iter().find(|word| word.table == place && word.key == key)
}

const fn place(name: &'static str, kind: Kind, means: &'static str) -> Place {
    Place { name, kind, means }
}

const fn word(table: &'static str, key: &'static str, shape: Shape, means: &'static str) -> Word {
    Word { table, key, shape, means, example: None }
}

const fn recipe(
    key: &'static str,
    shape: Shape,
    means: &'static str,
    recipe: &'static str,
    row: &'static [(&'static str, &'static str)],
    gives: &'static str,
) -> Word {
    Word { table: "fields.*", key, shape, means, example: Some(Example { recipe, beside: "", row, gives }) }
}

const fn beside(
    key: &'static str,
    shape: Shape,
    means: &'static str,
    recipe: &'static str,
    beside: &'static str,
    row: &'static [(&'static str, &'static str)],
    gives: &'static str,
) -> Word {
    Word { table: "fields.*", key, shape, means, example: Some(Example { recipe, beside, row, gives }) }
}

const fn step(
    key: &'static str,
    means: &'static str,
    recipe: &'static str,
    cell: &'static [(&'static str, &'static str)],
    gives: &'static str,
) -> Word {
    Word {
        table: "clean",
        key,
        shape: Shape::Steps,
        means,
        example: Some(Example { recipe, beside: "", row: cell, gives }),
    }
}
