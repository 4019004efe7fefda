//! What we write, our strict readers read back equal; what a format cannot hold is a reject, never a change.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends with the first surprise")]

#[path = "support/convert.rs"]
mod bench;

use std::io::Cursor;

use bench::Bench;
use chrono::NaiveDate;
use nightferry::config::project::compile_text;
use nightferry::domain::control::Previous;
use nightferry::format::json_value::Json;
use nightferry::mapping::Facts;
use nightferry::mapping::spec::MappingSpec;
use nightferry::pipeline::convert::{ConvertInput, Sinks, convert_to};
use nightferry::pipeline::trial::{self, TrialInput};
use nightferry::pipeline::written::WrittenFile;
use proptest::prelude::*;

fn spec(text: &str) -> MappingSpec {
    let compiled = compile_text("m", "mappings/m.toml", text, &|_| None, std::path::Path::new("."));
    compiled.unwrap_or_else(|problems| panic!("{problems:?}\n{text}")).spec
}

/// The file that a mapping makes, with the rejects as `ROW COLUMN CODE`.
fn written(mapping: &str, input: &[u8]) -> (Vec<u8>, Vec<String>) {
    let spec = spec(mapping);
    let file = trial::file_of(input).unwrap();
    let day = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
    let facts = Facts { file_name: "in".to_owned(), run: String::new(), business_date: day };
    let mut records = WrittenFile::new(Cursor::new(Vec::new()), &spec);
    let mut rejects = Vec::new();
    let converted = convert_to(
        ConvertInput {
            file,
            size: input.len() as u64,
            spec: &spec,
            facts: &facts,
            empty_file: None,
            threads: 2,
            scratch: None,
            previous: &Previous::default(),
            progress: &|_| {},
        },
        Sinks {
            records: &mut records,
            index: &mut std::io::sink(),
            reject: &mut |reject| {
                rejects.push(format!("{} {} {}", reject.row, reject.column.unwrap_or("-".to_owned()), reject.code));
                Ok(())
            },
            states: None,
        },
    )
    .unwrap();
    assert_eq!(converted.fault, None);
    (records.into_inner().into_inner(), rejects)
}

/// The records that a mapping reads from a file.
fn read(mapping: &str, input: &[u8]) -> Vec<Json> {
    let spec = spec(mapping);
    let day = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
    let file = trial::file_of(input).unwrap();
    let tried =
        trial::run(TrialInput { file, spec: &spec, name: "in", business_date: day, most: 10_000, line: None }).unwrap();
    let shown = String::from_utf8_lossy(input);
    assert_eq!((tried.converted.fault, tried.rejects), (None, Vec::new()), "{shown}");
    tried.records.into_iter().map(|made| made.json).collect()
}

const FIELDS: &str = r#"
"text"  = { from = "text" }
"to.n"  = { from = "n", type = "number" }
"day"   = { from = "day", type = "date", format = "%Y-%m-%d" }
"at"    = { from = "at", type = "datetime", format = "%Y-%m-%dT%H:%M:%S%z" }
"ok"    = { from = "ok", type = "boolean" }
"#;

/// The same fields, read from the file that was written.
fn back(input: &str, day: &str, at: &str) -> String {
    format!(
        "[input]\n{input}\n\n[fields]\n\"text\" = {{ from = \"text\" }}\n\"to.n\" = {{ from = \"to.n\", type = \"number\" }}\n\
         \"day\" = {{ from = \"day\", type = \"date\", format = \"{day}\" }}\n\
         \"at\" = {{ from = \"at\", type = \"datetime\", format = \"{at}\" }}\n\
         \"ok\" = {{ from = \"ok\", type = \"boolean\" }}\n"
    )
}

fn rows() -> impl Strategy<Value = Vec<Vec<Option<String>>>> {
    let text = prop_oneof![
        "[ -~]{0,12}",
        "[a-zæøåÄß€;,\"'\n\r\t=+@<>&\u{2028}-]{0,12}",
        any::<String>(),
        Just("\u{FEFF}mark".to_owned()),
        Just("=1+1".to_owned()),
    ];
    let number = "-?(0|[1-9][0-9]{0,9})(\\.[0-9]{1,4})?";
    let day = "(19[5-9][0-9]|20[0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])";
    let at = "20[0-9]{2}-0[1-9]-1[0-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9]\\+0[0-9]00";
    let row = (
        prop::option::of(text),
        prop::option::of(number),
        prop::option::of(day),
        prop::option::of(at),
        prop::option::of("true|false"),
    );
    let cells = |(a, b, c, d, e)| vec![a, b, c, d, e];
    prop::collection::vec(row.prop_map(cells), 1..12)
}

