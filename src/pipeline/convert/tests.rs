//! Scenarios: a mapping and a file in, the whole result out.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom};

use chrono::NaiveDate;
use proptest::prelude::*;

use super::*;
use crate::mapping::spec::*;

/// Everything that came of a file.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    converted: Converted,
    bodies: Vec<String>,
    rejects: Vec<String>,
    index: Vec<(u64, u64, u64)>,
}

fn landed(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

fn facts() -> Facts {
    Facts {
        file_name: "orders.csv".to_owned(),
        run: "run-1".to_owned(),
        business_date: NaiveDate::from_ymd_opt(2026, 11, 23).unwrap(),
    }
}

struct Case {
    spec: MappingSpec,
    batch: BatchRule,
    empty_file: Option<EmptyFile>,
    chunk: usize,
    threads: usize,
}

impl Case {
    fn new(fields: Vec<FieldSpec>) -> Self {
        let spec = MappingSpec {
            input: InputSpec::default(),
            layouts: Vec::new(),
            record: RecordSpec::default(),
            fields,
            lookups: BTreeMap::new(),
            checks: Vec::new(),
            controls: Vec::new(),
            changes: None,
            limits: RejectLimits::default(),
            output: OutputSpec::default(),
        };
        let batch = BatchRule::default();
        Self { spec, batch, empty_file: None, chunk: CHUNK, threads: 2 }
    }

    fn run(&self, content: impl AsRef<[u8]>) -> Outcome {
        self.try_run(content, &mut |_| Ok(())).unwrap()
    }

    fn try_run(
        &self,
        content: impl AsRef<[u8]>,
        seen: &mut dyn FnMut(&Reject) -> io::Result<()>,
    ) -> io::Result<Outcome> {
        let content = content.as_ref();
        let (mut spool, mut index, mut rejects, mut batches) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let facts = facts();
        let input = ConvertInput {
            file: landed(content),
            size: content.len() as u64,
            spec: &self.spec,
            facts: &facts,
            empty_file: self.empty_file,
            threads: self.threads,
            scratch: None,
            previous: &Previous::default(),
            progress: &|done| assert!(done <= content.len() as u64),
        };
        let mut converted = {
            let mut reject = |reject: Reject| {
                seen(&reject)?;
                if reject.code != RejectCode::RowTooLong {
                    let end = reject.byte as usize + reject.raw.len();
                    assert_eq!(content.get(reject.byte as usize..end), Some(reject.raw.as_slice()));
                }
                let column = reject.column.unwrap_or_default();
                rejects.push(format!("{}:{column}:{}: {}", reject.row, reject.code, reject.message));
                Ok(())
            };
            let mut keep = |batch| {
                batches.push(batch);
                Ok(())
            };
            let mut batcher = Batcher::new(&self.batch, self.spec.output.format, &mut spool, &mut keep);
            let sinks = Sinks { records: &mut batcher, index: &mut index, reject: &mut reject, states: None };
            convert_chunks(input, self.chunk, sinks)?
        };
        if converted.fault.is_none() {
            converted.batches = batches;
        } else {
            index.clear();
        }
        assert!(converted.rows.balances(), "law 1");
        if let Some(bytes) = converted.bytes {
            assert_eq!(bytes.total(), content.len() as u64, "law 3");
        }
        let body = |batch: &SpooledBatch| {
            let body = &spool[batch.spool_offset as usize..][..batch.body_length as usize];
            assert_eq!(sha(body), batch.body_sha256.as_str());
            String::from_utf8(body.to_vec()).unwrap()
        };
        let bodies = converted.batches.iter().map(body).collect();
        let index_file = landed(&index);
        let entry = |record| {
            let entry = IndexEntry::read_at(&index_file, record).unwrap();
            (entry.row, entry.byte, entry.length)
        };
        let index = (0..(index.len() / IndexEntry::SIZE) as u64).map(entry).collect::<Vec<_>>();
        assert_eq!(index.len() as u64, converted.made);
        Ok(Outcome { converted, bodies, rejects, index })
    }
}

fn sha(body: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name(column: &str) -> Column {
    Column::Name(column.to_owned())
}

fn field(target: &str, origin: Origin) -> FieldSpec {
    FieldSpec {
        target: target.split('.').map(str::to_owned).collect(),
        when: Vec::new(),
        origin,
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

fn from(target: &str, column: &str) -> FieldSpec {
    field(target, Origin::From(name(column)))
}

fn typed(target: &str, kind: ValueKind) -> FieldSpec {
    FieldSpec { kind, ..from(target, target) }
}

fn text(text: &str) -> Constant {
    Constant::Text(text.to_owned())
}

fn ab() -> Case {
    Case::new(vec![from("a", "a"), from("b", "b")])
}

fn counts(outcome: &Outcome) -> [u64; 4] {
    let RowCounts { read, skipped, rejected, used } = outcome.converted.rows;
    [read, skipped, rejected, used]
}

fn fault(outcome: &Outcome) -> (RejectCode, Option<u64>, u64, String) {
    let fault = outcome.converted.fault.clone().unwrap();
    assert_eq!((outcome.converted.made, outcome.converted.batches.len(), outcome.converted.bytes), (0, 0, None));
    (fault.code, fault.row, fault.byte, fault.message)
}

#[test]
fn a_file_becomes_one_body_with_an_index() {
    let outcome = ab().run("\u{feff}a,b\r\n1,\"x, \"\"y\"\"\r\nz\"\r\n\r\n2,\r\n");
    assert_eq!(outcome.bodies, [r#"[{"a":"1","b":"x, \"y\"\r\nz"},{"a":"2","b":null}]"#]);
    assert_eq!(outcome.index, [(2, 8, 15), (5, 27, 2)]);
    assert_eq!(outcome.converted.bytes, Some(ByteCounts { preamble: 3, header: 5, rows: 21, blank: 2, trailer: 0 }));
    assert_eq!((counts(&outcome), outcome.converted.warnings, outcome.converted.fault), ([2, 0, 0, 2], vec![], None));
}

#[test]
fn line_ends_and_delimiters_may_differ() {
    assert_eq!(ab().run("b,a\n1,2").bodies, [r#"[{"a":"2","b":"1"}]"#]);
    let cr = ab().run("a,b\r1,\"x\ry\"\r\r2,3");
    assert_eq!(
        (cr.bodies, cr.index),
        (vec![r#"[{"a":"1","b":"x\ry"},{"a":"2","b":"3"}]"#.to_owned()], vec![(2, 4, 7), (5, 13, 3)])
    );
    let mut case = ab();
    (case.spec.input.delimiter, case.spec.input.quote) = (b'\t', None);
    assert_eq!(case.run("a\tb\n\"1\t2\"\n").bodies, [r#"[{"a":"\"1","b":"2\""}]"#]);
    let lone = ab().run("a,b\n1,x\ry\n1,\"x\ry\"\n");
    assert_eq!(lone.rejects, ["2::bad-character: a lone carriage return at offset 7 in an unquoted cell"]);
}

#[test]
fn bad_rows_are_rejected_and_the_next_line_is_read() {
    let outcome =
        ab().run(b"a,b\n1,x\"y\n2,\"x\"y\n3,\"open\n4,ok\n5\n6,7,8\n7,\0\n8,\xE6\n9,ok,\"x\"y\n10,\"ok\"\n".as_slice());
    assert_eq!(outcome.bodies, [r#"[{"a":"4","b":"ok"},{"a":"10","b":"ok"}]"#]);
    assert_eq!(
        outcome.rejects,
        [
            "2::bad-quote: a quote inside the unquoted cell in column 2",
            "3::bad-quote: the quoted cell in column 2 does not end with a quote before a delimiter or a line end",
            "4::bad-quote: the quoted cell in column 2 does not end with a quote before a delimiter or a line end",
            "6::ragged-row: the row has 1 cell, and 2 are expected; `b` is missing",
            "7::ragged-row: the row has 3 cells, and 2 are expected; the first beyond the last column is `8`",
            "8::bad-character: a NUL byte at offset 40",
            "9::bad-encoding: the byte 0xE6 at offset 44 is not UTF-8 (column 2)",
            "10::bad-quote: the quoted cell in column 3 does not end with a quote before a delimiter or a line end",
        ]
    );
    assert_eq!(counts(&outcome), [10, 0, 8, 2]);
}

#[test]
fn an_unclosed_quote_fails_the_file_on_the_line_of_its_opening() {
    let outcome = ab().run("a,b\n1,2\n,x\n3,\"open\n4,5\n");
    let message = "a quoted cell begins on line 4 and has no closing quote up to the end of the file".to_owned();
    assert_eq!(fault(&outcome), (RejectCode::UnclosedQuote, Some(4), 11, message));
    assert_eq!(counts(&outcome), [2, 0, 2, 0]);
}

#[test]
fn what_cannot_be_a_csv_file_is_a_fault() {
    for head in [b"\xFF\xFEa\0,\0".as_slice(), b"\xFE\xFF\0a\0,", b"a\0,\0b\0", b"\0a\0,\0b"] {
        assert_eq!(fault(&ab().run(head)).0, RejectCode::BadEncoding);
    }
    assert_eq!(
        fault(&ab().run("a,b,a\n1,2,3\n")).3,
        "the header has `a` more than once, so a name does not say which column is meant"
    );
    let missing = fault(&ab().run("A ,c\n1,2\n"));
    assert_eq!(
        missing,
        (
            RejectCode::MissingColumn,
            Some(1),
            0,
            "mapped columns are not in the file: `a` (did you mean `A `?), `b`; it has `A `, `c`".to_owned()
        )
    );
    let wide = vec!["x"; 4097].join(",");
    assert_eq!(fault(&ab().run(wide)).0, RejectCode::TooManyColumns);
    assert_eq!(fault(&ab().run("a,\"b\n")).0, RejectCode::UnclosedQuote);
    assert_eq!(fault(&ab().run("a,b\"\n")).0, RejectCode::BadQuote);
    assert_eq!(fault(&ab().run(b"a,b\xE6\n")).0, RejectCode::BadEncoding);
}

#[test]
fn positions_need_no_names() {
    let mut case = Case::new(vec![field("x", Origin::From(Column::Position(2)))]);
    assert_eq!(case.run("a,a\n1,2\n").bodies, [r#"[{"x":"2"}]"#]);
    case.spec.input.header = false;
    let outcome = case.run("\n1,2\n3\n4,5");
    assert_eq!(
        (outcome.bodies, outcome.rejects),
        (
            vec![r#"[{"x":"2"},{"x":"5"}]"#.to_owned()],
            vec!["3::ragged-row: the row has 1 cell, and 2 are expected".to_owned()]
        )
    );
    assert_eq!(outcome.converted.bytes, Some(ByteCounts { rows: 9, blank: 1, ..ByteCounts::default() }));
    assert_eq!(fault(&case.run("1\n")).3, "a mapped column is not in the file: column 2; it has 1 column");
    let mut named = ab();
    (named.spec.input.header, named.spec.input.columns) = (false, vec!["b".to_owned(), "a".to_owned()]);
    assert_eq!(named.run("1,2\n").bodies, [r#"[{"a":"2","b":"1"}]"#]);
}

#[test]
fn unknown_columns_follow_their_rule() {
    let mut case = ab();
    assert_eq!(
        case.run("a,b,c,\n1,2,3,4\n").converted.warnings,
        ["the file has 2 columns that nothing is mapped from: `c`, ``"]
    );
    case.spec.input.unknown_columns = UnknownColumns::Ignore;
    assert!(case.run("a,b,c\n1,2,3\n").converted.warnings.is_empty());
    case.spec.input.unknown_columns = UnknownColumns::RejectFile;
    assert_eq!(fault(&case.run("a,b,c\n1,2,3\n")).0, RejectCode::UnknownColumn);
}

#[test]
fn empty_files_follow_their_rule() {
    let rules = [None, Some(EmptyFile::Warn), Some(EmptyFile::Fail), Some(EmptyFile::Ok)];
    let told = |content: &str| {
        rules.map(|empty_file| {
            let outcome = Case { empty_file, ..ab() }.run(content);
            assert_eq!((counts(&outcome), outcome.bodies.len()), ([0; 4], 0));
            match outcome.converted.fault {
                Some(fault) => format!("{}: {}", fault.code, fault.message),
                None => outcome.converted.warnings.join(";"),
            }
        })
    };
    let zero = "the file is empty (0 bytes)";
    assert_eq!(told(""), [&format!("empty-file: {zero}"), zero, &format!("empty-file: {zero}"), ""]);
    let only = "the file has a header and no rows";
    assert_eq!(told("a,b\n"), [only, only, &format!("empty-file: {only}"), ""]);
    assert_eq!(told("\n\r\n")[..2], ["empty-file: the file has blank lines only", "the file has blank lines only"]);
}

#[test]
fn values_have_types() {
    let number = |decimals| ValueKind::Number(NumberFormat { decimals, ..NumberFormat::default() });
    let mut case = Case::new(vec![
        typed("n", number(None)),
        typed("f", number(Some(2))),
        typed("m", ValueKind::Number(NumberFormat { minor_units: Some(2), ..NumberFormat::default() })),
        typed("i", ValueKind::Integer),
        typed("d", ValueKind::Date { format: "%d.%m.%Y".to_owned() }),
        typed("b", ValueKind::Boolean),
    ]);
    (case.spec.input.delimiter, case.spec.input.decimal_mark, case.spec.input.group_mark) = (b';', ',', Some('.'));
    let outcome = case.run("n;f;m;i;d;b\n1.234,50;+7,100;-0,05;1.000;29.02.2024;true\n ;;;;;\n1.5;1,234;0,001;1,0;31.02.2026;J\nabc;x;,5;12345678901234567890123456789;1.2.2026; true\n");
    assert_eq!(
        outcome.bodies,
        [
            r#"[{"n":1234.50,"f":7.10,"m":-5,"i":1000,"d":"2024-02-29","b":true},{"n":null,"f":null,"m":null,"i":null,"d":null,"b":null}]"#
        ]
    );
    assert_eq!(
        outcome.rejects,
        [
            "4:n:bad-number: `1.5` is not a number (decimal mark `,`, group mark `.`)",
            "4:f:too-many-decimals: `1,234` has 3 decimals, and the target takes 2",
            "4:m:too-many-decimals: `0,001` has 3 decimals, and the target takes 2",
            "4:i:bad-integer: `1,0` is not a whole number",
            "4:d:bad-date: `31.02.2026` is not a date in the format `%d.%m.%Y`",
            "4:b:bad-boolean: `J` is neither true (`true`) nor false (`false`)",
            "5:n:bad-number: `abc` is not a number (decimal mark `,`, group mark `.`)",
            "5:f:bad-number: `x` is not a number (decimal mark `,`, group mark `.`)",
            "5:m:bad-number: `,5` is not a number (decimal mark `,`, group mark `.`)",
            "5:i:bad-integer: `12345678901234567890123456789` has more than 28 digits, and numbers are never rounded",
            "5:d:bad-date: `1.2.2026` is not a date in the format `%d.%m.%Y`",
            "5:b:bad-boolean: ` true` is neither true (`true`) nor false (`false`); it has blanks around it, which `clean = [\"trim\"]` takes off",
        ]
    );
    assert_eq!(counts(&outcome), [4, 0, 2, 2]);
}

#[test]
fn origins_defaults_and_objects() {
    let template =
        vec![TemplatePart::Cell(name("a")), TemplatePart::Text("-".to_owned()), TemplatePart::Cell(name("b"))];
    let mut case = Case::new(vec![
        from("x.one", "a"),
        FieldSpec { default: Some(Constant::Number("30".to_owned())), ..from("y", "b") },
        field("x.two.deep", Origin::FirstOf(vec![name("a"), name("b")])),
        field("key", Origin::Template(template)),
        field("v", Origin::Value(Constant::Boolean(true))),
        field("file", Origin::Auto(Auto::FileName)),
        field("row", Origin::Auto(Auto::Row)),
        field("day", Origin::Auto(Auto::BusinessDate)),
        FieldSpec { default: Some(text("")), clean: vec![CleanStep::Digits], ..from("z\"", "a") },
    ]);
    case.spec.fields.iter_mut().filter(|field| field.target == ["v"]).for_each(|field| field.required = true);
    let rest = r#""v":true,"file":"orders.csv","row":2,"day":"2026-11-23","z\"":"#;
    let body = |content: &str| case.run(content).bodies;
    assert_eq!(
        body("a,b\nA1,B\n"),
        [format!(r#"[{{"x":{{"one":"A1","two":{{"deep":"A1"}}}},"y":"B","key":"A1-B",{rest}"1"}}]"#)]
    );
    assert_eq!(
        body("a,b\n,B\n"),
        [format!(r#"[{{"x":{{"one":null,"two":{{"deep":"B"}}}},"y":"B","key":"-B",{rest}""}}]"#)]
    );
    assert_eq!(
        body("a,b\n,\n"),
        [format!(r#"[{{"x":{{"one":null,"two":{{"deep":null}}}},"y":30,"key":null,{rest}""}}]"#)]
    );
    case.spec.output.omit_empty = true;
    assert_eq!(case.run("a,b\n,\n").bodies, [format!(r#"[{{"y":30,{rest}""}}]"#)]);
    case.spec.fields.truncate(1);
    assert_eq!(case.run("a,b\n,\nQ,\n").bodies, [r#"[{},{"x":{"one":"Q"}}]"#]);
}

#[test]
fn lookups_reject_keep_or_use_the_default() {
    let lookup = |on_missing, ignore_case| LookupSpec {
        table: LookupTable::Entries(BTreeMap::from([
            ("dk".to_owned(), text("DNK")),
            ("se".to_owned(), Constant::Number("46".to_owned())),
        ])),
        ignore_case,
        on_missing,
        source: "lookups/country.csv".to_owned(),
    };
    let mut case =
        Case::new(vec![FieldSpec { lookup: Some("country".to_owned()), default: Some(text("??")), ..from("c", "c") }]);
    let mut run = |rule| {
        case.spec.lookups = BTreeMap::from([("country".to_owned(), rule)]);
        let outcome = case.run("c\nDK\nse\nFreedonia\nMolvania\n\"\"\n");
        (outcome.bodies.join(""), outcome.rejects, outcome.converted.warnings)
    };
    let (bodies, rejects, _) = run(lookup(OnMissing::Reject, true));
    assert_eq!(bodies, r#"[{"c":"DNK"},{"c":46},{"c":"??"}]"#);
    assert_eq!(rejects[0], "4:c:lookup-missing: `Freedonia` is not in lookup `country` (lookups/country.csv)");
    assert_eq!(
        run(lookup(OnMissing::Keep, false)).0,
        r#"[{"c":"DK"},{"c":46},{"c":"Freedonia"},{"c":"Molvania"},{"c":"??"}]"#
    );
    let (bodies, _, warnings) = run(lookup(OnMissing::Default, true));
    assert_eq!(bodies, r#"[{"c":"DNK"},{"c":46},{"c":"??"},{"c":"??"},{"c":"??"}]"#);
    assert_eq!(
        warnings,
        ["2 rows: a value is not in lookup `country` (first `Freedonia` on line 4), the default of `c` was used"]
    );
}

#[test]
fn limits_give_one_code_a_field() {
    let mut case = Case::new(vec![
        FieldSpec { required: true, clean: vec![CleanStep::Digits], ..from("r", "r") },
        FieldSpec {
            allowed: vec!["A".to_owned(), "B1".to_owned()],
            pattern: Some("^[A-Z]$".to_owned()),
            ..from("e", "e")
        },
        FieldSpec {
            minimum: Some(Limit::Number("0.5".parse().unwrap())),
            maximum: Some(Limit::Number(9.into())),
            ..typed("n", ValueKind::Number(NumberFormat { minor_units: Some(2), ..NumberFormat::default() }))
        },
        FieldSpec {
            maximum: Some(Limit::Date(NaiveDate::from_ymd_opt(2026, 12, 31).unwrap())),
            ..typed("d", ValueKind::Date { format: "%Y%m%d".to_owned() })
        },
    ]);
    let outcome = case.run("r,e,n,d\n1,A,0.50,20261231\nx,C,0.49,20270101\n2,B1,9.01,\n");
    assert_eq!(outcome.bodies, [r#"[{"r":"1","e":"A","n":50,"d":"2026-12-31"}]"#]);
    assert_eq!(
        outcome.rejects,
        [
            "3:r:required: `r` is required, and `r` is empty",
            "3:e:not-in-enum: `C` is not one of `A`, `B1`",
            "3:n:below-minimum: `0.49` is below the minimum 0.5",
            "3:d:above-maximum: `2027-01-01` is above the maximum 2026-12-31",
            "4:e:pattern: `B1` does not match the pattern `^[A-Z]$`",
            "4:n:above-maximum: `9.01` is above the maximum 9",
        ]
    );
    case.spec.input.missing = vec!["C".to_owned(), "NULL".to_owned()];
    assert_eq!(case.run("r,e,n,d\n1, C ,1,NULL\n").bodies, [r#"[{"r":"1","e":null,"n":100,"d":null}]"#]);
}

#[test]
fn skipped_rows_never_reject_but_structure_comes_first() {
    let mut case = Case::new(vec![FieldSpec { required: true, ..typed("n", ValueKind::Integer) }]);
    let skip = |column: &str, test| Condition { column: name(column), test };
    case.spec.record.skip_when = vec![skip("k", Test::OneOf(vec!["T".to_owned(), "X".to_owned()]))];
    let outcome = case.run("n,k\nbad, T \nbad,X\n1,t\nbad,T,\n");
    assert_eq!((counts(&outcome), outcome.bodies), ([4, 2, 1, 1], vec![r#"[{"n":1}]"#.to_owned()]));
    case.spec.record.skip_when =
        vec![skip("k", Test::Present(true)), skip("n", Test::AtLeast(5.into())), skip("n", Test::AtMost(9.into()))];
    assert_eq!(case.run("n,k\n4,x\n5,x\n9,x\n10,x\n7,\n").bodies, [r#"[{"n":4},{"n":10},{"n":7}]"#]);
}

#[test]
fn batches_close_at_their_limits() {
    let content = "a,b\n1,2\n3,4\n5,6\n";
    let bodies = |records, bytes, wrap: Option<&str>| {
        Case { batch: BatchRule { records, bytes, wrap: wrap.map(str::to_owned), ..BatchRule::default() }, ..ab() }
            .run(content)
            .bodies
    };
    let [r1, r2, r3] = [r#"{"a":"1","b":"2"}"#, r#"{"a":"3","b":"4"}"#, r#"{"a":"5","b":"6"}"#];
    assert_eq!(bodies(1, 1000, None), [r1, r2, r3]);
    assert_eq!(bodies(2, 1000, None), [format!("[{r1},{r2}]"), format!("[{r3}]")]);
    assert_eq!(bodies(9, 1000, Some("orders")), [format!(r#"{{"orders":[{r1},{r2},{r3}]}}"#)]);
    assert_eq!(bodies(1, 1000, Some("o")).len(), 3);
    let two = format!("[{r1},{r2}]").len() as u64;
    assert_eq!(bodies(9, two, None), [format!("[{r1},{r2}]"), format!("[{r3}]")]);
    assert_eq!(bodies(9, two - 1, None).len(), 3);
    assert_eq!(bodies(9, 3, None), [format!("[{r1}]"), format!("[{r2}]"), format!("[{r3}]")]);
}

#[test]
fn long_cells_and_rows_are_rejected_without_being_kept() {
    let cell = "x".repeat((1 << 20) + 1);
    let outcome = ab().run(format!("a,b\n1,{cell}\n2,\"{cell}\"\n3,ok\n"));
    assert_eq!((counts(&outcome), outcome.bodies), ([3, 0, 2, 1], vec![r#"[{"a":"3","b":"ok"}]"#.to_owned()]));
    assert_eq!(
        outcome.rejects[1],
        "3::cell-too-long: the cell in column 2 has 1048577 bytes, and at most 1048576 are read"
    );
    let huge = "line\n".repeat(7 << 20);
    let outcome = ab().run(format!("a,b\n1,\"{huge}\"\n2,{}\n3,ok\n4,\"{huge}", cell.repeat(17)));
    let line = (7 << 20) + 5;
    assert_eq!((fault(&outcome).0, fault(&outcome).1), (RejectCode::UnclosedQuote, Some(line)));
    assert_eq!((counts(&outcome), outcome.rejects.len()), ([3, 0, 3, 0], 2));
    assert!(outcome.rejects[1].starts_with(&format!("{}::row-too-long", line - 2)), "{}", outcome.rejects[1]);
    // A quote that opens a cell by mistake, and the next one far away: only its own line is bad.
    let outcome = ab().run(format!("a,b\n1,\"oops\n{}3,\"x\"\n", "2,y\n".repeat(5 << 20)));
    assert_eq!(counts(&outcome), [(5 << 20) + 2, 0, 1, (5 << 20) + 1]);
}

#[test]
fn an_error_of_a_sink_ends_it() {
    let content = format!("a,b\n{}", "x\n".repeat(300_000));
    let error = ab().try_run(content, &mut |_| Err(io::Error::other("disk full"))).unwrap_err();
    assert_eq!(error.to_string(), "disk full");
}

#[test]
fn the_version_is_that_of_the_rules() {
    let (mut spec, mut batch) = (ab().spec, BatchRule::default());
    let first = crate::mapping::version(&spec, &batch);
    spec.limits.max_count = Some(1);
    assert_eq!(crate::mapping::version(&spec, &batch), first);
    batch.records = 7;
    assert_ne!(crate::mapping::version(&spec, &batch), first);
    assert_eq!(crate::mapping::key_facts(&spec, &facts()), None);
    spec.fields.push(field("l", Origin::Auto(Auto::Row)));
    assert_eq!(crate::mapping::key_facts(&spec, &facts()), None);
    spec.fields.extend([field("d", Origin::Auto(Auto::BusinessDate)), field("f", Origin::Auto(Auto::FileName))]);
    assert_eq!(
        crate::mapping::key_facts(&spec, &facts()).unwrap(),
        r#"{"file.name":"orders.csv","business_date":"2026-11-23"}"#
    );
}

fn by_position(columns: u32) -> Case {
    let mut case =
        Case::new((1..=columns).map(|at| field(&at.to_string(), Origin::From(Column::Position(at)))).collect());
    (case.spec.input.header, case.spec.input.missing) = (false, Vec::new());
    case
}

/// Any cells, any rows of the same width.
fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    let cell =
        prop_oneof!["[a-zé\"',;\n\r \t\\\\]{0,12}", "[0-9]{0,30}", Just("\"".to_owned()), Just("\r\n".to_owned())];
    (1_usize..5).prop_flat_map(move |width| prop::collection::vec(prop::collection::vec(cell.clone(), width), 1..20))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn well_formed_files_read_as_the_csv_crate_reads_them(table in table(), crlf: bool, last: bool, chunk in 1_usize..64) {
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
        table.iter().for_each(|row| writer.write_record(row).unwrap());
        let mut content = writer.into_inner().unwrap();
        if !last {
            content.truncate(content.len() - if crlf { 2 } else { 1 });
        }
        let read = csv::ReaderBuilder::new().has_headers(false).from_reader(content.as_slice());
        let rows: Vec<Vec<String>> = read.into_records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        prop_assert_eq!(&rows, &table);
        let outcome = Case { chunk, ..by_position(table[0].len() as u32) }.run(&content);
        prop_assert_eq!(&outcome.rejects, &Vec::<String>::new());
        let bodies: Vec<Vec<BTreeMap<String, String>>> = outcome.bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
        let records: Vec<Vec<String>> = bodies.into_iter().flatten().map(|record| record.into_values().collect()).collect();
        prop_assert_eq!(records, table);
    }

    #[test]
    fn any_bytes_balance_and_no_division_of_work_shows(
        content in prop::collection::vec(prop::sample::select(b"ab,,\"\"\"\n\n\r\0\xE6\xC3\xA9 ".as_slice()), 0..120),
        chunk in 1_usize..20,
        records in 1_u32..4,
    ) {
        let batch = BatchRule { records, bytes: 60, ..BatchRule::default() };
        let whole = Case { batch: batch.clone(), threads: 1, ..by_position(1) }.run(&content);
        let parts = Case { batch, threads: 3, chunk, ..by_position(1) }.run(&content);
        prop_assert_eq!(&whole, &parts);
        let line_end = if content.contains(&b'\n') { b'\n' } else { b'\r' };
        for (row, byte, _) in &whole.index {
            let before = content[..*byte as usize].iter().filter(|byte| **byte == line_end).count() as u64;
            prop_assert_eq!(*row, before + 1);
        }
    }
}
