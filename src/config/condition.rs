//! Conditions: `{ Status = "T" }`, `{ Ship = ["X", "EXPRESS"] }`, `{ Qty = { at_least = 100 } }`, `{ Gift = { present = true } }`.

use rust_decimal::Decimal;
use toml::de::DeValue;

use super::lookup;
use super::tree::{Table, Value};
use crate::mapping::spec::{Column, Condition, Constant, Test};

/// Reads the conditions of a table; all must hold.
pub fn read(when: &Table<'_>) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for (column, value) in when.entries() {
        let column = Column::Name(column.value);
        match value.node() {
            DeValue::Table(_) => {
                let Some(tests) = value.table("condition") else { continue };
                conditions.extend(table(&tests).into_iter().map(|test| Condition { column: column.clone(), test }));
                tests.end();
            }
            _ => {
                let words = value.list(true).iter().filter_map(lookup::constant).map(Constant::into_text).collect();
                conditions.push(Condition { column, test: Test::OneOf(words) });
            }
        }
    }
    if conditions.is_empty() {
        let label = "it would always hold";
        when.sink().error("NF104", &when.span(), "a condition names at least one column", label);
    }
    conditions
}

/// Reads the conditions of the table under `key`; none when it is not there.
pub fn under(table: &Table<'_>, key: &str) -> Vec<Condition> {
    table.table(key).map(|when| read(&when)).unwrap_or_default()
}

fn table(tests: &Table<'_>) -> Vec<Test> {
    let present = tests.get("present").and_then(|value| value.boolean()).map(Test::Present);
    let at_least = tests.get("at_least").and_then(|value| decimal(&value)).map(Test::AtLeast);
    let at_most = tests.get("at_most").and_then(|value| decimal(&value)).map(Test::AtMost);
    [present, at_least, at_most].into_iter().flatten().collect()
}

/// A number without quotation marks.
pub fn decimal(value: &Value<'_>) -> Option<Decimal> {
    let number = match (value.node(), lookup::constant(value)?) {
        (DeValue::Integer(_) | DeValue::Float(_), Constant::Number(digits)) => digits.parse().ok(),
        _ => None,
    };
    if number.is_none() {
        value.sink().error("NF102", &value.span(), "a number is needed here", "");
    }
    number
}
