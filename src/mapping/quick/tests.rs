//! The quick way and the general way, on the same cells.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use proptest::prelude::*;

use crate::format::csv::index::Index;
use crate::format::csv::row::{Cells, Rows};
use crate::format::csv::{Dialect, Place};
use crate::mapping::Facts;
use crate::mapping::plan::{Beginning, Plan};
use crate::mapping::record::{Mapper, Row};
use crate::mapping::spec::*;

fn from(name: &str) -> FieldSpec {
    FieldSpec {
        target: vec!["t".to_owned()],
        when: Vec::new(),
        origin: Origin::From(Column::Name(name.to_owned())),
        optional_column: false,
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
        pii: None,
    }
}

/// Every kind of field that has a quick way, reading column `a`.
fn fields() -> Vec<FieldSpec> {
    let kinds = |kind: &dyn Fn() -> ValueKind| FieldSpec { kind: kind(), ..from("a") };
    let number = |decimals, minor_units| {
        move || ValueKind::Number(NumberFormat { decimals, minor_units, ..NumberFormat::default() })
    };
    let date = |format: &'static str| move || ValueKind::Date { format: format.to_owned() };
    let text = |text: &str| Some(Constant::Text(text.to_owned()));
    let between = |least: i64, most: Option<i64>, field: FieldSpec| FieldSpec {
        minimum: Some(Limit::Number(least.into())),
        maximum: most.map(|most| Limit::Number(most.into())),
        ..field
    };
    let template = ["a", "-\"", "b"].map(|part| match part {
        "-\"" => TemplatePart::Text("- ".to_owned()),
        column => TemplatePart::Cell(Column::Name(column.to_owned())),
    });
    let mut fields = vec![
        from("a"),
        FieldSpec { default: text("none \" at all"), ..from("a") },
        FieldSpec { required: true, ..from("a") },
        FieldSpec { origin: Origin::Template(template.to_vec()), ..from("a") },
        kinds(&|| ValueKind::Integer),
        kinds(&number(None, None)),
        kinds(&number(Some(0), None)),
        kinds(&number(Some(2), None)),
        kinds(&number(None, Some(2))),
        kinds(&number(None, Some(0))),
        between(1, None, kinds(&|| ValueKind::Integer)),
        between(-5, Some(5000), kinds(&number(Some(3), None))),
        between(0, Some(77), FieldSpec { default: text("5"), ..kinds(&number(None, Some(2))) }),
        kinds(&date("%m/%d/%Y")),
        kinds(&date("%d.%m.%Y")),
        kinds(&date("%Y%m%d")),
        kinds(&date("%Y-%m-%d")),
        kinds(&|| ValueKind::Boolean),
    ];
    let cleans: [&[CleanStep]; 5] = [
        &[CleanStep::Trim],
        &[CleanStep::Upper],
        &[CleanStep::Lower],
        &[CleanStep::Trim, CleanStep::Upper],
        &[CleanStep::Take(2, 4)],
    ];
    fields.extend(cleans.map(|clean| FieldSpec { clean: clean.to_vec(), ..from("a") }));
    for lookup in ["few", "long", "many"] {
        let looked_up = FieldSpec { lookup: Some(lookup.to_owned()), default: text("other"), ..from("a") };
        fields.push(FieldSpec { clean: vec![CleanStep::Trim], ..looked_up.clone() });
        fields.push(looked_up);
    }
    fields
}

fn lookup(entries: impl Iterator<Item = String>) -> LookupSpec {
    let value = |key: String| (key.clone(), Constant::Text(format!("is {key}")));
    let table = LookupTable::Entries(entries.map(value).collect());
    LookupSpec { table, ignore_case: false, on_missing: OnMissing::Default, source: String::new() }
}

