//! The words of a mapping file: one table that the reader suggests from, the reference is printed from and the editor schema is made
//! from. Each recipe word has an example, which a test runs.

/// What stands behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    Text,
    /// Text, or a list of texts.
    Texts,
    /// A column: its name, or its position from 1.
    Column,
    /// A list of columns (one may stand alone).
    Columns,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// A number, or a date as text.
    Limit,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Text, a number, or true or false.
    Constant,
    /// A list of constants.
    Constants,
    /// Conditions: columns with what must hold.
    Conditions,
    /// Steps of `clean`.
    Steps,
    /// A list of tables with `when` and `value`.
    Cases,
    /// A table of names with constants.
    Pairs,
    /// Columns of a layout.
    LayoutColumns,
    /// Two whole numbers.
    Two,
    /// Rows, records, rejects of a test.
    Tables,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// `fields.*`, `input` …
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
    Word { table: "clean", key, shape: Steps, means, example: Some(Example { recipe, beside: "", row: cell, gives }) }
}

use Shape::{
    Cases, Column, Columns, Conditions, Constant, Constants, Flag, LayoutColumns, Limit, Number, OneOf, Pairs, Steps,
    Tables, Text, Texts, Two, Whole,
};

/// Every word, in the order of the reference.
pub const WORDS: &[Word] = &[
    word("mapping", "name", Text, "The name of the mapping: that of its file."),
    word("mapping", "title", Text, "What it is for, in the words of the organisation."),
    word("mapping", "owner", Text, "Who can explain it."),
    word("input", "format", OneOf(&["csv", "fixed", "json", "jsonl", "xlsx", "xml"]), "What kind of file it is."),
    word(
        "input",
        "encoding",
        Text,
        "How its characters are written as bytes: `utf-8`, `windows-1252`, `iso-8859-1`, `utf-16` …",
    ),
    word("input", "delimiter", Text, "What stands between cells."),
    word("input", "quote", Text, "What stands around cells that hold delimiters; `\"\"` for none."),
    word("input", "header", Flag, "Whether the first row names the columns."),
    word("input", "columns", Texts, "The names of the columns of a file without a header."),
    word("input", "header_row", Whole, "The row with the header, when others stand before it."),
    word("input", "skip_rows", Whole, "How many lines stand before the header."),
    word("input", "decimal_mark", Text, "`,` in 1.249,50."),
    word("input", "group_mark", Text, "`.` in 1.249,50."),
    word("input", "missing", Texts, "Cells that count as empty."),
    word("input", "true_values", Texts, "Words for true."),
    word("input", "false_values", Texts, "Words for false."),
    word(
        "input",
        "unknown_columns",
        OneOf(&["ignore", "warn", "reject_file"]),
        "What a column means that nothing is mapped from.",
    ),
    word("input", "ragged", OneOf(&["reject", "pad", "truncate"]), "What a row with too few or too many cells means."),
    word("input", "line_length", Whole, "Characters of a line of fixed width."),
    word("input", "sheet", Text, "The sheet of a workbook."),
    word("input", "each", Text, "Where the records are: `$.orders[*]`, for XML also `/orders/order`."),
    word("layouts.*", "starts_with", Text, "How such a line begins."),
    word("layouts.*", "matches", Text, "A pattern that such a line matches."),
    word("layouts.*", "occurs", OneOf(&["first", "last", "many"]), "Where such lines stand."),
    word("layouts.*", "is_record", Flag, "Such lines are the rows."),
    word(
        "layouts.*",
        "columns",
        LayoutColumns,
        "Its columns: `{ name = \"Amount\", pos = \"29-41\" }`, or `field = 2` in a CSV.",
    ),
    word("record", "group_by", Columns, "Rows with the same value here, one behind the other, become one record."),
    word(
        "record",
        "on_conflict",
        OneOf(&["reject", "first", "last"]),
        "What it means when rows of a group disagree about the record.",
    ),
    word("record", "sorted", Flag, "The sender promises that keys ascend."),
    word("record", "skip_when", Conditions, "Rows that are left out on purpose; they are counted."),
    word("record", "order_lines_by", Text, "The field that orders the lines of a record."),
    word("lookups.*", "file", Text, "A CSV file of the project."),
    word("lookups.*", "key", Text, "Its column with what is looked up."),
    word("lookups.*", "value", Text, "Its column with what is found."),
    word("lookups.*", "values", Pairs, "The table itself, when it is short."),
    word("lookups.*", "same_file", Column, "The value must stand in this column of the same file."),
    word("lookups.*", "ignore_case", Flag, "Large and small letters are the same."),
    word("lookups.*", "on_missing", OneOf(&["reject", "default", "keep"]), "What a value means that is not there."),
    recipe("from", Column, "The cell of this column.", "{ from = \"OrderNo\" }", &[("OrderNo", "SO-1")], "\"SO-1\""),
    recipe(
        "first_of",
        Columns,
        "The first of these columns that is not empty.",
        "{ first_of = [\"Work\", \"Home\"] }",
        &[("Work", ""), ("Home", "a@example.com")],
        "\"a@example.com\"",
    ),
    recipe(
        "template",
        Text,
        "A text with cells in it.",
        "{ template = \"{First} {Last}\" }",
        &[("First", "Anna"), ("Last", "Holm")],
        "\"Anna Holm\"",
    ),
    recipe("value", Constant, "Always this.", "{ value = \"WEB\" }", &[("A", "1")], "\"WEB\""),
    recipe(
        "cases",
        Cases,
        "The value of the first case that holds.",
        "{ cases = [ { when = { Ship = \"X\" }, value = \"RUSH\" } ], default = \"NORMAL\" }",
        &[("Ship", "X")],
        "\"RUSH\"",
    ),
    recipe(
        "auto",
        OneOf(&["file.name", "row", "run", "business_date"]),
        "Something Nightferry knows by itself.",
        "{ auto = \"row\" }",
        &[("A", "1")],
        "2",
    ),
    recipe(
        "when",
        Conditions,
        "Only when these hold has the field a value.",
        "{ from = \"End\", when = { Status = \"T\" } }",
        &[("End", "x"), ("Status", "A")],
        "–",
    ),
    recipe(
        "optional_column",
        Flag,
        "The column may be missing in the file.",
        "{ from = \"Fax\", optional_column = true }",
        &[("A", "1")],
        "–",
    ),
    recipe(
        "clean",
        Steps,
        "Steps over the text, in order.",
        "{ from = \"SKU\", clean = [\"trim\", \"upper\"] }",
        &[("SKU", " ab-1 ")],
        "\"AB-1\"",
    ),
    beside(
        "lookup",
        Text,
        "The value that a lookup has for the cell.",
        "{ from = \"Terms\", lookup = \"terms\" }",
        "[lookups.terms]\nvalues = { NET30 = 30 }\n",
        &[("Terms", "NET30")],
        "30",
    ),
    recipe(
        "type",
        OneOf(&["string", "integer", "number", "boolean", "date", "time", "datetime"]),
        "What the text must be.",
        "{ from = \"Qty\", type = \"integer\" }",
        &[("Qty", "007")],
        "7",
    ),
    recipe(
        "format",
        Text,
        "How a date is written, or what a text is: `email`, `iban`, `uuid`, `url`.",
        "{ from = \"Day\", type = \"date\", format = \"%d.%m.%Y\" }",
        &[("Day", "23.11.2026")],
        "\"2026-11-23\"",
    ),
    recipe(
        "decimals",
        Whole,
        "Exactly so many decimals; nothing is rounded.",
        "{ from = \"Sum\", type = \"number\", decimals = 2 }",
        &[("Sum", "12.5")],
        "12.50",
    ),
    recipe(
        "implied_decimals",
        Whole,
        "The last digits of the cell are decimals.",
        "{ from = \"Sum\", type = \"number\", implied_decimals = 2 }",
        &[("Sum", "0001250")],
        "12.50",
    ),
    recipe(
        "negative_when",
        Conditions,
        "The amount is negative when these hold.",
        "{ from = \"Sum\", type = \"number\", negative_when = { DC = \"D\" } }",
        &[("Sum", "5"), ("DC", "D")],
        "-5",
    ),
    recipe(
        "minor_units",
        Whole,
        "The amount is sent as a whole number of cents.",
        "{ from = \"Sum\", type = \"number\", minor_units = 2 }",
        &[("Sum", "12.34")],
        "1234",
    ),
    recipe(
        "default",
        Constant,
        "The value when there is none.",
        "{ from = \"Curr\", default = \"EUR\" }",
        &[("Curr", "")],
        "\"EUR\"",
    ),
    recipe(
        "required",
        Flag,
        "Without a value the row is rejected.",
        "{ from = \"Id\", required = true }",
        &[("Id", "")],
        "✗ required",
    ),
    recipe(
        "unique",
        Flag,
        "The value stands in one record of the file; later ones are rejected.",
        "{ from = \"Id\", unique = true }",
        &[("Id", "1")],
        "\"1\"",
    ),
    recipe(
        "enum",
        Constants,
        "The only values that are good.",
        "{ from = \"Curr\", enum = [\"EUR\", \"DKK\"] }",
        &[("Curr", "USD")],
        "✗ not-in-enum",
    ),
    recipe(
        "pattern",
        Text,
        "A regular expression that the value matches.",
        "{ from = \"Id\", pattern = '^SO-\\d{6}$' }",
        &[("Id", "SO-12")],
        "✗ pattern",
    ),
    recipe(
        "minimum",
        Limit,
        "The least number or the first day that is good; `today-15y` counts from the business date.",
        "{ from = \"Qty\", type = \"integer\", minimum = 1 }",
        &[("Qty", "0")],
        "✗ below-minimum",
    ),
    recipe(
        "maximum",
        Limit,
        "The greatest number or the last day that is good.",
        "{ from = \"Day\", type = \"date\", format = \"%Y-%m-%d\", maximum = \"today\" }",
        &[("Day", "9000-01-01")],
        "✗ above-maximum",
    ),
    recipe(
        "min_length",
        Whole,
        "At least so many characters.",
        "{ from = \"A\", min_length = 3 }",
        &[("A", "ab")],
        "✗ too-short",
    ),
    recipe(
        "max_length",
        Whole,
        "At most so many characters.",
        "{ from = \"A\", max_length = 3 }",
        &[("A", "abcd")],
        "✗ too-long",
    ),
    beside(
        "not_before",
        Text,
        "Not earlier than another field of the record.",
        "{ from = \"End\", type = \"date\", format = \"%Y-%m-%d\", not_before = \"start\" }",
        "[fields.start]\nfrom = \"Start\"\ntype = \"date\"\nformat = \"%Y-%m-%d\"\n",
        &[("Start", "2026-02-01"), ("End", "2026-01-01")],
        "✗ before",
    ),
    beside(
        "not_after",
        Text,
        "Not later than another field of the record.",
        "{ from = \"Start\", type = \"date\", format = \"%Y-%m-%d\", not_after = \"end\" }",
        "[fields.end]\nfrom = \"End\"\ntype = \"date\"\nformat = \"%Y-%m-%d\"\n",
        &[("Start", "2026-02-01"), ("End", "2026-01-01")],
        "✗ after",
    ),
    recipe(
        "pii",
        OneOf(&["name", "email", "phone", "address", "national-id", "birth-date", "iban", "salary", "health", "other"]),
        "What personal data it is: people see a mask, the target gets the value.",
        "{ from = \"Mail\", pii = \"email\" }",
        &[("Mail", "anna@example.com")],
        "\"anna@example.com\"",
    ),
    recipe(
        "note",
        Text,
        "For whoever reads the mapping.",
        "{ from = \"A\", note = \"key shared with the ERP\" }",
        &[("A", "1")],
        "\"1\"",
    ),
    step("trim", "White space off both ends.", "{ from = \"A\", clean = [\"trim\"] }", &[("A", " a b ")], "\"a b\""),
    step(
        "squeeze",
        "Every run of white space becomes one blank.",
        "{ from = \"A\", clean = [\"squeeze\"] }",
        &[("A", "a   b")],
        "\"a b\"",
    ),
    step("upper", "Capital letters.", "{ from = \"A\", clean = [\"upper\"] }", &[("A", "dk")], "\"DK\""),
    step(
        "lower",
        "Small letters.",
        "{ from = \"A\", clean = [\"lower\"] }",
        &[("A", "Anna@Example.com")],
        "\"anna@example.com\"",
    ),
    step(
        "digits",
        "Only the digits.",
        "{ from = \"A\", clean = [\"digits\"] }",
        &[("A", "010185-1234")],
        "\"0101851234\"",
    ),
    step(
        "ascii",
        "Letters without accents; what has no ASCII form is dropped.",
        "{ from = \"A\", clean = [\"ascii\"] }",
        &[("A", "Müller")],
        "\"Muller\"",
    ),
    step(
        "pad_left",
        "Filled up on the left.",
        "{ from = \"A\", clean = [{ pad_left = [8, \"0\"] }] }",
        &[("A", "4711")],
        "\"00004711\"",
    ),
    step(
        "remove",
        "Without these characters.",
        "{ from = \"A\", clean = [{ remove = \" -()\" }] }",
        &[("A", "+45 12-34")],
        "\"+451234\"",
    ),
    step(
        "replace",
        "One text for another, everywhere.",
        "{ from = \"A\", clean = [{ replace = [\"/\", \"-\"] }] }",
        &[("A", "a/b/c")],
        "\"a-b-c\"",
    ),
    step(
        "take",
        "From the first to the last character, both included, counted from 1.",
        "{ from = \"A\", clean = [{ take = [1, 3] }] }",
        &[("A", "SO-100")],
        "\"SO-\"",
    ),
    step(
        "after",
        "What stands behind the first mark.",
        "{ from = \"A\", clean = [{ after = \"-\" }] }",
        &[("A", "SO-1-2")],
        "\"1-2\"",
    ),
    step(
        "before",
        "What stands before the first mark.",
        "{ from = \"A\", clean = [{ before = \"-\" }] }",
        &[("A", "SO-1-2")],
        "\"SO\"",
    ),
    word("checks", "id", Text, "The reject code is `check:ID`."),
    word("checks", "title", Text, "What must hold, in words."),
    word("checks", "sum", Text, "A field whose sum (over the lines) is compared with `equals`."),
    word("checks", "equals", Text, "The field that is compared with."),
    word("checks", "tolerance", Number, "How far the sum may be off."),
    word("checks", "field", Text, "A field that is compared with another."),
    word("checks", "not_before", Text, "It is not earlier than this field."),
    word("checks", "at_least_one_of", Texts, "One of these fields has a value."),
    word("checks", "severity", OneOf(&["reject", "warn"]), "Whether the record is rejected."),
    word("controls", "id", Text, "The reject code is `control:ID`."),
    word("controls", "title", Text, "What must hold, in words."),
    word("controls", "count", Text, "The rows, or the layout of the records, that are counted."),
    word("controls", "sum", Column, "The column that is added up."),
    word("controls", "hash", Column, "The column whose digits are added up."),
    word("controls", "only", Conditions, "The rows that count."),
    word("controls", "declared", Text, "Where the file says it: `trailer.Count`."),
    word("controls", "sequence", Text, "A number that is one more than that of the file before."),
    word("controls", "count_between", Two, "The least and the most rows."),
    word("controls", "not_less_than_yesterday", Text, "A share of the rows of the file before: `\"50 %\"`."),
    word("changes", "key", Text, "The field that says which record it is."),
    word("changes", "send", OneOf(&["all", "changed"]), "Whether unchanged records are sent."),
    word("changes", "disappeared", OneOf(&["ignore", "report"]), "Whether keys are reported that are gone."),
    word("changes", "max_percent", Number, "More changes than this hold the file for a person."),
    word("rejects", "unit", OneOf(&["row", "record", "file"]), "What is counted, and what is all or nothing."),
    word("rejects", "max_count", Whole, "More rejects than this stop the file."),
    word("rejects", "max_percent", Number, "A greater share of rejects than this stops the file."),
    word(
        "output",
        "format",
        OneOf(&["json", "jsonl", "form", "csv", "fixed", "xlsx", "xml"]),
        "How records are written.",
    ),
    word("output", "omit_empty", Flag, "Fields without a value are left out."),
    word("output", "delimiter", Text, "Of files: what stands between cells."),
    word("output", "quote", Text, "Of files: what stands around cells."),
    word("output", "encoding", Text, "Of files: how characters are written as bytes."),
    word("output", "line_ending", OneOf(&["lf", "crlf"]), "Of files: how lines end."),
    word("output", "header", Flag, "Of files: whether the first line names the columns."),
    word("output", "trailer", Text, "Of files: the last line, with `{count}` and `{sum:FIELD}`."),
    word("output", "date", Text, "Of files: how dates are written."),
    word("output", "datetime", Text, "Of files: how dates with times are written."),
    word("output", "decimal_mark", Text, "Of files: the decimal mark."),
    word("tests", "name", Text, "What the test shows."),
    word("tests", "rows", Tables, "Rows: what differs from the sample."),
    word("tests", "given", Text, "A whole file instead of rows."),
    word("tests", "trailer", Pairs, "What differs from a trailer that balances."),
    word("tests", "expect", Tables, "Records, with the paths that matter."),
    word("tests", "expect_json", Text, "Whole records as JSON."),
    word("tests", "reject", Tables, "Rejects: row, column, code."),
    word("tests", "warnings", Tables, "Warnings: row, column, code."),
    word("tests", "skipped", Whole, "How many rows are skipped."),
    word("tests", "absent", Texts, "Paths that no record has."),
    word("tests", "shown", Tables, "Records as people see them."),
    word("tests", "business_date", Text, "The day it is."),
];

/// The tables of a mapping file that have a fixed name, and the keys at its top.
pub const TABLES: &[&str] = &[
    "mapping", "input", "layouts", "record", "lookups", "fields", "checks", "controls", "changes", "rejects", "output",
    "sample", "tests",
];

/// The keys that a table may have; none for a table of another file.
pub fn keys(table: &str) -> Vec<&'static str> {
    if table.is_empty() {
        return TABLES.to_vec();
    }
    let fits = |pattern: &str| match pattern.strip_suffix(".*") {
        Some(head) => table.strip_prefix(head).is_some_and(|rest| rest.starts_with('.')),
        None => pattern == table,
    };
    WORDS.iter().filter(|word| fits(word.table)).map(|word| word.key).collect()
}
