//! `nightferry preview`: what a mapping makes of a file, before anything is sent.

use std::path::PathBuf;

use serde_json::json;

use super::Common;
use super::context::{Context, audit, mapping, print, print_json};
use super::exit::{Exit, Failure};
use super::given::{Given, given};
use crate::adapters::clock::SystemClock;
use crate::config::project::LoadedMapping;
use crate::domain::reject::Reject;
use crate::format::json_value::Json;
use crate::mapping::mask::Pii;
use crate::mapping::spec::{
    CleanStep, Column, FieldSpec, InputSpec, MappingSpec, Origin, RecordSpec, RejectLimits, TextFormat, ValueKind,
};
use crate::pipeline::inline_tests::{masked, sample_file};
use crate::pipeline::trial::{self, Trial, TrialInput};
use crate::ports::Clock as _;
use crate::report::text::{counted, grouped};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The mapping
    mapping: String,
    /// A file, or `last`: the last accepted one [default: `last`, or else the sample]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only the record of this line, as a spreadsheet counts (header = 1)
    #[arg(long, value_name = "N")]
    row: Option<u64>,
    /// Most records
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Show personal data too; the reason is written down
    #[arg(long, value_name = "REASON")]
    show_personal_data: Option<String>,
    /// Columns with tabs between, for other programs
    #[arg(long)]
    plain: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let mapping = mapping(&context, &args.mapping, common)?;
    let given = match given(&context, &mapping, args.file.as_deref())? {
        Some(given) => given,
        None => sample(&mapping)?,
    };
    if let Some(reason) = &args.show_personal_data {
        let what = format!("preview of mapping {} on {}", mapping.name, given.name);
        audit(&context, "show-personal-data", &what, reason)?;
    }
    let view = View { args, mapping: &mapping, given: &given };
    let trial = view.try_with(&mapping.spec, args.row, if args.json { usize::MAX } else { args.limit })?;
    if args.json {
        print_json(&view.document(&trial))?;
    } else if args.row.is_some() || trial.records.len() + trial.rejects.len() == 1 {
        print(&view.cells(&trial)?);
    } else {
        print(&view.records(&trial));
    }
    Ok(if trial.converted.fault.is_some() {
        Exit::FAILED
    } else if trial.rejects.is_empty() {
        Exit::DONE
    } else {
        Exit::REJECTS
    })
}

/// The sample row as a file.
fn sample(mapping: &LoadedMapping) -> Result<Given, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::FAILED, "file", error.to_string());
    let file = trial::file_of(&sample_file(mapping)).map_err(failed)?;
    Ok(Given { file, name: "[sample]".to_owned() })
}

struct View<'a> {
    args: &'a Args,
    mapping: &'a LoadedMapping,
    given: &'a Given,
}

