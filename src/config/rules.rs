//! `[[checks]]`, `[[controls]]`, `[changes]`, `[rejects]` and `[record]` of a mapping.

use rust_decimal::Decimal;

use super::condition::{self, decimal};
use super::recipe::column;
use super::tree::{At, Table, Value};
use crate::mapping::spec::*;

const ON_CONFLICT: &[(&str, OnConflict)] =
    &[("reject", OnConflict::Reject), ("first", OnConflict::First), ("last", OnConflict::Last)];
const UNITS: &[(&str, RejectUnit)] =
    &[("row", RejectUnit::Row), ("record", RejectUnit::Record), ("file", RejectUnit::File)];

/// Reads `[record]`.
pub fn record(table: Table<'_>) -> RecordSpec {
    let group_by = table.get("group_by").map(|value| value.list(true).iter().filter_map(column).collect());
    let record = RecordSpec {
        group_by: group_by.unwrap_or_default(),
        on_conflict: table.choice("on_conflict", ON_CONFLICT).unwrap_or_default(),
        sorted: table.flag("sorted"),
        skip_when: condition::under(&table, "skip_when"),
        order_lines_by: table.text("order_lines_by").map(|field| field.value.replacen("lines[].", "", 1)),
    };
    for key in ["on_conflict", "sorted", "order_lines_by"] {
        if let (true, Some(value)) = (record.group_by.is_empty(), table.peek(key)) {
            table.sink().error("NF109", &value.span(), format!("`{key}` belongs to `group_by`"), "has no effect here");
        }
    }
    table.end();
    record
}

/// Reads `[rejects]`.
pub fn limits(table: Option<Table<'_>>, grouped: bool) -> RejectLimits {
    let unit = if grouped { RejectUnit::Record } else { RejectUnit::Row };
    let mut limits = RejectLimits { unit, ..RejectLimits::default() };
    let Some(table) = table else { return limits };
    limits.unit = table.choice("unit", UNITS).unwrap_or(limits.unit);
    limits.max_count = table.get("max_count").and_then(|value| value.integer(0, u64::MAX >> 1));
    if let Some((value, percent)) = percent(&table, "max_percent") {
        limits.max_percent = percent;
        if limits.unit == RejectUnit::File {
            let label = "one reject stops the file";
            table.sink().error("NF109", &value.span(), "`max_percent` has no effect with `unit = \"file\"`", label);
        }
    }
    table.end();
    limits
}

fn percent<'t>(table: &Table<'t>, key: &str) -> Option<(Value<'t>, Decimal)> {
    let value = table.get(key)?;
    let percent = decimal(&value)?;
    if percent < Decimal::ZERO || percent > Decimal::ONE_HUNDRED {
        table.sink().error("NF104", &value.span(), format!("`{key}` is from 0 to 100"), "");
    }
    Some((value, percent))
}

/// Reads `[changes]`.
pub fn changes(table: Table<'_>, fields: &Names<'_>) -> Option<ChangesSpec> {
    let key = table.required("key").and_then(|value| value.text());
    let key = key.and_then(|key| fields.named(&table, key));
    let only_changed = table.choice("send", &[("all", false), ("changed", true)]).unwrap_or(false);
    let report_disappeared = table.choice("disappeared", &[("ignore", false), ("report", true)]).unwrap_or(false);
    let max_percent = percent(&table, "max_percent").map(|(_, percent)| percent);
    table.end();
    Some(ChangesSpec { key: key?, only_changed, report_disappeared, max_percent })
}

/// The targets of a mapping, for rules that name them.
pub struct Names<'a>(pub &'a [FieldSpec]);

impl Names<'_> {
    /// The target, if there is a field for it.
    pub fn named(&self, table: &Table<'_>, target: At<String>) -> Option<String> {
        if self.0.iter().any(|field| field.name() == target.value) {
            return Some(target.value);
        }
        let known: Vec<String> = self.0.iter().map(FieldSpec::name).collect();
        let message = format!("there is no field `{}` in this mapping", target.value);
        let near = super::suggest::nearest(&target.value, known.iter().map(String::as_str));
        match near {
            Some(near) => {
                table.sink().error_help(
                    "NF133",
                    &target.span,
                    message,
                    "no such field",
                    format!("did you mean `{near}`?"),
                );
            }
            None => table.sink().error("NF133", &target.span, message, "rules name fields by their target"),
        }
        None
    }

    fn under(&self, table: &Table<'_>, key: &str) -> Option<String> {
        self.named(table, table.text(key)?)
    }
}

/// Reads `[[checks]]`.
pub fn checks(root: &Table<'_>, fields: &Names<'_>) -> Vec<CheckSpec> {
    let mut checks = Vec::new();
    for table in root.tables("checks") {
        let id = id(&table);
        let title = table.text("title").map(|title| title.value).unwrap_or_default();
        let warn = table.choice("severity", &[("reject", false), ("warn", true)]).unwrap_or(false);
        let rule = check_rule(&table, fields);
        table.end();
        if let (Some(id), Some(rule)) = (id, rule) {
            checks.push(CheckSpec { id, title, rule, warn });
        }
    }
    checks
}

/// An id becomes a part of a reject code.
fn id(table: &Table<'_>) -> Option<String> {
    let id = table.required("id")?.text()?;
    let fits = !id.value.is_empty() && id.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !fits {
        let message = format!("`{}` is not an id", id.value);
        table.sink().error(
            "NF104",
            &id.span,
            message,
            "letters, digits, `-` and `_`, because it becomes a reject code",
        );
    }
    fits.then_some(id.value)
}

