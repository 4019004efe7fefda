//! `[reconcile]` and `[[measures]]` of a job: what must add up.

use rust_decimal::Decimal;
use toml::de::DeValue;

use super::suggest::nearest;
use super::tree::{At, Sink, Table, Value};
use crate::domain::job::{ReconcileRule, SignOffRule};
use crate::domain::measure::{Measure, Measured};
use crate::mapping::spec::{FieldSpec, MappingSpec, OutputFormat, ValueKind};

/// `[reconcile]` with the places of what it refers to.
#[derive(Clone, Debug, Default)]
pub struct ReadReconcile {
    /// The rule.
    pub rule: ReconcileRule,
    /// `key`.
    pub key: Option<At<String>>,
}

/// A measure with the places of what it refers to.
#[derive(Clone, Debug)]
pub struct ReadMeasure {
    /// The measure.
    pub measure: Measure,
    /// `sum`.
    pub sum: Option<At<String>>,
    /// `per`.
    pub per: Option<At<String>>,
}

/// Reads both of a job.
pub fn read(root: &Table<'_>) -> (ReadReconcile, Vec<ReadMeasure>) {
    let mut reconcile = ReadReconcile::default();
    if let Some(table) = root.table("reconcile") {
        reconcile.key = table.text("key");
        reconcile.rule.key = reconcile.key.as_ref().map(|key| key.value.clone());
        reconcile.rule.sign_off = table.get("sign_off").map(|value| sign_off(&value)).unwrap_or_default();
        // It must name a field; nothing searches by it yet.
        table.not_acted_on_yet(&["key"]);
        table.end();
    }
    let mut measures: Vec<ReadMeasure> = Vec::new();
    for table in root.tables("measures") {
        let Some(read) = read_measure(table) else { continue };
        measures.push(read);
    }
    (reconcile, measures)
}

fn sign_off(value: &Value<'_>) -> SignOffRule {
    match value.node() {
        DeValue::Boolean(true) => SignOffRule::OnePerson,
        DeValue::String(word) if word == "two_people" => SignOffRule::TwoPeople,
        DeValue::Boolean(false) => SignOffRule::Nobody,
        _ => {
            let message = "`true`, `false` or `\"two_people\"` is needed here";
            value.sink().error("NF104", &value.span(), message, "");
            SignOffRule::Nobody
        }
    }
}

fn read_measure(table: Table<'_>) -> Option<ReadMeasure> {
    let title = table.required("title").and_then(|value| value.text());
    let (counts, sum, per) = (table.flag("count"), table.text("sum"), table.text("per"));
    let tolerance = table.get("tolerance").map_or(Some(Decimal::ZERO), |value| decimal(&value));
    let span = table.span();
    let what = match (counts, &sum, &per) {
        (true, None, None) => Some(Measured::Count),
        (false, Some(sum), per) => {
            let (field, per) = (sum.value.clone(), per.as_ref().map(|per| per.value.clone()));
            Some(Measured::Sum { field, per })
        }
        (true, None, Some(per)) => {
            let message = "`per` keeps sums apart, and this measure counts records";
            table.sink().error("NF145", &per.span, message, "");
            None
        }
        _ => {
            let help = "`count = true` counts records, `sum = \"FIELD\"` adds up a field of each";
            table.sink().error_help("NF145", &span, "a measure has either `count = true` or `sum`", "", help);
            None
        }
    };
    table.end();
    let measure = Measure { title: title?.value, what: what?, tolerance: tolerance? };
    Some(ReadMeasure { measure, sum, per })
}

/// A number as it is written: `0.05` never becomes a float.
fn decimal(value: &Value<'_>) -> Option<Decimal> {
    let text = match value.node() {
        DeValue::Integer(digits) if digits.radix() == 10 => digits.as_str(),
        DeValue::Float(digits) => digits.as_str(),
        DeValue::String(text) => text,
        _ => "",
    };
    let number = Decimal::from_str_exact(&text.replace('_', "")).ok().filter(|number| !number.is_sign_negative());
    if number.is_none() {
        value.sink().error("NF104", &value.span(), "a number from 0 on is needed here, such as `0.05`", "");
    }
    number
}

/// Compares what a job adds up with what its mapping sends.
pub fn check(sink: &Sink<'_>, spec: &MappingSpec, reconcile: &ReadReconcile, measures: &[ReadMeasure]) {
    for read in measures {
        let Some(sum) = &read.sum else { continue };
        if !matches!(spec.output.format, OutputFormat::Json | OutputFormat::Jsonl) {
            let message = "a sum is read from what is sent, and this version reads JSON only";
            sink.error_help("NF191", &sum.span, message, "", "`count = true` works with every `[output] format`");
        }
        if let Some(field) = named(sink, spec, sum)
            && !matches!(field.kind, ValueKind::Number(_) | ValueKind::Integer)
        {
            let message = format!("`{}` is no number, so it cannot be added up", sum.value);
            let help = "give the field `type = \"number\"` or `type = \"integer\"` in the mapping";
            sink.error_help("NF145", &sum.span, message, "", help);
        }
        if let Some(per) = &read.per {
            let field = named(sink, spec, per);
            let list = |name: &str| name.contains("[]");
            if field.is_some() && list(&per.value) {
                let message = "`per` needs one value for each record, and this field has one for each entry of a list";
                sink.error("NF145", &per.span, message, "");
            }
        }
    }
    if let Some(key) = &reconcile.key
        && let Some(field) = named(sink, spec, key)
        && field.list().is_some()
    {
        let message = "a record has one key, and this field has a value for each entry of a list";
        sink.error("NF145", &key.span, message, "");
    }
}

fn named<'s>(sink: &Sink<'_>, spec: &'s MappingSpec, name: &At<String>) -> Option<&'s FieldSpec> {
    let field = spec.fields.iter().find(|field| field.name() == name.value);
    if field.is_none() {
        let known: Vec<String> = spec.fields.iter().map(FieldSpec::name).collect();
        let message = format!("the mapping sends no field `{}`", name.value);
        let near = nearest(&name.value, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        match near {
            Some(help) => sink.error_help("NF133", &name.span, message, "", help),
            None => sink.error("NF133", &name.span, message, ""),
        }
    }
    field
}
