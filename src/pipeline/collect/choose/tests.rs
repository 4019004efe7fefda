//! Choosing, case by case.

use super::*;

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 23).unwrap()
}

fn file(name: impl AsRef<[u8]>) -> RemoteFile {
    RemoteFile { name: name.as_ref().to_vec(), size: Some(1), mtime: Some(1) }
}

fn text(text: &str) -> TemplatePart {
    TemplatePart::Text(text.to_owned())
}

fn dated() -> TemplatePart {
    TemplatePart::BusinessDate("%Y%m%d".to_owned())
}

fn globs(globs: &[&[TemplatePart]]) -> Matcher {
    let globs = globs.iter().map(|parts| DateTemplate(parts.to_vec())).collect();
    Matcher::new(&NameRule::Globs(globs), day()).unwrap()
}

fn regex(pattern: &[TemplatePart]) -> Matcher {
    Matcher::new(&NameRule::Regex(DateTemplate(pattern.to_vec())), day()).unwrap()
}

fn candidates(numbers: &[u64]) -> Vec<Candidate> {
    numbers.iter().map(|number| Candidate { file: file(format!("{number}")), number: Some(*number) }).collect()
}

fn names(candidates: &[Candidate]) -> Vec<&str> {
    candidates.iter().map(|one| std::str::from_utf8(&one.file.name).unwrap()).collect()
}

#[test]
fn a_glob_matches_whole_names_byte_by_byte() {
    let matcher = globs(&[&[text("orders_"), dated(), text("*.[ct]s?")]]);
    for (name, matches) in [
        (&b"orders_20261123.csv"[..], true),
        (b"orders_20261123_\xff\n.tsv", true),
        (b"orders_20261122.csv", false),
        (b"xorders_20261123.csv", false),
        (b"orders_20261123.csv.part", false),
        (b"orders_20261123/../x.csv", false),
        (b"Orders_20261123.csv", false),
    ] {
        assert_eq!(matcher.look(name).is_some(), matches, "{}", String::from_utf8_lossy(name));
    }
}

#[test]
fn one_of_several_globs_is_enough() {
    let matcher = globs(&[&[text("*.csv")], &[text("*.txt")]]);
    assert_eq!(["a.csv", "a.txt", "a.xml"].map(|name| matcher.look(name.as_bytes()).is_some()), [true, true, false]);
}

#[test]
fn a_number_is_read_from_a_glob_with_its_least_width() {
    let matcher = globs(&[&[text("ACK_"), TemplatePart::Sequence(5), text("_*.csv")]]);
    let number = |name: &str| matcher.look(name.as_bytes());
    assert_eq!(number("ACK_00041_x.csv"), Some(Some(41)));
    assert_eq!(number("ACK_123456_x.csv"), Some(Some(123_456)));
    assert_eq!(number("ACK_41_x.csv"), None);
    assert_eq!(number("ACK_99999999999999999999_x.csv"), None, "no number that anybody counts to");
}

#[test]
fn a_regex_matches_whole_names_and_its_groups_have_a_meaning() {
    let matcher = regex(&[text(r"(?<date>\d{4}-?\d\d-?\d\d)_(?<sequence>\d+)\.csv")]);
    let look = |name: &str| matcher.look(name.as_bytes());
    assert_eq!(look("20261123_7.csv"), Some(Some(7)));
    assert_eq!(look("2026-11-23_0008.csv"), Some(Some(8)));
    assert_eq!(look("20261122_7.csv"), None, "another day");
    assert_eq!(look("x20261123_7.csv"), None);
    assert_eq!(look("20261123_7.csv.done"), None);
    let dated = regex(&[text(r"o{1,2}_"), dated(), text(r"\.(csv|txt)")]);
    assert!(dated.look(b"oo_20261123.txt").is_some(), "braces of a regular expression stay what they are");
}

#[test]
fn f14_a_name_that_leads_elsewhere_is_refused_and_never_asked_for() {
    let matcher = globs(&[&[text("*.csv")]]);
    let listed =
        ["..", ".", "", "../x.csv", "a/../../x.csv", "/etc/x.csv", "nul\0.csv", "../passwd", "a.csv", "..\\x.csv"];
    let choice = choose(&matcher, None, listed.iter().map(file).collect());
    assert_eq!(names(&choice.candidates), ["..\\x.csv", "a.csv"], "a backslash is a letter like any other here");
    let refused: Vec<_> = choice.refused.iter().map(|refused| refused.fault.message.as_str()).collect();
    assert_eq!(refused.len(), 4);
    assert_eq!(refused[0], "the server lists the name `../x.csv`, which leads elsewhere: it is never asked for");
    assert!(choice.refused.iter().all(|refused| refused.fault.code == RejectCode::BadName));
}

