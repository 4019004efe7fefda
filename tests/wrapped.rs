//! Wrapped files: what is in them is carried, what is wrong with them fails the file with a reason, and nothing is sent.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::fs;
use std::io::{Cursor, Write};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Source, Stage, ids, records, rows};

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(content: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// By the tool that everybody has.
fn xz(content: &[u8]) -> Vec<u8> {
    use std::process::{Command, Stdio};
    let mut child = Command::new("xz").args(["-z", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, content) = (child.stdin.take().unwrap(), content.to_vec());
    let writer = std::thread::spawn(move || input.write_all(&content).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A job that takes `orders_20261123*.csv.X`, wrapped in this way.
fn stage(format: &str) -> Stage {
    let stage = Stage::new(Source::Folder);
    stage.source("files = \"orders_{business_date:%Y%m%d}*\"");
    stage.edit("project/jobs/orders.toml", "[target]", &format!("[format]\n{format}\n\n[target]"));
    stage
}

fn reason(document: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let message = text(&document["error"]["message"]).replace("orders: orders_20261123.csv: ", "");
    (text(&document["files"][0]["reason"]), message)
}

/// Runs over one damaged file: `bad-archive`, the message, and nothing was sent.
#[track_caller]
fn damaged(format: &str, wrapped: &[u8], message: &str) {
    let stage = stage(format);
    stage.deliver("orders_20261123.csv", wrapped);
    let document = stage.run_json().exits(1).json();
    assert_eq!(reason(&document), ("bad-archive".to_owned(), message.to_owned()));
    assert_eq!((rows(&document), records(&document)), ([0; 4], [0; 5]));
    assert!(stage.target.log().is_empty(), "nothing was sent");
    for run in fs::read_dir(stage.path("data/files")).unwrap() {
        assert_eq!(support::names(&run.unwrap().path()), ["0.landed"], "the half that came out is gone");
    }
}

#[test]
fn every_wrapping_is_taken_off_and_the_laws_are_about_what_was_in_it() {
    let content = Stage::rows(1, 25);
    let parts = [Stage::rows(1, 10), Stage::rows(11, 15)["id,qty,day\n".len()..].to_owned()];
    let members = [gzip(parts[0].as_bytes()), gzip(parts[1].as_bytes())].concat();
    for (format, wrapped) in [
        ("compression = \"gzip\"", gzip(content.as_bytes())),
        ("compression = \"gzip\"", members),
        ("compression = \"bzip2\"", bzip2(content.as_bytes())),
        ("compression = \"zstd\"", zstd(content.as_bytes())),
        ("compression = \"xz\"", xz(content.as_bytes())),
        ("compression = \"zip\"", zip(&[("orders.csv", content.as_bytes())])),
    ] {
        let stage = stage(format);
        stage.deliver("orders_20261123.csv", &wrapped);
        let document = stage.run_json().exits(0).json();
        let file = &document["files"][0];
        let hash: String = Sha256::digest(&wrapped).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((&file["sha256"], &file["size"]), (&json!(hash), &json!(wrapped.len())), "as it came");
        assert_eq!(file["unwrapped_size"], content.len());
        let bytes = json!({"preamble": 0, "header": 11, "rows": content.len() - 11, "blank": 0, "trailer": 0});
        assert_eq!(file["bytes"], bytes, "law 3 is about what was in it");
        assert_eq!(stage.delivered_ids(), ids(1, 25), "{format}");
        let again = stage.run_json().exits(0).json();
        assert_eq!(again["files"][0]["state"], "passed_over");
        let preview = stage.nightferry(&["preview", "orders", "--file", "last", "--row", "2", "--plain"]).exits(0);
        assert!(preview.stdout.contains("A-000001"), "{}", preview.stdout);
    }
}

#[test]
fn a_refused_record_of_a_wrapped_file_keeps_its_raw_row() {
    use support::target::{Answer, Target};
    let target = Target::scripted(|_, _| Answer::json(422, "{\"error\": \"no\"}"));
    let stage = Stage::with_target(Source::Folder, target);
    stage.source("files = \"orders_*\"");
    stage.edit("project/jobs/orders.toml", "[target]", "[format]\ncompression = \"gzip\"\n\n[target]");
    stage.deliver("orders_20261123.csv", gzip(Stage::rows(1, 1).as_bytes()));
    stage.run().exits(6);
    let rejects = stage.nightferry(&["rejects", "orders", "--json"]).exits(0).json();
    assert_eq!(rejects[0]["raw"], "A-000001,2,23.11.2026");
}

#[test]
fn g25_a_gzip_file_that_is_cut_or_wrong_or_followed_by_something_fails_whole() {
    let good = gzip(Stage::rows(1, 2_000).as_bytes());
    let gz = "compression = \"gzip\"";
    let truncated = &good[..good.len() / 2];
    let stage = stage(gz);
    stage.deliver("orders_20261123.csv", truncated);
    let document = stage.run_json().exits(1).json();
    let (code, message) = reason(&document);
    assert_eq!(code, "bad-archive");
    assert!(message.starts_with("the gzip file is damaged, ") && message.ends_with(": it ends too early"), "{message}");
    assert!(stage.target.log().is_empty());
    // The whole file goes through afterwards.
    stage.deliver("orders_20261123.csv", &good);
    stage.run().exits(0);
    assert_eq!(stage.delivered_ids(), ids(1, 2_000));

    let mut wrong = good.clone();
    let crc = wrong.len() - 8;
    wrong[crc] ^= 1;
    let size = Stage::rows(1, 2_000).len();
    let damage = format!("the gzip file is damaged, {size} bytes into what is in it: ");
    damaged(gz, &wrong, &format!("{damage}corrupt gzip stream does not have a matching checksum"));
    damaged(gz, &[&good[..], b"garbage behind the end"].concat(), &format!("{damage}invalid gzip header"));
    damaged(gz, &[&good[..], &good[..20]].concat(), &format!("{damage}it ends too early"));
    damaged(gz, b"id,qty,day\n", "this is no gzip file: it does not begin like one");
    damaged(gz, &zstd(b"id\n"), "this is no gzip file: it begins like a zstd file");
}

#[test]
fn damage_in_any_other_wrapping_fails_the_file_too() {
    let content = Stage::rows(1, 500);
    for (kind, wrapped) in
        [("bzip2", bzip2(content.as_bytes())), ("zstd", zstd(content.as_bytes())), ("xz", xz(content.as_bytes()))]
    {
        let format = format!("compression = \"{kind}\"");
        let mut flipped = wrapped.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        let garbage = [&wrapped[..], b"garbage!"].concat();
        for (what, bad) in [("cut", &wrapped[..wrapped.len() - 3]), ("flipped", &flipped[..]), ("garbage", &garbage)] {
            let stage = stage(&format);
            stage.deliver("orders_20261123.csv", bad);
            let document = stage.run_json().exits(1).json();
            let (code, message) = reason(&document);
            let begin = format!("the {kind} file is damaged, ");
            assert!(code == "bad-archive" && message.starts_with(&begin), "{kind} {what}: {code} {message}");
            assert!(stage.target.log().is_empty());
        }
    }
}

#[test]
fn g24_an_archive_is_never_extracted_by_name_and_must_hold_one_file() {
    let content = Stage::rows(1, 3);
    let one = |name| zip(&[(name, content.as_bytes())]);
    let format = "compression = \"zip\"";
    damaged(format, &one("../orders.csv"), "the name `../orders.csv` in the zip file leads elsewhere");
    damaged(format, &one("/etc/cron.d/x"), "the name `/etc/cron.d/x` in the zip file leads elsewhere");
    damaged(format, &zip(&[]), "there is no file in the zip file");
    damaged(
        format,
        &zip(&[("a.csv", b"1"), ("b.csv", b"2")]),
        "2 files in the zip file could be meant, and one is taken: name it with `archive_member`; it holds `a.csv`, `b.csv`",
    );
    let inner = gzip(content.as_bytes());
    damaged(format, &zip(&[("a.gz", &inner)]), "in the zip file lies a gzip file; one wrapping is taken off, not two");
    let nested = zip(&[("a.zip", &one("a.csv"))]);
    damaged(format, &nested, "in the zip file lies a zip file; one wrapping is taken off, not two");

    // Two entries of the same name: the bytes of a second name made the first.
    let mut twins = zip(&[("a1.csv", content.as_bytes()), ("a2.csv", content.as_bytes())]);
    for at in 0..twins.len() - 6 {
        if &twins[at..at + 6] == b"a2.csv" {
            twins[at + 1] = b'1';
        }
    }
    damaged(format, &twins, "the zip file has two entries of the same name, so it is not certain which one is meant");

    // The flag that says encrypted, in both headers.
    let mut locked = one("a.csv");
    let central = locked.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    locked[6] |= 1;
    locked[central + 8] |= 1;
    damaged(format, &locked, "`a.csv` in the zip file is encrypted");

    // A link: its mode stands in the upper half of the external attributes, and Unix made it.
    let mut link = one("a.csv");
    let central = link.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    link[central + 5] = 3;
    link[central + 38..central + 42].copy_from_slice(&(0o120_777_u32 << 16).to_le_bytes());
    damaged(format, &link, "`a.csv` in the zip file is a link, not a file");
}

#[test]
fn the_file_in_an_archive_may_be_named() {
    let content = Stage::rows(1, 3);
    let stage = stage("compression = \"zip\"\narchive_member = \"orders_{business_date:%Y}*.csv\"");
    let entries = [("readme.txt", &b"hello"[..]), ("orders_2026_01.csv", content.as_bytes()), ("orders_2025.csv", b"")];
    stage.deliver("orders_20261123.csv", zip(&entries));
    stage.run().exits(0);
    assert_eq!(stage.delivered_ids(), ids(1, 3));
    stage.deliver("orders_20261123_2.csv", zip(&[("other.csv", b"1")]));
    let document = stage.run_json().exits(1).json();
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("nothing in the zip file matches `archive_member`; it holds `other.csv`"), "{message}");
}

#[test]
fn g24_t11_a_bomb_is_stopped_early_whatever_it_is_wrapped_in() {
    let zeros = vec![b'0'; 48 << 20];
    for (kind, wrapped) in [
        ("gzip", gzip(&zeros)),
        ("bzip2", bzip2(&zeros)),
        ("zstd", zstd(&zeros)),
        ("xz", xz(&zeros)),
        ("zip", zip(&[("a.csv", &zeros)])),
    ] {
        let size = wrapped.len();
        let message = format!(
            "more than 100 times its size comes out of the {kind} file of {size} bytes, which is `[format] max_ratio`"
        );
        damaged(&format!("compression = \"{kind}\""), &wrapped, &message);
    }
    let size = "compression = \"gzip\"\nmax_size = \"1KiB\"";
    let content = gzip(Stage::rows(1, 100).as_bytes());
    damaged(size, &content, "more than 1024 bytes come out of the gzip file, which is `[format] max_size`");
}

#[test]
fn f31_an_empty_file_means_what_the_job_says_also_within_a_wrapping() {
    for (rule, code, state, warnings) in
        [("warn", 0, "settled", 1), ("ok", 0, "settled", 0), ("fail", 1, "failed", 0), ("", 1, "failed", 0)]
    {
        for wrapped in [true, false] {
            let stage = if wrapped { stage("compression = \"gzip\"") } else { Stage::new(Source::Folder) };
            if !rule.is_empty() {
                let rule = format!("empty_file = \"{rule}\"\nready_when");
                stage.edit("project/jobs/orders.toml", "ready_when", &rule);
            }
            stage.deliver("orders_20261123.csv", if wrapped { gzip(b"") } else { Vec::new() });
            let document = stage.run_json().exits(code).json();
            let file = &document["files"][0];
            assert_eq!(file["state"], state, "{rule} {wrapped}");
            assert_eq!(file["warnings"].as_array().map(Vec::len), Some(warnings), "{rule} {wrapped}");
            assert_eq!(file["reason"].as_str(), (code == 1).then_some("empty-file"));
            assert!(stage.target.log().is_empty());
        }
    }
}

#[test]
fn a_dry_run_unwraps_too() {
    let stage = stage("compression = \"gzip\"");
    stage.deliver("orders_20261123.csv", gzip(Stage::rows(1, 5).as_bytes()));
    let document = stage.nightferry(&["run", "orders", "--date", "2026-11-23", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(records(&document), [5, 0, 0, 0, 5]);
    stage.deliver("orders_20261123.csv", "id,qty,day\n");
    let document = stage.nightferry(&["run", "orders", "--date", "2026-11-23", "--dry-run", "--json"]).exits(1).json();
    assert_eq!(document["files"][0]["reason"], "bad-archive");
}

#[test]
fn a_file_given_by_hand_needs_no_wrapping_and_rejects_go_back_by_that_way() {
    let stage = stage("compression = \"gzip\"");
    stage.edit("project/mappings/orders.toml", "[fields]", "[rejects]\nmax_percent = 50\n[fields]");
    stage.deliver("orders_20261123.csv", gzip((Stage::rows(1, 5) + "A-000006,0,23.11.2026\n").as_bytes()));
    stage.run().exits(5);
    stage.nightferry(&["rejects", "orders", "--export", "bad.csv"]).exits(0);
    let exported = fs::read_to_string(stage.path("bad.csv")).unwrap();
    assert!(exported.starts_with("id,qty,day") && exported.contains("A-000006,0,23.11.2026"), "{exported}");
    stage.write("repaired.csv", "id,qty,day\nA-000006,1,23.11.2026\n");
    stage.nightferry(&["run", "orders", "--date", "2026-11-23", "--file", "repaired.csv"]).exits(0);
    assert_eq!(stage.delivered_ids(), ids(1, 6));
}
