//! A mapping file.

use toml::de::DeValue;

use super::columns::{self, SeenFile};
use super::inline_test::{self, InlineTest, Sample};
use super::lookup::{self, Lookups};
use super::project::Texts;
use super::rules::{self, Names};
use super::tree::{At, Sink, Table, Value};
use super::{input, layouts, output, recipe};
use crate::mapping::spec::{FieldSpec, MappingSpec};

/// A mapping file as it was read.
pub struct ReadMapping {
    /// The rules; `None` when the file has a mistake that leaves no meaning.
    pub spec: Option<MappingSpec>,
    /// `[sample]`.
    pub sample: Sample,
    /// `[[tests]]`.
    pub tests: Vec<InlineTest>,
}

/// Reads a mapping; `name` is the stem of its file, `seen` gives the header of the file that it was last used on.
pub fn read(
    sink: &Sink<'_>,
    root: Table<'_>,
    name: &str,
    files: &mut Texts<'_>,
    seen: &dyn Fn(&MappingSpec) -> Option<SeenFile>,
) -> ReadMapping {
    if let Some(head) = root.table("mapping") {
        if let Some(written) = head.text("name").filter(|written| written.value != name) {
            let message = format!("this mapping is `{}`, but its file is `{name}.toml`", written.value);
            sink.error("NF120", &written.span, message, "name and file must agree");
        }
        head.end();
    }
    let input = root.table("input").map(input::read).unwrap_or_default();
    let layouts = layouts::read(&root, &input);
    let lookups = lookups(&root, files);
    let record = root.table("record").map(rules::record).unwrap_or_default();
    let fields = fields(sink, &root, &lookups, !record.group_by.is_empty());
    let known = fields.clone().unwrap_or_default();
    let names = Names(&known);
    let checks = rules::checks(&root, &names);
    let controls = rules::controls(&root, &layouts);
    let changes = root.table("changes").and_then(|table| rules::changes(table, &names));
    let limits = rules::limits(root.table("rejects"), !record.group_by.is_empty());
    let output = output::read(&root, &known);
    check_lookups(sink, &root, &fields);
    check_orders(sink, &root, &known);
    let spec = fields.map(|fields| MappingSpec {
        input,
        layouts,
        record,
        fields,
        lookups: lookups.read,
        checks,
        controls,
        changes,
        limits,
        output,
    });
    let sample = root.table("sample").map(|table| inline_test::sample(&table, spec.as_ref())).unwrap_or_default();
    let tests = inline_test::tests(sink, &root);
    if let Some(spec) = &spec {
        columns::check(sink, &root, spec, &sample, seen(spec).as_ref());
    }
    root.end();
    ReadMapping { spec, sample, tests }
}

/// The values of a list of texts.
pub fn values(texts: Option<Vec<At<String>>>) -> Option<Vec<String>> {
    texts.map(|texts| texts.into_iter().map(|text| text.value).collect())
}

fn lookups(root: &Table<'_>, files: &mut Texts<'_>) -> Lookups {
    let mut lookups = Lookups::default();
    let Some(table) = root.table("lookups") else { return lookups };
    for (name, value) in table.entries() {
        let read = value.table(&format!("lookups.{}", name.value)).and_then(|table| lookup::read(table, files));
        lookups.declared.insert(name.value.clone());
        lookups.read.extend(read.map(|lookup| (name.value, lookup)));
    }
    lookups
}

fn fields(sink: &Sink<'_>, root: &Table<'_>, lookups: &Lookups, grouped: bool) -> Option<Vec<FieldSpec>> {
    let table = root.required("fields")?.table("fields")?;
    let mut fields: Vec<FieldSpec> = Vec::new();
    let mut all_read = true;
    for (target, value) in table.entries() {
        if is_split_by_dots(&value) {
            let message = "a target path with dots needs quotation marks";
            let label = format!("read as a table `{}`", target.value);
            sink.error_help("NF112", &target.span, message, &label, "write `\"customer.email\" = { … }`");
            all_read = false;
            continue;
        }
        let read = value
            .table(&format!("fields.{}", target.value))
            .and_then(|table| recipe::read(&target, table, lookups, grouped));
        match read {
            Some(field) => {
                clash(sink, &target, &field, &fields);
                fields.push(field);
            }
            None => all_read = false,
        }
    }
    if table.entries().is_empty() {
        sink.error("NF103", &table.span(), "a mapping needs at least one field", "");
    }
    all_read.then_some(fields)
}

/// `customer.email = {…}` without quotation marks is a table of tables.
fn is_split_by_dots(value: &Value<'_>) -> bool {
    match value.node() {
        DeValue::Table(inner) => {
            let conditions = ["when", "negative_when"];
            !inner.is_empty()
                && inner.iter().all(|(key, value)| {
                    matches!(value.get_ref(), DeValue::Table(_)) && !conditions.contains(&key.get_ref().as_ref())
                })
        }
        _ => false,
    }
}

/// A target may stand once, and not inside another one.
fn clash(sink: &Sink<'_>, target: &At<String>, field: &FieldSpec, before: &[FieldSpec]) {
    let plain = |field: &FieldSpec| -> Vec<String> { field.target.iter().map(|part| part.replace("[]", "")).collect() };
    let list_of = |field: &FieldSpec| field.list().map(|at| plain(field).into_iter().take(at + 1).collect::<Vec<_>>());
    let own = plain(field);
    let other = before.iter().find(|other| {
        let theirs = plain(other);
        let inside = own.starts_with(&theirs) || theirs.starts_with(&own);
        let mixed = match (list_of(field), list_of(other)) {
            (Some(list), None) => theirs.starts_with(&list),
            (None, Some(list)) => own.starts_with(&list),
            (Some(left), Some(right)) => left != right && (left.starts_with(&right) || right.starts_with(&left)),
            (None, None) => false,
        };
        inside || mixed
    });
    if let Some(other) = other {
        let message = format!("`{}` and `{}` cannot both be sent", other.name(), target.value);
        sink.error("NF113", &target.span, message, "one is inside the other");
    }
}

/// A lookup that no field uses is a mistake of somebody's.
fn check_lookups(sink: &Sink<'_>, root: &Table<'_>, fields: &Option<Vec<FieldSpec>>) {
    let (Some(fields), Some(table)) = (fields, root.table("lookups")) else { return };
    for (name, _) in table.entries() {
        let used = fields.iter().any(|field| field.lookup.as_ref() == Some(&name.value));
        if !used {
            sink.warn(
                "NF214",
                &name.span,
                format!("no field uses the lookup `{}`", name.value),
                "remove it, or add `lookup = …` to a field",
            );
        }
    }
}

/// `not_before` and `not_after` name fields that can be compared.
fn check_orders(sink: &Sink<'_>, root: &Table<'_>, fields: &[FieldSpec]) {
    let Some(table) = root.table("fields") else { return };
    for field in fields {
        let Some(recipe) = table.peek(&field.name()).and_then(|value| value.table("fields")) else { continue };
        for key in ["not_before", "not_after"] {
            let Some(target) = recipe.peek(key).and_then(|value| value.text()) else { continue };
            let span = target.span.clone();
            let Some(named) = Names(fields).named(&recipe, target) else { continue };
            let of_lines = |name: &str| fields.iter().any(|field| field.name() == name && field.list().is_some());
            if field.list().is_none() && of_lines(&named) {
                let label = "a record has many lines";
                sink.error(
                    "NF133",
                    &span,
                    format!("`{named}` belongs to lines, and `{}` to the record", field.name()),
                    label,
                );
            }
        }
    }
}