impl View<'_> {
    fn try_with(&self, spec: &MappingSpec, line: Option<u64>, most: usize) -> Result<Trial, Failure> {
        let input = TrialInput {
            file: self.given.again()?,
            spec,
            name: &self.given.name,
            business_date: SystemClock.now().date_naive(),
            most,
            line,
        };
        trial::run(input).map_err(|error| Failure::new(Exit::FAILED, "file", format!("{}: {error}", self.given.name)))
    }

    fn shown(&self, record: &Json) -> Json {
        if self.args.show_personal_data.is_some() { record.clone() } else { masked(&self.mapping.spec, record) }
    }

    fn document(&self, trial: &Trial) -> serde_json::Value {
        let problem =
            |reject: &Reject| json!({ "column": reject.column, "code": reject.code.word(), "message": reject.message });
        let mut entries: Vec<(u64, serde_json::Value)> = Vec::new();
        for record in &trial.records {
            let row = record.rows.first().copied().unwrap_or(0);
            let shown: serde_json::Value =
                serde_json::from_str(&self.shown(&record.json).to_string()).unwrap_or_default();
            let entry = json!({ "row": row, "rows": record.rows, "state": "record", "record": shown, "problems": [] });
            entries.push((row, entry));
        }
        for line in &trial.skipped {
            let entry = json!({ "row": line, "rows": [line], "state": "skipped", "record": null, "problems": [] });
            entries.push((*line, entry));
        }
        for of_row in trial.rejects.chunk_by(|left, right| left.row == right.row) {
            let row = of_row.first().map_or(0, |reject| reject.row);
            let problems: Vec<_> = of_row.iter().map(problem).collect();
            let entry = json!({ "row": row, "rows": [row], "state": "rejected", "record": null, "problems": problems });
            entries.push((row, entry));
        }
        if let Some(fault) = &trial.converted.fault {
            let row = fault.row.unwrap_or(0);
            let problem = json!({ "column": fault.column, "code": fault.code.word(), "message": fault.message });
            entries.push((
                row,
                json!({ "row": row, "rows": [], "state": "rejected", "record": null, "problems": [problem] }),
            ));
        }
        entries.sort_by_key(|(row, _)| *row);
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// One line a record.
    fn records(&self, trial: &Trial) -> String {
        let mut lines: Vec<(u64, String)> = Vec::new();
        for record in &trial.records {
            let row = record.rows.first().copied().unwrap_or(0);
            lines.push((row, format!("{:>7}  ✓  {}", rows_of(&record.rows), self.shown(&record.json))));
        }
        for reject in &trial.rejects {
            let column = reject.column.as_deref().map(|column| format!("{column}: ")).unwrap_or_default();
            lines.push((reject.row, format!("{:>7}  ✗  {column}{}  {}", reject.row, reject.code, reject.message)));
        }
        lines.extend(trial.skipped.iter().map(|line| (*line, format!("{line:>7}  –  skipped"))));
        lines.sort_by_key(|(row, _)| *row);
        let mut text = format!("{}\n", self.given.name);
        for (_, line) in lines.into_iter().take(self.args.limit) {
            text.push_str(&line);
            text.push('\n');
        }
        text + &self.summary(trial)
    }

    fn summary(&self, trial: &Trial) -> String {
        let converted = &trial.converted;
        let mut text = match &converted.fault {
            Some(fault) => {
                let line = fault.row.map(|row| format!(":{row}")).unwrap_or_default();
                format!("the file fails: {}{line}: {} ({})\n", self.given.name, fault.message, fault.code)
            }
            None => {
                let rows = &converted.rows;
                format!(
                    "{} = {} skipped + {} rejected + {} used  →  {}\n",
                    counted(rows.read, "row"),
                    grouped(rows.skipped),
                    grouped(rows.rejected),
                    grouped(rows.used),
                    counted(converted.made, "record")
                )
            }
        };
        for warning in &converted.warnings {
            text.push_str(&format!("warning: {warning}\n"));
        }
        text
    }

    /// One record, cell by cell.
    fn cells(&self, trial: &Trial) -> Result<String, Failure> {
        let line = self.args.row.or_else(|| {
            trial
                .records
                .first()
                .and_then(|record| record.rows.first().copied())
                .or(trial.rejects.first().map(|one| one.row))
        });
        let raw = self.try_with(&raw_cells(&self.mapping.spec), line, 1)?;
        let cells = raw.records.first().map(|record| record.json.clone());
        let rows = trial
            .records
            .first()
            .map_or_else(|| line.map_or(String::new(), |line| line.to_string()), |record| rows_of(&record.rows));
        let outcome = match (trial.records.is_empty(), trial.skipped.is_empty(), trial.rejects.is_empty()) {
            (false, ..) => "1 record",
            (true, false, _) => "skipped",
            (true, true, false) => "rejected",
            (true, true, true) => "nothing",
        };
        let hidden = if self.args.show_personal_data.is_none()
            && self.mapping.spec.fields.iter().any(|field| field.pii.is_some())
        {
            "   (masked; --show-personal-data asks for a reason and is logged)"
        } else {
            ""
        };
        let plural = if rows.contains('–') { "rows" } else { "row" };
        let mut text = format!("{}   {plural} {rows}  →  {outcome}{hidden}\n", self.given.name);
        let record = trial.records.first().map(|record| self.shown(&record.json));
        // Which of the record's lines the row is; an ordered list does not say.
        let ordered = self.mapping.spec.record.order_lines_by.is_some();
        let rows_made = trial.records.first().map(|record| record.rows.as_slice()).unwrap_or_default();
        let entry = rows_made.iter().position(|row| Some(*row) == line).filter(|_| !ordered);
        let table: Vec<[String; 5]> = self
            .mapping
            .spec
            .fields
            .iter()
            .map(|field| self.field(field, cells.as_ref(), record.as_ref(), &trial.rejects, entry))
            .collect();
        if self.args.plain {
            text = table.iter().map(|row| row.join("\t") + "\n").collect();
            return Ok(text);
        }
        let heads = ["target", "from", "cell", "→", "value"].map(str::to_owned);
        let width =
            |at: usize| table.iter().chain([&heads]).map(|row| row[at].chars().count()).max().unwrap_or(0).min(40);
        let widths = [width(0), width(1), width(2), 1];
        for row in [&heads].into_iter().chain(&table) {
            let line = format!(
                "  {:<a$}  {:<b$}  {:<c$}  {:<d$}  {}",
                row[0],
                row[1],
                cut(&row[2], widths[2]),
                row[3],
                row[4],
                a = widths[0],
                b = widths[1],
                c = widths[2],
                d = widths[3],
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
        for reject in trial.rejects.iter().filter(|reject| reject.column.is_none()) {
            text.push_str(&format!("  ✗ {}: {}\n", reject.code, reject.message));
        }
        Ok(text + &self.summary(trial))
    }

    fn field(
        &self,
        field: &FieldSpec,
        cells: Option<&Json>,
        record: Option<&Json>,
        rejects: &[Reject],
        entry: Option<usize>,
    ) -> [String; 5] {
        let columns: Vec<&str> = names(&field.origin);
        let open = self.args.show_personal_data.is_some();
        let cell = |column: &&str| {
            let text = cells.and_then(|cells| match cells {
                Json::Object(entries) => {
                    entries.iter().find(|(name, _)| name == *column).map(|(_, value)| value.text())
                }
                _ => None,
            });
            match (text, field.pii) {
                (Some(text), Some(pii)) if !open => pii.mask(&text),
                (Some(text), _) => text,
                (None, _) => String::new(),
            }
        };
        let found: Vec<String> = columns.iter().map(cell).collect();
        let empty =
            found.iter().all(|cell| self.mapping.spec.input.missing.iter().any(|word| word.trim() == cell.trim()));
        let shown = match columns.is_empty() {
            true => String::new(),
            false if found.iter().all(String::is_empty) => "(empty)".to_owned(),
            false => found.join(" · "),
        };
        let reject = rejects
            .iter()
            .find(|reject| reject.column.as_deref().is_some_and(|column| columns.first() == Some(&column)));
        let path = field.name().replace("[]", &format!("[{}]", entry.unwrap_or(0)));
        let of_another_line = field.list().is_some() && entry.is_none();
        let value = record.and_then(|record| record.at(&path)).filter(|value| **value != Json::Null);
        let (mark, value, note) = match (reject, value) {
            (Some(reject), None) => ("✗", reject.code.word().into_owned(), String::new()),
            (_, Some(_)) if of_another_line => {
                ("→", "(see the record: its lines are ordered)".to_owned(), String::new())
            }
            (_, Some(value)) => ("→", value.to_string(), steps(field, empty)),
            (_, None) if record.is_some() => ("→", "–".to_owned(), String::new()),
            (_, None) => ("", String::new(), String::new()),
        };
        let value = if note.is_empty() { value } else { format!("{value:<24}  {note}") };
        [field.name(), origin_words(&field.origin, &columns), shown, mark.to_owned(), value]
    }
}

/// `17`, `17–19`.
fn rows_of(rows: &[u64]) -> String {
    match (rows.first(), rows.last()) {
        (Some(first), Some(last)) if first != last => format!("{first}–{last}"),
        (Some(first), _) => first.to_string(),
        _ => String::new(),
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.to_owned()
    } else {
        text.chars().take(most.saturating_sub(1)).collect::<String>() + "…"
    }
}

fn names(origin: &Origin) -> Vec<&str> {
    let mut names = Vec::new();
    for column in origin.columns() {
        if let Column::Name(name) = column
            && !names.contains(&name.as_str())
        {
            names.push(name);
        }
    }
    names
}

fn origin_words(origin: &Origin, columns: &[&str]) -> String {
    match origin {
        Origin::Value(_) => "(value)".to_owned(),
        Origin::Auto(_) => "(auto)".to_owned(),
        Origin::Cases(_) if columns.is_empty() => "(cases)".to_owned(),
        _ if columns.is_empty() => origin
            .columns()
            .iter()
            .map(|column| match column {
                Column::Position(at) => format!("column {at}"),
                Column::Name(name) => name.clone(),
            })
            .collect::<Vec<_>>()
            .join(", "),
        _ => columns.join(", "),
    }
}

/// What was done to the cell.
fn steps(field: &FieldSpec, empty: bool) -> String {
    if empty && field.default.is_some() {
        return "default".to_owned();
    }
    let clean = field.clean.iter().map(|step| match step {
        CleanStep::Trim => "trim",
        CleanStep::Squeeze => "squeeze",
        CleanStep::Upper => "upper",
        CleanStep::Lower => "lower",
        CleanStep::Digits => "digits",
        CleanStep::Ascii => "ascii",
        CleanStep::PadLeft(..) => "pad_left",
        CleanStep::Remove(_) => "remove",
        CleanStep::Replace(..) => "replace",
        CleanStep::Take(..) => "take",
        CleanStep::After(_) => "after",
        CleanStep::Before(_) => "before",
    });
    let lookup = field.lookup.as_ref().map(|_| "lookup");
    let kind = match &field.kind {
        ValueKind::Date { .. } => Some("date"),
        ValueKind::Time { .. } => Some("time"),
        ValueKind::Datetime { .. } => Some("datetime"),
        ValueKind::Number(_) => Some("number"),
        ValueKind::Integer => Some("integer"),
        ValueKind::Boolean => Some("boolean"),
        ValueKind::Text(_) => None,
    };
    clean.chain(lookup).chain(kind).collect::<Vec<_>>().join(", ")
}

/// A mapping that gives every cell as it is.
fn raw_cells(spec: &MappingSpec) -> MappingSpec {
    let names = crate::mapping::plan::Plan::column_names(spec);
    let field = |name: String| FieldSpec {
        target: vec![name.clone()],
        when: Vec::new(),
        origin: Origin::From(Column::Name(name)),
        optional_column: true,
        clean: Vec::new(),
        lookup: None,
        kind: ValueKind::Text(TextFormat::Any),
        default: None,
        required: false,
        allowed: Vec::new(),
        pattern: None,
        minimum: None,
        maximum: None,
        min_length: None,
        max_length: None,
        not_before: None,
        not_after: None,
        unique: false,
        pii: None::<Pii>,
    };
    let input = InputSpec { missing: vec![String::new()], ..spec.input.clone() };
    MappingSpec {
        input,
        layouts: spec.layouts.clone(),
        record: RecordSpec::default(),
        fields: names.into_iter().map(field).collect(),
        lookups: std::collections::BTreeMap::new(),
        checks: Vec::new(),
        controls: Vec::new(),
        changes: None,
        limits: RejectLimits::default(),
        output: crate::mapping::spec::OutputSpec { omit_empty: true, ..Default::default() },
    }
}
