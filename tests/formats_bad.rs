//! Bad files, one fault each, through `nightferry convert`: every reject with its row, column and code, and the exit code.
//! What a run makes of some of them (nothing is sent, the file stays) is in `bad_input.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

#[path = "support/convert.rs"]
mod convert;

use std::time::{Duration, Instant};

use convert::{Bench, Converted};

/// Three columns: text, an integer, a date. Every row may be rejected.
const FIELDS: &str = r#"
[fields]
"id"  = { from = "id", required = true }
"qty" = { from = "qty", type = "integer", minimum = 1 }
"day" = { from = "day", type = "date", format = "%d.%m.%Y" }

[rejects]
max_percent = 100
"#;

const A1: &str = r#"{"id":"A-1","qty":1,"day":"2026-11-23"}"#;
const A2: &str = r#"{"id":"A-2","qty":2,"day":"2026-11-23"}"#;
const ROW1: &str = "A-1,1,23.11.2026\n";
const ROW2: &str = "A-2,2,23.11.2026\n";

/// Converts a CSV file; `input` stands in `[input]`.
#[track_caller]
fn csv(input: &str, content: impl AsRef<[u8]>) -> Converted {
    Bench::new(&format!("[input]\n{input}\n{FIELDS}")).convert(content)
}

/// Converts a file of one text column `x`; `recipe` is added to its recipe.
#[track_caller]
fn column(input: &str, recipe: &str, cells: &[&str]) -> Converted {
    let mapping =
        format!("[input]\n{input}\n[rejects]\nmax_percent = 100\n[fields]\n\"x\" = {{ from = \"x\"{recipe} }}\n");
    let rows: String = cells.iter().map(|cell| format!("\"{}\"\n", cell.replace('"', "\"\""))).collect();
    Bench::new(&mapping).convert("x\n".to_owned() + &rows)
}

fn file(rows: &str) -> String {
    format!("id,qty,day\n{rows}")
}

#[test]
fn g01_an_unclosed_quote_fails_the_file_with_the_line_where_it_opens() {
    let ended = csv("", file(&format!("{ROW1},1,23.11.2026\n\"A-3,1,23.11.2026\n{ROW2}{ROW2}")));
    ended.ends(1, &["3 id required", "4 - unclosed-quote"]);
    // The line of the quote, and not that on which its row begins.
    csv("", file("\"A\n1\",1,\"23.11.2026\nA-2,2,")).ends(1, &["3 - unclosed-quote"]);
    csv("", "id,\"qty,day\n").ends(1, &["1 - unclosed-quote"]);
}

#[test]
fn g02_ragged_rows_are_rejected_with_their_line() {
    let ended = csv("", file(&format!("{ROW1}A-3,1\nA-4,1,23.11.2026,x\nA-5\n{ROW2}")));
    let ended = ended.ends(5, &["3 - ragged-row", "4 - ragged-row", "5 - ragged-row"]).made(&[A1, A2]);
    assert!(
        ended.messages[0].contains('2') && ended.messages[0].contains('3'),
        "found and expected: {}",
        ended.messages[0]
    );
}

#[test]
fn g02_ragged_rows_are_padded_or_truncated_only_where_the_mapping_says_so() {
    let rows = file("A-1,1\nA-2,2,23.11.2026,x\n");
    let padded = r#"{"id":"A-1","qty":1,"day":null}"#;
    csv("ragged = \"pad\"", &rows).ends(5, &["3 - ragged-row"]).made(&[padded]);
    csv("ragged = \"truncate\"", &rows).ends(5, &["2 - ragged-row"]).made(&[A2]);
}

