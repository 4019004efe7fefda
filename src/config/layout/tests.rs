//! The rules one by one, then over texts that nobody would write.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn becomes(before: &str, after: &str) {
    assert_eq!(layout("x.toml", before).unwrap(), after);
    assert_eq!(layout("x.toml", after).unwrap(), after, "not the same the second time");
}

#[track_caller]
fn stays(text: &str) {
    becomes(text, text);
}

#[test]
fn keys_are_aligned_and_tables_parted() {
    becomes(
        "\n\n[ job ]\r\nname=\"orders\"\r\n  title = 'Orders'\t\r\n\r\n\r\nx . y=1\n# about\n[a]\n[b.\"c d\"]\nk=1",
        "[job]\nname  = \"orders\"\ntitle = \"Orders\"\n\nx.y = 1\n\n# about\n[a]\n\n[b.\"c d\"]\nk = 1\n",
    );
    becomes("#:schema x\n[a]\nb=1\n\n\n", "#:schema x\n\n[a]\nb = 1\n");
    becomes("", "");
    becomes("\u{feff}a=1", "a = 1\n");
}

#[test]
fn what_was_aligned_stays_so() {
    stays("[a]\non       = 1\nto       = 2\nmore_than = 3\n");
    stays("[a]\nwide        = 1\ncolumn      = 2\n");
    stays("[sample]\nOrderNo = \"1\"\nId = \"2\"\n");
    stays("[[tests]]\nname = \"x\"\nrows = [ {} ]\nexpect_json = '''\n[]\n'''\n");
    stays("[a]\nstarts_with = 1\noccurs      = 2\ncolumns = [\n  1,\n]\n");
    becomes("[a]\nab = 1\ncd = 2\nlonger = 3\n", "[a]\nab     = 1\ncd     = 2\nlonger = 3\n");
    becomes("[a]\none     = 1\n", "[a]\none = 1\n");
}

#[test]
fn values_have_one_form() {
    becomes("a=[ 1,2 ,3,]\nb={x=1,y={},}\nc=[]", "a = [1, 2, 3]\nb = { x = 1, y = {} }\nc = []\n");
    becomes("a = [ {x=1}, ]\nb = [{x=1}]", "a = [ { x = 1 } ]\nb = [{ x = 1 }]\n");
    becomes(
        "a = [\n1,\n    2]\nb = [1,\n[2,\n3]]",
        "a = [\n  1,\n  2,\n]\nb = [\n  1,\n  [\n    2,\n    3,\n  ],\n]\n",
    );
    becomes("a='x'\nb='\\d'\nc='\"'\nd=\"\\t\"\ne=''", "a = \"x\"\nb = '\\d'\nc = '\"'\nd = \"\\t\"\ne = \"\"\n");
    stays("a = \"\"\"\nline  \n\"quoted\"\"\"\"\nb = 2\n");
    stays("a = [\n  { when = { S = [\"X\"] },    value = 1 },\n  { when = { Quantity = 1 }, value = 22 },\n]\n");
    becomes("a = [\n {x=1, y=2},\n {x=100,y=2}]", "a = [\n  { x = 1, y = 2 },\n  { x = 100, y = 2 },\n]\n");
    becomes("a = {\n x = 1,\n y = [\n  1 ] }", "a = { x = 1, y = [\n  1,\n] }\n");
    stays("a = 2026-11-23 10:00:00Z\nb = [1, 2026-11-23]\nc = 1_000.50\n");
}

#[test]
fn comments_keep_their_text_and_their_columns() {
    stays("a = 1          # one\nb = 22         # two\n               # goes on\n# own\n");
    becomes("a=1 # one\nbcde=2 # two", "a    = 1 # one\nbcde = 2 # two\n");
    becomes("a=1  # one\nb=22  # two\n", "a = 1  # one\nb = 22  # two\n");
    becomes("a=1   # one\nb=222 # two\n", "a = 1   # one\nb = 222 # two\n");
    stays("[a]         # about\nb = [       # head\n  # own\n  1,        # item\n  2,\n  # tail\n]           # end\n");
    becomes("  # own\n[a]\n#x\n", "# own\n[a]\n#x\n");
    becomes("a = [1 # one\n, 2] # two", "a = [\n  1,   # one\n  2,\n]    # two\n");
}

#[test]
fn a_text_that_is_not_toml_is_told_with_its_place() {
    let problems = layout("jobs/x.toml", "[job]\nname = \"x\ntitle = 1\n").unwrap_err();
    let told = problems.diagnostics.iter().map(|one| format!("{}:{}:{}", one.path, one.line, one.code));
    assert_eq!(told.collect::<Vec<_>>(), ["jobs/x.toml:2:NF100"]);
}