fn plan(missing: &[&str], decimal_mark: char) -> Plan {
    let words = |words: [&str; 3]| words.map(str::to_owned).to_vec();
    let input = InputSpec {
        missing: missing.iter().map(|word| (*word).to_owned()).collect(),
        decimal_mark,
        true_values: words(["Y", "true", "1"]),
        false_values: words(["N", "false", "0"]),
        ..InputSpec::default()
    };
    let lookups = BTreeMap::from([
        ("few".to_owned(), lookup(["Y", "N", "12", "DE"].into_iter().map(str::to_owned))),
        ("long".to_owned(), lookup(["Y", "a longer word"].into_iter().map(str::to_owned))),
        ("many".to_owned(), lookup((0..500).map(|number| number.to_string()))),
    ]);
    let spec = MappingSpec {
        input,
        layouts: Vec::new(),
        record: RecordSpec::default(),
        fields: fields(),
        lookups,
        checks: Vec::new(),
        controls: Vec::new(),
        changes: None,
        limits: RejectLimits::default(),
        output: OutputSpec::default(),
    };
    let today = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
    let facts = Facts { file_name: String::new(), run: String::new(), business_date: today };
    let names = vec!["a".to_owned(), "b".to_owned()];
    Plan::new(&spec, &facts, Beginning { names, width: 2, ..Beginning::default() }).unwrap().0
}

/// How many fields did not decline; fails when one wrote anything else than the general way.
fn compare(plan: &Plan, cells: [&str; 2], behind: &str) -> usize {
    let quoted = cells.map(|cell| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    });
    let data = format!("{}\n{behind}", quoted.join(","));
    let (mut cells, mut index) = (Cells::default(), Index::default());
    let mut rows = Rows::indexed(data.as_bytes(), Place::default(), Dialect::new(b',', Some(b'"')), &mut index);
    let found = rows.next(&mut cells).unwrap();
    let (row, mut mapper, mut count) = (Row::new(&found, &cells), Mapper::new(plan), 0);
    for (at, field) in plan.fields.iter().enumerate() {
        let (mut quick, mut general) = (b"{".to_vec(), b"{".to_vec());
        match field.quick.as_ref().unwrap().write(&plan.missing, &plan.lookups, row, &mut quick) {
            None => assert_eq!(quick, b"{", "field {at} declined and left something, on {data:?}"),
            Some(written) => {
                assert_eq!(mapper.general(field, at, row, &mut general), Ok(written), "field {at} on {data:?}");
                assert_eq!(String::from_utf8(quick), String::from_utf8(general), "field {at} on {data:?}");
                count += 1;
            }
        }
    }
    count
}

fn plans() -> Vec<Plan> {
    vec![plan(&[""], '.'), plan(&["", "-", "N/A"], ','), plan(&["0"], '.')]
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-+]?[0-9]{0,18}([.,][0-9]{0,4})?",
        "-?[1-9][0-9]{0,4}([.,][0-9]{1,3})?",
        "[0-9]{1,2}[./][0-9]{2}[./][0-9]{4}",
        "(0[1-9]|1[0-2])/(0[1-9]|[12][0-9]|3[01])/(19|20)[0-9]{2}",
        "[0-9]{8}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "[ \t\u{a0}]{0,2}[A-Za-zÆé0-9\"\\\\,. -]{0,40}[ \u{a0}]{0,2}",
        prop::sample::select(vec![
            "Y",
            "N",
            "true",
            "0",
            "1",
            "12",
            "DE",
            "a longer word",
            "-",
            "N/A",
            "Yes",
            "\n",
            "\u{1}"
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn the_quick_way_writes_what_the_general_one_does_or_nothing(
        a in cell(), b in cell(), behind in "[0-9.]{0,40}",
    ) {
        for plan in plans() {
            compare(&plan, [&a, &b], &behind);
        }
    }
}

#[test]
fn usual_cells_are_quick_to_write() {
    let plan = plan(&[""], '.');
    // A text is text in its seven ways; what else it is makes the rest.
    for (cell, quick) in [("Anna", 9), ("12", 20), ("12.5", 13), ("11/23/2026", 10), ("2026-11-23", 10), ("Y", 13)] {
        for behind in ["", "0123456789012345678901234567890123456789"] {
            let count = compare(&plan, [cell, "b"], behind);
            assert!(count >= quick, "only {count} of the fields read {cell} quickly");
        }
    }
    assert_eq!(compare(&plan, ["", "b"], ""), plan.fields.len() - 3);
}