#[test]
fn g03_an_extra_quote_rejects_its_row_and_never_merges_two() {
    let bad = "A\"3,1,23.11.2026\n\"A-4\"x,1,23.11.2026\nA-5, \"1\",23.11.2026\n";
    let ended = csv("", file(&format!("{ROW1}{bad}{ROW2}")));
    ended.ends(5, &["3 - bad-quote", "4 - bad-quote", "5 - bad-quote"]).made(&[A1, A2]);
    // The quote that was not meant to open a cell closes at the next one, lines further down.
    let ended = csv("", file(&format!("\"A-3,1,23.11.2026\n{ROW1}{ROW2}A-4\"x,1,23.11.2026\n{ROW1}")));
    ended.ends(5, &["2 - bad-quote", "5 - bad-quote"]).made(&[A1, A2, A1]);
    // Lenient only behind a key.
    column("quote = \"\"", "", &[]).ends(0, &[]);
    let mapping = "[input]\nquote = \"\"\n[fields]\n\"x\" = { from = \"x\" }\n";
    Bench::new(mapping).convert("x\na\"b\n\"c\n").ends(0, &[]).made(&[r#"{"x":"a\"b"}"#, r#"{"x":"\"c"}"#]);
}

#[test]
fn g04_a_row_with_another_delimiter_is_rejected() {
    let ended = csv("", file(&format!("{ROW1}A-3;1;23.11.2026\nA-4\t1\t23.11.2026\n{ROW2}")));
    ended.ends(5, &["3 - ragged-row", "4 - ragged-row"]).made(&[A1, A2]);
}

#[test]
fn g05_a_nul_byte_rejects_its_row() {
    let ended = csv("", file(&format!("{ROW1}A\0-3,1,23.11.2026\n\"A\0\",1,23.11.2026\n{ROW2}")));
    ended.ends(5, &["3 - bad-character", "4 - bad-character"]).made(&[A1, A2]);
}

#[test]
fn g06_a_byte_order_mark_is_taken_off_also_before_a_quote() {
    csv("", format!("\u{feff}{}", file(ROW1))).ends(0, &[]).made(&[A1]);
    csv("", format!("\u{feff}\"id\",qty,day\n{ROW1}")).ends(0, &[]).made(&[A1]);
    // Only at the beginning: elsewhere it is a character like others.
    let made = r#"{"id":"?A-1","qty":1,"day":"2026-11-23"}"#.replace('?', "\u{feff}");
    csv("", file(&format!("\u{feff}{ROW1}"))).ends(0, &[]).made(&[&made]);
}

fn utf_16(text: &str, little: bool, mark: bool) -> Vec<u8> {
    let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
    units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

#[test]
fn g07_utf_16_fails_the_file_unless_the_mapping_names_it() {
    let text = file(&format!("{ROW1}{ROW2}"));
    for little in [true, false] {
        for mark in [true, false] {
            csv("", utf_16(&text, little, mark)).ends(1, &["1 - bad-encoding"]);
            let encoding = if little { "encoding = \"utf-16le\"" } else { "encoding = \"utf-16be\"" };
            csv(encoding, utf_16(&text, little, mark)).ends(0, &[]).made(&[A1, A2]);
        }
    }
}

#[test]
fn g08_invalid_utf_8_rejects_its_row_with_the_offset_and_nothing_is_replaced() {
    // Windows-1252, Shift-JIS, cp1251, a surrogate, an overlong slash.
    let bad: [&[u8]; 5] = [b"\xC5se", b"\x93\xFA\x96\x7B", b"\xEC\xE8\xF0", b"\xED\xA0\x80", b"\xC0\xAF"];
    for bytes in bad {
        let content = [file(ROW1).as_bytes(), bytes, b",1,23.11.2026\n", ROW2.as_bytes()].concat();
        let ended = csv("", content).ends(5, &["3 - bad-encoding"]).made(&[A1, A2]);
        assert!(ended.messages[0].contains("28"), "the offset of the byte: {}", ended.messages[0]);
        assert!(!ended.out.unwrap().contains('\u{fffd}'));
    }
    // A name in the header.
    csv("", [b"id,qty,day,Stra\xDFe\n".as_slice(), ROW1.as_bytes()].concat()).ends(1, &["1 - bad-encoding"]);
}

#[test]
fn g08_a_declared_encoding_is_decoded() {
    let mapping =
        |encoding: &str| format!("[input]\nencoding = \"{encoding}\"\n[fields]\n\"x\" = {{ from = \"x\" }}\n");
    Bench::new(&mapping("windows-1252")).convert(b"x\n\xC5se \x80\n").ends(0, &[]).made(&[r#"{"x":"Åse €"}"#]);
    Bench::new(&mapping("iso-8859-1")).convert(b"x\nG\xF6teborg\n").ends(0, &[]).made(&[r#"{"x":"Göteborg"}"#]);
}

#[test]
fn g09_line_ends_of_all_kinds_are_read() {
    csv("", "id,qty,day\r\nA-1,1,23.11.2026\nA-2,2,23.11.2026\r\n").ends(0, &[]).made(&[A1, A2]);
    csv("", "id,qty,day\rA-1,1,23.11.2026\rA-2,2,23.11.2026\r").ends(0, &[]).made(&[A1, A2]);
    csv("", "id,qty,day\nA-1,1,23.11.2026\n\nA-2,2,23.11.2026").ends(0, &[]).made(&[A1, A2]);
    // A row is named by the line it starts on, also behind cells with line breaks and behind blank lines.
    let ended = csv("", "id,qty,day\r\n\"A\n\r\n1\",1,23.11.2026\r\n\r\nA-2,x,23.11.2026\n");
    ended.ends(5, &["6 qty bad-integer"]).made(&[r#"{"id":"A\n\r\n1","qty":1,"day":"2026-11-23"}"#]);
}

#[test]
fn g10_a_field_of_100_mb_is_rejected_in_bounded_memory() {
    let mut content = file(ROW1).into_bytes();
    content.extend(std::iter::repeat_n(b'x', 100 << 20));
    content.extend(b",1,23.11.2026\n\"");
    content.extend(std::iter::repeat_n(b'y', 2 << 20));
    content.extend(b"\",1,23.11.2026\n");
    content.extend(ROW2.as_bytes());
    let ended = csv("", content).ends(5, &["3 - row-too-long", "4 - cell-too-long"]).made(&[A1, A2]);
    assert!(ended.memory <= 256 << 10, "{} KiB of resident memory", ended.memory);
}

#[test]
fn g11_a_million_columns_fail_the_file() {
    let header = (0..1_000_000).map(|at| format!("c{at}")).collect::<Vec<_>>().join(",");
    csv("", format!("id,qty,day,{header}\n{ROW1}")).ends(1, &["1 - too-many-columns"]);
}

#[test]
fn g12_duplicate_headers_fail_the_file_unless_the_mapping_picks_by_position() {
    let content = "id,qty,id\nA-1,1,A-2\n";
    let fields = |from: &str| format!("[fields]\n\"id\" = {{ from = {from} }}\n\"qty\" = {{ from = 2 }}\n");
    Bench::new(&fields("\"id\"")).convert(content).ends(1, &["1 id duplicate-column"]);
    Bench::new(&fields("3")).convert(content).ends(0, &[]).made(&[r#"{"id":"A-2","qty":"1"}"#]);
}

#[test]
fn g13_a_missing_mapped_column_fails_the_file_before_its_first_row() {
    let ended = csv("", "id,quantity,day\nA-1,x,23.11.2026\n").ends(1, &["1 qty missing-column"]);
    assert!(ended.messages[0].contains("`quantity`"), "what the file has instead: {}", ended.messages[0]);
}

#[test]
fn g14_reordered_columns_give_the_same_bytes() {
    csv("", "day,id,qty\n23.11.2026,A-1,1\n23.11.2026,A-2,2\n").ends(0, &[]).made(&[A1, A2]);
}

#[test]
fn g15_an_extra_column_is_a_warning_nothing_or_a_fault() {
    let content = "id,qty,day,Salary\nA-1,1,23.11.2026,9\n";
    for input in ["", "unknown_columns = \"warn\""] {
        let ended = csv(input, content).ends(0, &[]).made(&[A1]);
        assert!(ended.stderr.contains("Salary"), "a warning: {}", ended.stderr);
    }
    let ended = csv("unknown_columns = \"ignore\"", content).ends(0, &[]).made(&[A1]);
    assert!(!ended.stderr.contains("Salary"), "{}", ended.stderr);
    csv("unknown_columns = \"reject_file\"", content).ends(1, &["1 Salary unknown-column"]);
}

#[test]
fn g16_files_without_rows_have_outcomes_of_their_own() {
    csv("", "").ends(1, &["- - empty-file"]);
    csv("", "\n").ends(1, &["- - empty-file"]);
    csv("", "\u{feff}").ends(1, &["- - empty-file"]);
    let ended = csv("", "id,qty,day\n").ends(0, &[]).made(&[]);
    assert!(!ended.stderr.is_empty(), "never a success with 0 rows without a warning");
    // No header: its first row is taken for one.
    csv("", ROW1).ends(1, &["1 id missing-column"]);
    csv("header = false\ncolumns = [\"id\", \"qty\", \"day\"]", ROW1).ends(0, &[]).made(&[A1]);
}

#[test]
fn g17_a_preamble_and_a_header_of_several_rows_are_passed_over_by_configuration() {
    let content = format!("Orders of the night\ncreated by \"ERP, 23.11.2026\n{}A-3,x,23.11.2026\n", file(ROW1));
    for input in ["skip_rows = 2", "header_row = 3"] {
        csv(input, &content).ends(5, &["5 qty bad-integer"]).made(&[A1]);
    }
    let ended = csv("", "Orders of the night\n".to_owned() + &file(ROW1)).ends(1, &["1 id missing-column"]);
    assert!(ended.messages[0].contains("Orders of the night"), "{}", ended.messages[0]);
    csv("header_row = 2", "Order,Count,Date\nid,qty,day\nA-1,1,23.11.2026\n").ends(0, &[]).made(&[A1]);
}

#[test]
fn g17_a_second_table_and_a_footnote_are_rejected_and_not_merged() {
    let ended = csv("", file(&format!("{ROW1}\nid,qty,day\n{ROW2}* without VAT\n")));
    ended.ends(5, &["4 qty bad-integer", "4 day bad-date", "6 - ragged-row"]).made(&[A1, A2]);
}

/// A CSV file with a trailer that declares how many rows it has and what they add up to.
const WITH_TRAILER: &str = r#"
[layouts.trailer]
starts_with = "TRL"
occurs      = "last"
columns     = [{ name = "Count", field = 2 }, { name = "Total", field = 3 }]

[fields]
"id"     = { from = "id", required = true }
"amount" = { from = "amount", type = "number", decimals = 2 }

[[controls]]
id       = "entries"
count    = "rows"
declared = "trailer.Count"

[[controls]]
id       = "total"
sum      = "amount"
declared = "trailer.Total"

[rejects]
max_percent = 100
"#;

#[test]
fn g18_a_trailer_that_does_not_add_up_fails_the_file() {
    let bench = Bench::new(WITH_TRAILER);
    let made = [r#"{"id":"A","amount":1.10}"#, r#"{"id":"B","amount":2.20}"#];
    bench.convert("id,amount\nA,1.1\nB,2.2\nTRL,2,3.30\n").ends(0, &[]).made(&made);
    bench.convert("id,amount\nA,1.1\nB,2.2\nTRL,3,3.30\n").ends(1, &["4 - control:entries"]);
    bench.convert("id,amount\nA,1.1\nB,2.2\nTRL,2,3.31\n").ends(1, &["4 - control:total"]);
    // Rejected rows count too: the sender does not know what we reject.
    bench.convert("id,amount\nA,1.1\n,2.2\nTRL,2,3.30\n").ends(5, &["3 id required"]).made(&made[..1]);
}

#[test]
fn g19_a_missing_trailer_fails_the_file() {
    Bench::new(WITH_TRAILER).convert("id,amount\nA,1.1\nB,2.2\n").ends(1, &["- - bad-layout"]);
}

/// Fixed width with header, records and trailer.
const FIXED: &str = r#"
[input]
format      = "fixed"
encoding    = "iso-8859-1"
line_length = 24

[layouts.header]
starts_with = "HDR"
occurs      = "first"
columns     = [{ name = "Currency", pos = "4-6" }]

[layouts.payment]
starts_with = "PMT"
occurs      = "many"
is_record   = true
columns     = [{ name = "Ref", pos = "4-7" }, { name = "Amount", pos = "8-14" }, { name = "Name", pos = "15-24" }]

[layouts.trailer]
starts_with = "TRL"
occurs      = "last"
columns     = [{ name = "Count", pos = "4-7" }, { name = "Total", pos = "8-14" }, { name = "Hash", pos = "15-16" }]

[fields]
"ref"      = { from = "Ref", required = true }
"amount"   = { from = "Amount", type = "number", implied_decimals = 2 }
"name"     = { from = "Name" }
"currency" = { from = "header.Currency" }

[[controls]]
id       = "entries"
count    = "payment"
declared = "trailer.Count"

[[controls]]
id       = "total"
sum      = "payment.Amount"
declared = "trailer.Total"

[[controls]]
id       = "hash"
hash     = "payment.Ref"
declared = "trailer.Hash"

[rejects]
max_percent = 100
"#;

#[test]
fn g18_fixed_width_counts_sums_and_hash_totals_are_compared() {
    let bench = Bench::new(FIXED);
    let content = |trailer: &str| {
        [b"HDREUR\nPMT00610000110S\xF8ren\nPMT00620000220\n".as_slice(), trailer.as_bytes(), b"\n"].concat()
    };
    let made = [
        r#"{"ref":"0061","amount":1.10,"name":"Søren","currency":"EUR"}"#,
        r#"{"ref":"0062","amount":2.20,"name":null,"currency":"EUR"}"#,
    ];
    // 61 + 62 = 123, and the field has two characters.
    bench.convert(content("TRL0002000033023")).ends(0, &[]).made(&made);
    bench.convert(content("TRL0003000033023")).ends(1, &["4 - control:entries"]);
    bench.convert(content("TRL0002000033123")).ends(1, &["4 - control:total"]);
    bench.convert(content("TRL0002000033024")).ends(1, &["4 - control:hash"]);
}

#[test]
fn g19_fixed_width_without_its_trailer_fails() {
    Bench::new(FIXED).convert("HDREUR\nPMT00610000110\n").ends(1, &["- - bad-layout"]);
}

#[test]
fn g20_numbers_are_exact_and_their_notation_is_strict() {
    let numbers = ["1.234,56", "-0", "007", "9007199254740993", "0,10", "1234567890123456789012345678", "+5"];
    let expected = ["1234.56", "0", "7", "9007199254740993", "0.10", "1234567890123456789012345678", "5"];
    let input = "decimal_mark = \",\"\ngroup_mark = \".\"";
    let expected = expected.map(|number| format!("{{\"x\":{number}}}"));
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    column(input, ", type = \"number\"", &numbers).ends(0, &[]).made(&expected);
    let bad = ["1e5", "1.5", "1,", ",5", "1 000", " 5", "1,234.56", "½", "٣", "NaN", "0x10"];
    let rejects: Vec<String> = (2..2 + bad.len()).map(|row| format!("{row} x bad-number")).collect();
    let rejects: Vec<&str> = rejects.iter().map(String::as_str).collect();
    column(input, ", type = \"number\"", &bad).ends(5, &rejects).made(&[]);
    column(input, "", &["007", "1,50", "1e5"]).ends(0, &[]).made(&[
        r#"{"x":"007"}"#,
        r#"{"x":"1,50"}"#,
        r#"{"x":"1e5"}"#,
    ]);
    let ended = column("", ", type = \"number\", decimals = 2", &["1.005", "1.500", "1"]);
    ended.ends(5, &["2 x too-many-decimals"]).made(&[r#"{"x":1.50}"#, r#"{"x":1.00}"#]);
    column("", ", type = \"number\", minor_units = 2", &["12.34", "-0.050"])
        .ends(0, &[])
        .made(&[r#"{"x":1234}"#, r#"{"x":-5}"#]);
}

#[test]
fn g20_json_numbers_are_exact_too() {
    let mapping = "[input]\nformat = \"json\"\n[fields]\n\"x\" = { from = \"x\", type = \"number\" }\n";
    let content = "[{\"x\": 9007199254740993.10},\n{\"x\": 0.1}]";
    Bench::new(mapping).convert(content).ends(0, &[]).made(&[r#"{"x":9007199254740993.10}"#, r#"{"x":0.1}"#]);
}

#[test]
fn g21_days_that_do_not_exist_are_rejected_and_never_shifted() {
    let date = ", type = \"date\", format = \"%d/%m/%Y\"";
    let cells =
        ["31/02/2026", "29/02/2026", "29/02/2024", "31/04/2026", "23/11/26", "1/2/2026", "00/01/2026", "11/23/2026"];
    let codes = [2, 3, 5, 6, 7, 8, 9].map(|row| format!("{row} x bad-date"));
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    column("", date, &cells).ends(5, &codes).made(&[r#"{"x":"2024-02-29"}"#]);
    column("", ", type = \"date\", format = \"%d/%m/%y\"", &["23/11/26"]).ends(0, &[]).made(&[r#"{"x":"2026-11-23"}"#]);
}

#[test]
fn g22_formula_cells_are_data() {
    let cells = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"];
    let ended = column("", "", &cells).ends(0, &[]);
    let found: Vec<_> = ended.records().iter().map(|record| record["x"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, cells);
}

#[test]
fn g23_a_key_that_comes_twice_is_rejected_and_the_first_line_is_named() {
    let mapping = "[fields]\n\"id\" = { from = \"id\", unique = true }\n\"n\" = { from = \"n\", type = \"integer\" }\n\
                   [rejects]\nmax_percent = 100\n";
    // The bad row takes no part: only what passed everything else does.
    let ended = Bench::new(mapping).convert("id,n\nA,x\nA,1\nB,2\nA,3\nB,4\n");
    let ended = ended.ends(5, &["2 n bad-integer", "5 id duplicate-key", "6 id duplicate-key"]);
    assert!(ended.messages[1].contains('3') && ended.messages[2].contains('4'), "{:?}", ended.messages);
    ended.made(&[r#"{"id":"A","n":1}"#, r#"{"id":"B","n":2}"#]);
}

const XML: &str =
    "[input]\nformat = \"xml\"\neach = \"$.orders.order[*]\"\n[fields]\n\"id\" = { from = \"id\", required = true }\n";

#[test]
fn g26_xml_with_entities_of_its_own_fails_and_reads_no_other_file() {
    let bench = Bench::new(XML);
    bench.write("secret", "top-secret");
    bench.convert("<orders><order><id>A-1</id></order></orders>").ends(0, &[]).made(&[r#"{"id":"A-1"}"#]);
    let external = format!("<!DOCTYPE orders [<!ENTITY s SYSTEM \"file://{}\">]>", bench.path("secret").display());
    let laughs: String =
        (1..10).map(|at| format!("<!ENTITY l{at} \"{}\">", format!("&l{};", at - 1).repeat(10))).collect();
    let laughs = format!("<!DOCTYPE orders [<!ENTITY l0 \"ha\">{laughs}]>");
    for (doctype, entity) in [(external.as_str(), "s"), (&laughs, "l9"), ("", "unknown")] {
        let begun = Instant::now();
        let ended = bench.convert(format!("{doctype}<orders><order><id>&{entity};</id></order></orders>"));
        let ended = ended.ends(1, &["1 - bad-xml"]);
        assert!(begun.elapsed() < Duration::from_secs(10) && ended.memory < 64 << 10, "{} KiB", ended.memory);
        assert!(!ended.stderr.contains("top-secret"), "{}", ended.stderr);
    }
}

#[test]
fn g26_xml_and_json_that_are_cut_short_fail() {
    Bench::new(XML).convert("<orders><order><id>A-1</id></order><order>").ends(1, &["1 - bad-xml"]);
    let json = "[input]\nformat = \"json\"\neach = \"$.orders[*]\"\n[fields]\n\"id\" = { from = \"id\" }\n";
    Bench::new(json).convert("{\"orders\": [{\"id\": \"A-1\"}, {\"id\": \"A").ends(1, &["1 - bad-json"]);
    Bench::new(json).convert("{\"orders\": [{\"id\": \"A-1\"}]}").ends(0, &[]).made(&[r#"{"id":"A-1"}"#]);
}

#[test]
fn g27_a_pattern_never_takes_longer_than_its_text() {
    let bench = Bench::new("[rejects]\nmax_percent = 100\n[fields]\n\"x\" = { from = \"x\", pattern = '^(a+)+$' }\n");
    let begun = Instant::now();
    let long = "a".repeat(1_000_000);
    bench.convert(format!("x\n{long}!\n")).ends(5, &["2 x pattern"]).made(&[]);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // One that is too large is a mistake of the mapping.
    let bench = Bench::new("[fields]\n\"x\" = { from = \"x\", pattern = '((a{100}){100}){100}' }\n");
    let ended = bench.convert("x\na\n");
    assert_eq!((ended.code, ended.out), (Some(3), None), "{}", ended.stderr);
    assert!(ended.stderr.contains("NF230"), "{}", ended.stderr);
}