const NOT_OURS: [&str; 4] = ["Cargo.toml", "clippy.toml", "deny.toml", "rustfmt.toml"];

#[test]
fn the_files_of_this_project_are_canonical() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["", "jobs", "mappings"].map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let files = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
    let is_ours = |path: &std::path::PathBuf| path.extension().is_some_and(|word| word == "toml");
    for path in files.filter(|path| is_ours(path) && !NOT_OURS.iter().any(|name| path.ends_with(name))) {
        let content = std::fs::read_to_string(&path).unwrap();
        let laid_out = layout("x.toml", &content).unwrap();
        let differs = content.lines().zip(laid_out.lines()).find(|(before, after)| before != after);
        assert!(laid_out == content, "{}: {differs:?}", path.display());
    }
}

fn blanks() -> impl Strategy<Value = String> {
    "[ \t]{0,3}"
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,6}", "\"[a-z. =#\\[]{1,6}\"", "'[a-z\"#]{1,4}'", "[a-z]{1,2} ?\\. ?[a-z]{1,2}"]
}

fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("true".to_owned()),
        Just("nan".to_owned()),
        Just("2026-11-23 10:00:00".to_owned()),
        "-?[1-9][0-9]{0,3}(\\.[0-9]{1,2})?",
        "\"[a-z #=,\\]}æ']{0,8}\"",
        "\"(\\\\[\"\\\\nt]|[a-z]){0,4}\"",
        "'[a-z #=,\\]}\\\\\"]{0,8}'",
        "\"\"\"\r?\n?[a-z #\n\\[]{0,8}\"?\"?\"\"\"",
        "'''[a-z #\n\\[\"]{0,8}'''",
    ]
}

fn comment() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 1 => "[ \t]{0,9}#[ a-zæ\"\\[]{0,8}"]
}

fn line_end() -> impl Strategy<Value = String> {
    (comment(), prop_oneof![9 => Just("\n"), 1 => Just("\r\n")]).prop_map(|(comment, end)| comment + end)
}

fn list_of(item: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = String> {
    let gap = prop_oneof![3 => blanks(), 1 => (line_end(), blanks()).prop_map(|(end, blanks)| end + &blanks)];
    let item = (gap.clone().boxed(), item, gap.clone().boxed()).prop_map(|(a, item, b)| format!("{a}{item}{b}"));
    (proptest::collection::vec(item, 0..4), gap, any::<bool>()).prop_map(|(items, gap, comma)| {
        let comma = if comma && !items.is_empty() { "," } else { "" };
        format!("[{}{comma}{gap}]", items.join(","))
    })
}

fn table_of(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let field = (blanks(), blanks(), value, blanks());
    proptest::collection::vec(field, 0..4).prop_map(|fields| {
        let field = |(index, (a, b, value, c)): (usize, &(String, String, String, String))| {
            format!("{a}k{index}{b}={c}{value}{b}")
        };
        format!("{{{}}}", fields.iter().enumerate().map(field).collect::<Vec<_>>().join(","))
    })
}

fn value() -> impl Strategy<Value = String> {
    atom().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![list_of(inner.clone().boxed()), table_of(inner.clone()), list_of(table_of(inner).boxed())]
    })
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (blanks(), key(), blanks(), blanks(), value(), line_end())
            .prop_map(|(a, key, b, c, value, end)| format!("{a}{key}{b}={c}{value}{end}")),
        1 => (blanks(), key(), line_end()).prop_map(|(a, key, end)| format!("{a}[{key} ]{end}")),
        1 => (blanks(), key(), line_end()).prop_map(|(a, key, end)| format!("{a}[[ {key}]]{end}")),
        2 => line_end(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_global_rejects: 200_000, ..ProptestConfig::default() })]

    /// Lines are kept while they make a valid file, so that few texts are thrown away.
    #[test]
    fn any_file_keeps_its_meaning_and_is_laid_out_once(lines in proptest::collection::vec(line(), 0..12)) {
        let mut text = String::new();
        for line in lines {
            let longer = format!("{text}{line}");
            if longer.parse::<toml::Table>().is_ok() {
                text = longer;
            }
        }
        let once = layout("x.toml", &text);
        prop_assert!(once.is_ok(), "{text:?} became {:?}", arrange(&scan(&text)));
        let once = once.unwrap_or_default();
        let twice = layout("x.toml", &once).unwrap_or_default();
        prop_assert_eq!(&once, &twice, "{:?}", text);
        let comments = |text: &str| text.matches('#').count();
        prop_assert_eq!(comments(&text), comments(&once), "{:?}", text);
        prop_assert!(!once.contains("\n\n\n") || text.contains("\"\"\"") || text.contains("'''"));
    }
}