#[test]
fn f17_the_second_of_two_equal_names_and_of_case_twins_is_a_conflict() {
    let matcher = globs(&[&[text("*.[cC][sS][vV]")]]);
    let listed = ["a.csv", "b.csv", "a.csv", "B.CSV", "ÄÖ.csv", "äö.csv"];
    let choice = choose(&matcher, None, listed.iter().map(file).collect());
    assert_eq!(names(&choice.candidates), ["B.CSV", "a.csv", "ÄÖ.csv"]);
    let messages: Vec<_> = choice.refused.iter().map(|refused| refused.fault.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "the server lists `a.csv` twice; it is taken once",
            "`B.CSV` and `b.csv` differ only in large and small letters; the first is taken",
            "`ÄÖ.csv` and `äö.csv` differ only in large and small letters; the first is taken",
        ]
    );
}

#[test]
fn the_file_that_lies_beside_is_never_taken_itself() {
    let matcher = globs(&[&[text("*")]]);
    let done = DateTemplate(vec![TemplatePart::File, text(".done")]);
    let listed = ["a.csv", "a.csv.done", "b.csv"].iter().map(file).collect();
    assert_eq!(names(&choose(&matcher, Some(&done), listed).candidates), ["a.csv", "b.csv"]);
}

#[test]
fn files_are_taken_in_the_order_of_the_job() {
    let mut files: Vec<Candidate> = [("b", 3, 10), ("a", 5, 2), ("c", 3, 9)]
        .map(|(name, mtime, number)| Candidate {
            file: RemoteFile { mtime: Some(mtime), ..file(name) },
            number: Some(number),
        })
        .to_vec();
    for (order, expected) in [
        (FileOrder::Name, ["a", "b", "c"]),
        (FileOrder::Oldest, ["b", "c", "a"]),
        (FileOrder::Newest, ["a", "b", "c"]),
        (FileOrder::Sequence, ["a", "c", "b"]),
    ] {
        sort(&mut files, order);
        assert_eq!(names(&files), expected, "{order:?}");
    }
}

#[test]
fn f35_a_gap_is_named_and_what_stands_behind_it_waits() {
    let rule = |on_gap, first| SequenceRule { on_gap, first, daily: false };
    let found = |numbers: &[u64], rule, last| {
        let mut files = candidates(numbers);
        let gaps: Vec<_> = gaps(&mut files, rule, last).iter().map(Gap::words).collect();
        (names(&files).join(" "), gaps.join("; "))
    };
    let text = |files: &str, gaps: &str| (files.to_owned(), gaps.to_owned());
    let wait = rule(OnGap::Wait, None);
    assert_eq!(found(&[41, 43, 44], wait, None), text("41", "number 42 is missing before `43`"));
    assert_eq!(found(&[44, 43], wait, Some(40)), text("", "numbers 41 to 42 are missing before `43`"));
    assert_eq!(found(&[41, 42, 43], wait, Some(40)), text("41 42 43", ""));
    assert_eq!(found(&[39, 41], wait, Some(40)), text("39 41", ""), "what comes late fills no gap and makes none");
    assert_eq!(found(&[2], rule(OnGap::Fail, Some(1)), None), text("", "number 1 is missing before `2`"));
    let warned = found(&[1, 3, 7], rule(OnGap::Warn, None), None);
    assert_eq!(warned, text("1 3 7", "number 2 is missing before `3`; numbers 4 to 6 are missing before `7`"));
}

#[test]
fn the_nearest_names_share_the_longest_beginning() {
    let others = ["readme.txt", "orders_20261122.csv", "orders_x", "order", "z"].map(file);
    let names: Vec<_> = nearest(&["orders_20261123*.csv".to_owned()], &others);
    let names: Vec<_> = names.iter().map(|name| std::str::from_utf8(name).unwrap()).collect();
    assert_eq!(names, ["orders_20261122.csv", "orders_x", "order"]);
}
