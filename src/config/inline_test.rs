//! `[sample]` and `[[tests]]` of a mapping: read here, run by the pipeline.

use chrono::NaiveDate;
use toml::de::DeValue;

use super::lookup::constant;
use super::tree::{Sink, Table, Value};
use crate::format::json_value::Json;
use crate::mapping::spec::{Constant, MappingSpec};

/// `[sample]`: one good row, as in the file.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// By layout (`""` without layouts), column and cell in the order of the mapping.
    pub rows: Vec<(String, Cells)>,
}

/// Columns with their cells.
pub type Cells = Vec<(String, String)>;

impl Sample {
    /// The cells of a layout.
    pub fn layout(&self, name: &str) -> Cells {
        self.rows.iter().find(|(layout, _)| layout == name).map(|(_, cells)| cells.clone()).unwrap_or_default()
    }
}

/// One of `[[tests]]`.
#[derive(Clone, Debug, Default)]
pub struct InlineTest {
    /// Its name.
    pub name: String,
    /// The line of its name in the mapping.
    pub line: usize,
    /// What differs from the sample, row by row.
    pub rows: Vec<Cells>,
    /// A whole file instead.
    pub given: Option<String>,
    /// What differs from a trailer that balances.
    pub trailer: Cells,
    /// Records, each with the paths that matter.
    pub expect: Option<Vec<Vec<(String, Json)>>>,
    /// Whole records.
    pub expect_json: Option<Json>,
    /// Rejects, without those of cause `group`.
    pub reject: Vec<ExpectedReject>,
    /// Warnings.
    pub warnings: Option<Vec<ExpectedReject>>,
    /// Number of skipped rows.
    pub skipped: Option<u64>,
    /// Paths that no record has.
    pub absent: Vec<String>,
    /// Records as people see them.
    pub shown: Vec<Vec<(String, Json)>>,
    /// The day it is.
    pub business_date: Option<NaiveDate>,
}

/// What is known of a reject or a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedReject {
    /// The test's own row, from 1.
    pub row: Option<u64>,
    /// The column.
    pub column: Option<String>,
    /// The code.
    pub code: String,
}

/// Reads `[sample]`.
pub fn sample(table: &Table<'_>, spec: Option<&MappingSpec>) -> Sample {
    let layouts: Vec<&str> =
        spec.map(|spec| spec.layouts.iter().map(|layout| layout.name.as_str()).collect()).unwrap_or_default();
    let mut sample = Sample::default();
    let mut flat = Vec::new();
    for (key, value) in table.entries() {
        match value.node() {
            DeValue::Table(_) if layouts.contains(&key.value.as_str()) => {
                if let Some(inner) = value.table("sample") {
                    sample.rows.push((key.value, cells(&inner)));
                }
            }
            _ => flat.extend(cell(&value).map(|cell| (key.value, cell))),
        }
    }
    if !flat.is_empty() {
        sample.rows.insert(0, (String::new(), flat));
    }
    sample
}

fn cells(table: &Table<'_>) -> Cells {
    table.entries().iter().filter_map(|(key, value)| Some((key.value.clone(), cell(value)?))).collect()
}

fn cell(value: &Value<'_>) -> Option<String> {
    constant(value).map(Constant::into_text)
}

/// Reads `[[tests]]`.
pub fn tests(sink: &Sink<'_>, root: &Table<'_>) -> Vec<InlineTest> {
    root.tables("tests").into_iter().filter_map(|table| test(sink, table)).collect()
}

fn test(sink: &Sink<'_>, table: Table<'_>) -> Option<InlineTest> {
    let name = table.required("name").and_then(|value| value.text());
    let rows = table.get("rows").map(|value| value.list(false)).unwrap_or_default();
    let test = InlineTest {
        line: name.as_ref().map_or(0, |name| sink.line(&name.span)),
        name: name.map(|name| name.value)?,
        rows: rows.iter().filter_map(|row| row.table("tests.rows")).map(|row| cells(&row)).collect(),
        given: table.text("given").map(|given| given.value),
        trailer: table.table("trailer").map(|trailer| cells(&trailer)).unwrap_or_default(),
        expect: table.get("expect").map(|value| records(&value)),
        expect_json: table.text("expect_json").and_then(|text| {
            let json = Json::parse(text.value.as_bytes());
            if json.is_none() {
                sink.error("NF117", &text.span, "`expect_json` is not JSON", "");
            }
            json
        }),
        reject: table.get("reject").map(|value| rejects(&value)).unwrap_or_default(),
        warnings: table.get("warnings").map(|value| rejects(&value)),
        skipped: table.get("skipped").and_then(|value| value.integer(0, u64::MAX >> 1)),
        absent: table.texts("absent").unwrap_or_default().into_iter().map(|path| path.value).collect(),
        shown: table.get("shown").map(|value| records(&value)).unwrap_or_default(),
        business_date: table.text("business_date").and_then(|text| {
            let date = text.value.parse().ok();
            if date.is_none() {
                sink.error(
                    "NF104",
                    &text.span,
                    format!("`{}` is not a date", text.value),
                    "for example `\"2026-11-23\"`",
                );
            }
            date
        }),
    };
    if test.rows.is_empty() == test.given.is_none() {
        let message = "a test has `rows` or `given`";
        let label = "`rows = [ {} ]` is the sample row as it is";
        sink.error("NF103", &table.span(), message, label);
    }
    if test.expect.is_none() && test.expect_json.is_none() && test.shown.is_empty() {
        let label = "`expect = []` says that there is no record";
        sink.error("NF103", &table.span(), "a test needs `expect`, `expect_json` or `shown`", label);
    }
    table.end();
    Some(test)
}

fn records(value: &Value<'_>) -> Vec<Vec<(String, Json)>> {
    let record = |record: &Value<'_>| {
        let table = record.table("tests.expect")?;
        let paths = table.entries().into_iter().filter_map(|(path, value)| Some((path.value, json(constant(&value)?))));
        Some(paths.collect())
    };
    value.list(false).iter().filter_map(record).collect()
}

fn json(constant: Constant) -> Json {
    match constant {
        Constant::Text(text) => Json::Text(text),
        Constant::Number(digits) => Json::Number(digits),
        Constant::Boolean(value) => Json::Boolean(value),
    }
}

fn rejects(value: &Value<'_>) -> Vec<ExpectedReject> {
    let reject = |reject: &Value<'_>| {
        let table = reject.table("tests.reject")?;
        let row = table.get("row").and_then(|row| row.integer(1, u64::MAX >> 1));
        let column = table.text("column").map(|column| column.value);
        let code = table.required("code").and_then(|code| code.text());
        if let Some(code) = &code
            && crate::domain::reject::RejectCode::from_word(&code.value).is_none()
        {
            let words: Vec<_> = crate::domain::reject::RejectCode::all().map(|code| code.word()).collect();
            let near = super::suggest::nearest(&code.value, words.iter().map(|word| word.as_ref()));
            let help = near
                .map_or("`nightferry explain codes` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
            table.sink().error_help("NF104", &code.span, format!("`{}` is not a reject code", code.value), "", help);
        }
        table.end();
        Some(ExpectedReject { row, column, code: code?.value })
    };
    value.list(false).iter().filter_map(reject).collect()
}