fn check_rule(table: &Table<'_>, fields: &Names<'_>) -> Option<CheckRule> {
    let tolerance = table.get("tolerance").and_then(|value| decimal(&value)).unwrap_or_default();
    if table.has("sum") {
        let (sum, equals) =
            (fields.under(table, "sum"), table.required("equals").and_then(|_| fields.under(table, "equals")));
        return Some(CheckRule::Sum { sum: sum?, equals: equals?, tolerance });
    }
    if let Some(list) = table.texts("at_least_one_of") {
        return Some(CheckRule::AtLeastOneOf(list.into_iter().filter_map(|name| fields.named(table, name)).collect()));
    }
    let field = fields.under(table, "field");
    match (field, table.has("not_before"), table.has("equals")) {
        (Some(field), true, false) => Some(CheckRule::NotBefore { field, other: fields.under(table, "not_before")? }),
        (Some(field), false, true) => Some(CheckRule::Equals { field, other: fields.under(table, "equals")? }),
        _ => {
            let message = "this check says nothing that could be wrong";
            let help = "`sum` and `equals`, or `field` with `not_before` or `equals`, or `at_least_one_of`";
            table.sink().error_help("NF103", &table.span(), message, "", help);
            None
        }
    }
}

/// Reads `[[controls]]`.
pub fn controls(root: &Table<'_>, layouts: &[LayoutSpec]) -> Vec<ControlSpec> {
    let mut controls = Vec::new();
    for table in root.tables("controls") {
        let id = id(&table);
        let title = table.text("title").map(|title| title.value).unwrap_or_default();
        let only = condition::under(&table, "only");
        let rule = control_rule(&table, layouts);
        table.end();
        if let (Some(id), Some(rule)) = (id, rule) {
            controls.push(ControlSpec { id, title, rule, only });
        }
    }
    controls
}

fn control_rule(table: &Table<'_>, layouts: &[LayoutSpec]) -> Option<ControlRule> {
    let declared = |key: &str| declared(table, &table.text(key)?, layouts);
    let needs = || {
        table.required("declared")?;
        declared("declared")
    };
    if let Some(count) = table.text("count") {
        let known =
            count.value == "rows" || layouts.iter().any(|layout| layout.is_record && layout.name == count.value);
        if !known {
            let message = format!("`{}` is not what can be counted", count.value);
            table.sink().error("NF133", &count.span, message, "the layout of the records, or `rows`");
        }
        return Some(ControlRule::Count { layout: count.value, declared: needs()? });
    }
    if let Some(value) = table.get("sum") {
        let column = row_column(&value, layouts)?;
        return Some(ControlRule::Sum { column, declared: needs()? });
    }
    if let Some(value) = table.get("hash") {
        let column = row_column(&value, layouts)?;
        return Some(ControlRule::Hash { column, declared: needs()? });
    }
    if table.has("sequence") {
        return declared("sequence").map(ControlRule::Sequence);
    }
    if let Some(value) = table.get("count_between") {
        let limits: Vec<u64> = value.list(false).iter().filter_map(|limit| limit.integer(0, u64::MAX >> 1)).collect();
        if let [least, most] = limits.as_slice() {
            return Some(ControlRule::CountBetween(*least, *most));
        }
        table.sink().error("NF104", &value.span(), "`count_between` is two numbers", "for example `[100, 5000]`");
        return None;
    }
    if let Some(text) = table.text("not_less_than_yesterday") {
        let percent = text.value.trim().trim_end_matches('%').trim().parse().ok();
        if percent.is_none() {
            table.sink().error(
                "NF104",
                &text.span,
                format!("`{}` is not a percentage", text.value),
                "for example `\"50 %\"`",
            );
        }
        return percent.map(ControlRule::NotLessThanYesterday);
    }
    let help = "`count`, `sum` or `hash` with `declared`, or `sequence`, `count_between`, `not_less_than_yesterday`";
    table.sink().error_help("NF103", &table.span(), "this control says nothing that could be wrong", "", help);
    None
}

/// `payment.Amount` or `Amount`: a column of the rows.
fn row_column(value: &Value<'_>, layouts: &[LayoutSpec]) -> Option<Column> {
    Some(match column(value)? {
        Column::Name(name) => match name.split_once('.') {
            Some((layout, column)) if layouts.iter().any(|known| known.is_record && known.name == layout) => {
                Column::Name(column.to_owned())
            }
            _ => Column::Name(name),
        },
        position => position,
    })
}

/// `trailer.Count`: a column of a layout that is no row.
fn declared(table: &Table<'_>, text: &At<String>, layouts: &[LayoutSpec]) -> Option<Declared> {
    let found = text.value.split_once('.').filter(|(layout, column)| {
        layouts.iter().any(|known| {
            known.name == *layout && !known.is_record && known.columns.iter().any(|known| known.name == *column)
        })
    });
    let Some((layout, column)) = found else {
        let message = format!("`{}` is not a column of a header or trailer line", text.value);
        table.sink().error("NF133", &text.span, message, "`LAYOUT.COLUMN`, as in `[layouts]`");
        return None;
    };
    Some(Declared { layout: layout.to_owned(), column: column.to_owned() })
}