fn lines(rows: &[Vec<Option<String>>]) -> Vec<u8> {
    let row = |row: &Vec<Option<String>>| {
        let cells = ["text", "n", "day", "at", "ok"].into_iter().zip(row);
        let cells = cells.filter_map(|(name, cell)| Some((name.to_owned(), cell.clone()?.into())));
        serde_json::Value::Object(cells.collect()).to_string() + "\n"
    };
    rows.iter().map(row).collect::<String>().into_bytes()
}

/// Records and what came back of them; those that the format cannot hold are not there.
fn same(output: &str, back: &str, rows: &[Vec<Option<String>>], plain: impl Fn(&str) -> String) {
    let from = "[input]\nformat = \"jsonl\"\nmissing = [\"\"]\n\n[fields]";
    let input = lines(rows);
    let (file, rejects) = written(&format!("{from}{FIELDS}\n[output]\n{output}\n"), &input);
    let refused: Vec<usize> = rejects
        .iter()
        .map(|reject| {
            assert!(reject.contains(" text bad-encoding") || reject.contains(" text bad-character"), "{reject}");
            reject.split(' ').next().unwrap().parse::<usize>().unwrap() - 1
        })
        .collect();
    let mut expected = Vec::new();
    for (at, record) in read(&format!("{from}{FIELDS}"), &input).into_iter().enumerate() {
        if refused.contains(&at) {
            continue;
        }
        let Json::Object(entries) = record else { panic!("no object") };
        let entries = entries.into_iter().map(|(name, value)| match value {
            Json::Text(text) if name == "text" => {
                let text = plain(&text);
                (name, if text.is_empty() { Json::Null } else { Json::Text(text) })
            }
            value => (name, value),
        });
        expected.push(Json::Object(entries.collect()));
    }
    let found = if refused.len() == rows.len() { Vec::new() } else { read(back, &file) };
    let same = expected.len() == found.len() && expected.iter().zip(&found).all(|(left, right)| left.same(right));
    assert!(same, "expected {expected:?}\nfound {found:?}\nin {}", String::from_utf8_lossy(&file));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn csv_reads_back_equal(rows in rows(), encoding in prop::sample::select(vec!["utf-8", "windows-1252", "utf-16", "shift_jis", "iso-8859-1"])) {
        let dialect = format!("format = \"csv\"\nencoding = \"{encoding}\"\ndelimiter = \";\"\ndecimal_mark = \",\"\n");
        let output = dialect.clone() + "date = \"%d.%m.%Y\"\ndatetime = \"%d.%m.%Y %H:%M:%S %z\"\nline_ending = \"crlf\"";
        same(&output, &back(&dialect, "%d.%m.%Y", "%d.%m.%Y %H:%M:%S %z"), &rows, str::to_owned);
    }

    #[test]
    fn xml_reads_back_equal(rows in rows(), encoding in prop::sample::select(vec!["utf-8", "windows-1252", "utf-16"])) {
        let output = format!("format = \"xml\"\neach = \"/list/row\"\nnamespace = \"urn:a&b\"\nencoding = \"{encoding}\"");
        same(&output, &back(&output.replace("namespace = \"urn:a&b\"\n", ""), "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%:z"), &rows, str::to_owned);
    }

    #[test]
    fn a_workbook_reads_back_equal(mut rows in rows()) {
        // A row without any cell is none in a sheet.
        rows.retain(|row| row.iter().any(|cell| cell.as_ref().is_some_and(|cell| !cell.is_empty())));
        prop_assume!(!rows.is_empty());
        same("format = \"xlsx\"\nsheet = \"Rows\"", &back("format = \"xlsx\"\nsheet = \"Rows\"", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%:z"), &rows, str::to_owned);
    }

    #[test]
    fn fixed_width_reads_back_equal(rows in rows()) {
        let output = "format = \"fixed\"\nline_length = 130\ncolumns = [\n  { name = \"text\", pos = \"2-50\" },\n  \
            { name = \"to.n\", pos = \"51-70\" },\n  { name = \"day\", pos = \"71-80\" },\n  { name = \"at\", pos = \"81-110\" },\n  \
            { name = \"ok\", pos = \"111-120\", align = \"right\" },\n]";
        let input = "format = \"fixed\"\nline_length = 130";
        let layouts = "[layouts.row]\nstarts_with = \" \"\nis_record = true\ncolumns = [\n  { name = \"text\", pos = \"2-50\" },\n  \
            { name = \"to.n\", pos = \"51-70\" },\n  { name = \"day\", pos = \"71-80\" },\n  { name = \"at\", pos = \"81-110\" },\n  \
            { name = \"ok\", pos = \"111-120\" },\n]\n";
        let fields = back(input, "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%:z").replace("[fields]", &format!("{layouts}\n[fields]"));
        let fields = fields.replace("from = \"to.n\"", "from = \"to.n\", clean = [\"trim\"]")
            .replace("from = \"ok\"", "from = \"ok\", clean = [\"trim\"]");
        same(output, &fields, &rows, |text| text.trim_end().to_owned());
    }
}

const SHIPMENTS: &str = include_str!("../mappings/shipments.toml");

fn shipment(number: u32, name: &str, parcels: u32) -> String {
    format!(
        r#"{{"shipmentId":"SHP-{number:08}","service":"STD","receiver":{{"name":"{name}","address":{{"street":"Havnegade 12","postcode":"1058","country":"dk"}}}},"parcelCount":{parcels},"weightGrams":12500,"readyAt":"2026-11-23T14:30:00+0100"}}"#
    )
}

#[test]
fn shipments_become_the_carriers_list_with_a_trailer_that_counts_what_is_in_it() {
    let lenient = "[rejects]\nmax_percent = 50\n\n[output]";
    let bench = Bench::new(&SHIPMENTS.replace("\"shipments\"", "\"m\"").replace("[output]", lenient));
    let shipments = [shipment(1, "Åse; Holm", 2), shipment(2, "日本", 5), shipment(3, "=HYPERLINK(1)", 40)];
    let ended = bench.convert(format!("[{}]", shipments.join(",\n")));
    let expected = "SHIPMENT_NO;SERVICE;NAME;STREET;POSTCODE;COUNTRY;PARCELS;WEIGHT_KG;READY\r\n\
        SHP-00000001;STD;\"Åse; Holm\";Havnegade 12;1058;DK;2;12.500;23.11.2026 14:30\r\n\
        SHP-00000003;STD;=HYPERLINK(1);Havnegade 12;1058;DK;40;12.500;23.11.2026 14:30\r\n\
        TRAILER;2;42\r\n";
    let (bytes, _, bad) = encoding_rs::WINDOWS_1252.encode(expected);
    assert!(!bad);
    assert_eq!(ended.bytes.as_deref(), Some(bytes.as_ref()), "{}", ended.stderr);
    assert!(ended.stderr.contains("→ 2 records as csv"), "{}", ended.stderr);
    assert_eq!(ended.messages, ["the value of `NAME` (personal data, not shown) cannot be written in the output"]);
    ended.ends(5, &["2 receiver.name bad-encoding"]);
}

#[test]
fn g22_a_formula_towards_a_system_is_data() {
    let mapping = "[fields]\n\"a\" = { from = \"a\" }\n\n[output]\nformat = \"FORMAT\"\n";
    let (file, _) = written(&mapping.replace("FORMAT", "csv"), b"a\n=1+1\n@SUM(A1)\n-2\n");
    assert_eq!(String::from_utf8(file).unwrap(), "a\n=1+1\n@SUM(A1)\n-2\n");
    let (file, _) = written(&mapping.replace("FORMAT", "xlsx"), b"a\n=1+1\n");
    assert_eq!(read("[input]\nformat = \"xlsx\"\n\n[fields]\n\"a\" = { from = \"a\" }\n", &file).len(), 1);
    let mut book: calamine::Xlsx<_> = calamine::Reader::new(Cursor::new(file)).unwrap();
    let formulas = calamine::Reader::worksheet_formula(&mut book, "Sheet1").unwrap();
    assert_eq!(formulas.cells().filter(|(_, _, formula)| !formula.is_empty()).count(), 0);
}

const GROUPED: &str = "[record]\ngroup_by = \"no\"\n\n[fields]\n\"no\" = { from = \"no\" }\n\"total\" = { from = \"sum\", type = \"number\", decimals = 2 }\n\
    \"lines[].sku\" = { from = \"sku\" }\n\"lines[].qty\" = { from = \"qty\", type = \"integer\" }\n";
const ORDERS: &[u8] = b"no,sum,sku,qty\nA 1,12.5,x<y,2\nA 1,12.5,\"z & w\",3\nB,7,,1\n";

#[test]
fn a_list_is_repeated_elements_in_xml() {
    let output = "\n[output]\nformat = \"xml\"\neach = \"/orders/order\"\nnamespace = \"urn:example\"\nomit_empty = true\ndecimal_mark = \",\"\n";
    let (file, _) = written(&format!("{GROUPED}{output}"), ORDERS);
    assert_eq!(
        String::from_utf8(file).unwrap(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<orders xmlns=\"urn:example\">\n\
         <order><no>A 1</no><total>12,50</total><lines><sku>x&lt;y</sku><qty>2</qty></lines><lines><sku>z &amp; w</sku><qty>3</qty></lines></order>\n\
         <order><no>B</no><total>7,00</total><lines><qty>1</qty></lines></order>\n</orders>\n"
    );
}

#[test]
fn a_form_has_nested_names_as_stripe_writes_them() {
    let fields = GROUPED.replace("\"total\"", "\"customer.total due\"");
    let (file, _) = written(&format!("{fields}\n[output]\nformat = \"form\"\nomit_empty = true\n"), ORDERS);
    assert_eq!(
        String::from_utf8(file).unwrap(),
        "no=A+1&customer[total+due]=12.50&lines[0][sku]=x%3Cy&lines[0][qty]=2&lines[1][sku]=z+%26+w&lines[1][qty]=3\n\
         no=B&customer[total+due]=7.00&lines[0][qty]=1"
    );
}

const FIXED: &str = "[fields]\n\"kind\" = { value = \"P\" }\n\"name\" = { from = \"name\" }\n\"amount\" = { from = \"amount\", type = \"number\", minor_units = 2 }\n\n\
    [output]\nformat = \"fixed\"\nencoding = \"iso-8859-1\"\nline_length = 24\ntrailer = \"T{count:06}{sum:amount:012}\"\ncolumns = [\n  \
    { name = \"kind\", pos = \"1-1\" },\n  { name = \"amount\", pos = \"13-20\", fill = \"0\" },\n  { name = \"name\", pos = \"3-8\" },\n]\n";

#[test]
fn fixed_width_has_places_fills_and_a_trailer() {
    let (file, rejects) =
        written(FIXED, b"name,amount\nAnna,12.34\n\xc3\x85se,-0.05\nWilhelmina,1\nx,\ny,9999999\nz\xe2\x82\xac,1\n");
    let lines = [
        "P Anna      00001234    ",
        "P \u{c5}se       -0000005    ",
        "P x                     ",
        "T000003000000001229     ",
    ];
    let text: String = file.iter().copied().map(char::from).collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    assert_eq!(rejects, ["4 name too-long", "6 amount too-long", "7 name bad-encoding"]);
}

#[test]
fn a_record_that_cannot_be_written_goes_with_all_its_rows_and_leaves_the_others() {
    let grouped = "[record]\ngroup_by = \"no\"\n\n[fields]\n\"no\" = { from = \"no\", unique = true }\n\"name\" = { from = \"name\", pii = \"name\" }\n\n\
        [output]\nformat = \"csv\"\nencoding = \"iso-8859-1\"\n";
    let input = "no,name\n1,A\n1,A\n2,日\n2,日\n3,C\n2,B\n4,D\n";
    let (file, rejects) = written(grouped, input.as_bytes());
    assert_eq!(String::from_utf8(file).unwrap(), "no,name\n1,A\n3,C\n4,D\n");
    assert_eq!(rejects, ["4 name bad-encoding", "5 - group", "7 no group-split"]);
}

#[test]
fn without_a_quote_a_cell_that_needs_one_is_rejected() {
    let mapping = "[fields]\n\"a\" = { from = \"a\" }\n\"b\" = { from = \"b\" }\n\n[output]\nformat = \"csv\"\nquote = \"\"\nheader = false\n";
    let (file, rejects) = written(mapping, b"a,b\n1,2\n\"x,y\",2\n\"z\"\"\",3\n");
    assert_eq!(
        (String::from_utf8(file).unwrap().as_str(), rejects),
        ("1,2\nz\",3\n", vec!["3 a bad-character".to_owned()])
    );
}

#[test]
fn the_version_of_a_json_mapping_does_not_know_of_keys_for_files() {
    let of = |output: &str| {
        let spec = spec(&format!("[fields]\n\"a\" = {{ from = \"a\" }}\n{output}"));
        nightferry::mapping::version(&spec, &Default::default())
    };
    assert_eq!(of(""), of("\n[output]\nformat = \"json\"\n"));
    let csv = of("\n[output]\nformat = \"csv\"\n");
    assert_ne!(of(""), csv);
    assert_ne!(csv, of("\n[output]\nformat = \"csv\"\ndate = \"%d.%m.%Y\"\n"));
}
