//! The index and the strict reader, on the same chunks.

use proptest::prelude::*;

use super::super::row::{Cells, Fault, Rows};
use super::super::{Dialect, Place};
use super::*;

/// A row as it was found: line, start, end, next, blank, cells, fault.
type Seen = (u64, usize, usize, usize, bool, Vec<String>, Option<Fault>);

const PLACE: Place = Place { byte: 1000, line: 7 };

fn seen(mut rows: Rows<'_>) -> Vec<Seen> {
    let (mut cells, mut seen) = (Cells::default(), Vec::new());
    while let Some(found) = rows.next(&mut cells) {
        let texts: Vec<String> = (0..cells.len())
            .map(|at| {
                let (text, cell) = (cells.text(at, found.text, found.base), cells.cell(at, found.text, found.base));
                assert!(found.fault.is_some() || text.as_bytes() == cell.bytes());
                text.to_owned()
            })
            .collect();
        let escapes = |text: &String| text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\');
        assert!(!found.plain || found.fault.is_some() || !texts.iter().any(escapes), "{texts:?} is not plain");
        // Cells of a row with a fault are used for nothing but the key of its group.
        seen.push((found.line, found.start, found.end, found.next, found.blank, texts, found.fault));
    }
    seen
}

/// Reads a chunk both ways; true when it had an index.
fn same(data: &[u8], dialect: Dialect) -> bool {
    let strict = seen(Rows::new(data, PLACE, dialect));
    let mut index = Index::default();
    let quick = seen(Rows::indexed(data, PLACE, dialect, &mut index));
    assert_eq!(quick, strict, "{:?} in {dialect:?}", String::from_utf8_lossy(data));
    masks::same_index(data, dialect);
    !index.rows.is_empty()
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let dialect = |(delimiter, quote, line_end)| Dialect { line_end, ..Dialect::new(delimiter, quote) };
    prop::sample::select(vec![
        (b',', Some(b'"'), b'\n'),
        (b',', Some(b'"'), b'\n'),
        (b';', Some(b'"'), b'\r'),
        (b'\t', Some(b'\''), b'\n'),
        (0x1F, Some(b'"'), b'\n'),
        (b'|', None, b'\n'),
        (b'\\', Some(b'"'), b'\n'),
        (b'\r', Some(b'"'), b'\n'),
    ])
    .prop_map(dialect)
}

/// Pieces of which the worst files are made.
fn piece(dialect: Dialect) -> impl Strategy<Value = Vec<u8>> {
    let Dialect { delimiter, line_end, .. } = dialect;
    let quote = dialect.quote.unwrap_or(b'"');
    let long = |length: usize| vec![b'x'; length];
    prop_oneof![
        6 => Just(vec![delimiter]),
        4 => Just(vec![line_end]),
        3 => Just(b"\r\n".to_vec()),
        4 => Just(vec![quote]),
        2 => Just(vec![quote, quote]),
        2 => Just(vec![delimiter, quote]),
        2 => Just(vec![quote, delimiter]),
        2 => Just(vec![quote, line_end]),
        1 => Just(b"\r".to_vec()),
        1 => Just(vec![quote, b'\r']),
        6 => prop::sample::select(vec!["a", "bc", " ", "é", "日本", "\\", "\t", "'", "\u{7f}"]).prop_map(|text| text.into()),
        1 => prop::sample::select(vec![vec![0], vec![0xFF], vec![0xC3], vec![1], vec![b'\n']]),
        1 => (1_usize..130).prop_map(long),
    ]
}

/// Rows as a program would write them.
fn written(dialect: Dialect) -> impl Strategy<Value = Vec<u8>> {
    let Dialect { delimiter, line_end, .. } = dialect;
    let cell = prop_oneof![
        5 => "[a-z0-9 .é]{0,12}".prop_map(String::into_bytes),
        2 => "[a-z ,;é]{0,40}".prop_map(move |text| match dialect.quote {
            Some(quote) => [&[quote][..], text.as_bytes(), &[quote]].concat(),
            None => b"x".to_vec(),
        }),
        1 => prop::sample::select(vec![b"\"a\"\"b\"".to_vec(), b"\"\"".to_vec(), b"\"two\nlines\"".to_vec(), b"\"\r\n\"".to_vec()]),
    ];
    let row = (prop::collection::vec(cell, 1..8), any::<bool>()).prop_map(move |(cells, crlf)| {
        let mut row = cells.join(&delimiter);
        row.extend((crlf && line_end == b'\n').then_some(b'\r'));
        row.push(line_end);
        row
    });
    (prop::collection::vec(row, 0..12), any::<bool>()).prop_map(|(rows, whole)| {
        let mut data = rows.concat();
        data.truncate(data.len() - usize::from(!whole && !data.is_empty()));
        data
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn the_worst_chunks_read_alike(
        (dialect, data) in dialects().prop_flat_map(|dialect| {
            (Just(dialect), prop::collection::vec(piece(dialect), 0..80).prop_map(|pieces| pieces.concat()))
        }),
    ) {
        same(&data, dialect);
    }

    #[test]
    fn ordinary_chunks_read_alike(
        (dialect, data) in dialects().prop_flat_map(|dialect| (Just(dialect), written(dialect))),
    ) {
        same(&data, dialect);
    }

    #[test]
    fn a_fault_at_any_place_of_a_block_is_seen(before in 0_usize..140, fault in piece(Dialect::new(b',', Some(b'"')))) {
        let data = [&b"a,\"b\",".repeat(30)[..before.min(180)], &fault, b",c\r\n\"d\",e\n"].concat();
        same(&data, Dialect::new(b',', Some(b'"')));
    }
}

#[test]
fn usual_chunks_have_an_index_and_bad_quotes_have_none() {
    let comma = Dialect::new(b',', Some(b'"'));
    for data in
        ["a,b\n", "a,\"b, c\"\r\n\r\n", "\"\"\"a\"\"\"\n", "\"\",\"\"\n\"\n\"\n", "a,b", "\"a\"", "\"a\"\r", "a\rb\n"]
    {
        assert!(same(data.as_bytes(), comma), "{data:?}");
    }
    for data in ["a,b\"c\n\"", "\"a\" ,b\n", "a\"b\",c\n\"", "\"a\"\rb\n", "\"a\r\r\"\r\r\n"] {
        let mut index = Index::default();
        assert!(!index.build(data.as_bytes(), comma), "{data:?}");
        same(data.as_bytes(), comma);
    }
}
