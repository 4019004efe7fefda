//! Every diagnostic once, as people see it: `tests/catalogue.txt` is the picture book. `NF_ACCEPT=1` draws it anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends with the first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use nightferry::config::catalogue::ENTRIES;

const JOB: &str = "[job]\nname = \"j\"\nmapping = \"m\"\n\n[source]\nconnection = \"inbox\"\nfiles = \"*.csv\"\nready_when = \"at_once\"\n\n[target]\nconnection = \"erp\"\npath = \"/in\"\nidempotency = { header = \"Idempotency-Key\" }\n";
const CONNECTIONS: &str =
    "[inbox]\nkind = \"folder\"\npath = \"inbox\"\n\n[erp]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:8080\"\n";
const MAPPING: &str = "[fields]\n\"id\" = { from = \"Id\" }\n";
const FIXED: &str = "[input]\nformat = \"fixed\"\nline_length = 20\n\n[fields]\n\"id\" = { from = \"Id\" }\n\n";

/// What a case replaces: a whole mapping, or a text in the job or the connections.
enum Change {
    Mapping(String),
    Job(&'static str, &'static str),
    Connections(&'static str, &'static str),
    Lookup(&'static str, &'static str),
    Calendar(&'static str, &'static str),
}

fn fields(recipes: &str) -> Change {
    Change::Mapping(format!("[fields]\n{recipes}\n"))
}

fn around(before: &str) -> Change {
    Change::Mapping(format!("{before}\n\n{MAPPING}"))
}

fn fixed(layouts: &str) -> Change {
    Change::Mapping(format!("{FIXED}{layouts}\n"))
}

fn cases() -> Vec<(&'static str, Change)> {
    use Change::{Calendar, Connections, Job, Lookup, Mapping};
    let lookup = |mapping: &str| format!("{mapping}\n\n[fields]\n\"x\" = {{ from = \"A\", lookup = \"l\" }}\n");
    vec![
        ("NF100", Mapping("[fields]\n\"id\" = { from = \"Id }\n".to_owned())),
        ("NF101", fields("\"id\" = { from = \"Id\", requierd = true }")),
        ("NF102", fields("\"id\" = { from = \"Id\", required = \"yes\" }")),
        ("NF103", fields("\"day\" = { from = \"Day\", type = \"date\" }")),
        ("NF104", fields("\"n\" = { from = \"N\", type = \"nmber\" }")),
        ("NF105", fields("\"n\" = { template = \"{First} {Last\" }")),
        ("NF106", Mapping(lookup("[lookups.l]\nvalues = { A = \"b\" }\nsame_file = \"Id\""))),
        ("NF107", fields("\"lines[]\" = { from = \"Id\" }")),
        ("NF108", fields("\"id\" = { from = \"Id\", value = \"x\" }")),
        ("NF109", fields("\"id\" = { from = \"Id\", decimals = 2 }")),
        ("NF110", fields("\"n\" = { from = \"N\", type = \"integer\", default = \"none\" }")),
        ("NF111", fields("\"n\" = { from = \"N\", type = \"integer\", minimum = 9, maximum = 1 }")),
        ("NF112", fields("customer.email = { from = \"Email\" }")),
        ("NF113", fields("\"a\" = { from = \"A\" }\n\"a.b\" = { from = \"B\" }")),
        ("NF114", Job("mapping = \"m\"", "mapping = \"m\"")),
        ("NF115", around("[input]\nencoding = \"utf8mb4\"")),
        ("NF116", around("[input]\nformat = \"json\"\neach = \"$..orders\"")),
        (
            "NF117",
            Mapping(format!(
                "{MAPPING}\n[sample]\nId = \"1\"\n\n[[tests]]\nname = \"t\"\nrows = [ {{}} ]\nexpect_json = '[{{ id: 1 }}]'\n"
            )),
        ),
        ("NF120", around("[mapping]\nname = \"other\"")),
        ("NF121", Job("name = \"j\"", "name = \"My Job\"")),
        ("NF122", Job("files = \"*.csv\"", "files = \"in/*.csv\"")),
        ("NF123", Job("path = \"/in\"", "path = \"in\"")),
        ("NF124", Job("idempotency = { header = \"Idempotency-Key\" }", "on_unanswered = \"resend\"")),
        ("NF125", Job("path = \"/in\"", "path = \"/in\"\nresponse = { match = { ours = \"id\", theirs = \"$.id\" } }")),
        ("NF126", Job("path = \"/in\"", "path = \"/in\"\nresponse = { each = \"$.results[\" }")),
        ("NF127", Job("mapping = \"m\"", "mapping = \"n\"")),
        ("NF128", Job("connection = \"erp\"", "connection = \"inbox\"")),
        ("NF129", fields("\"run\" = { auto = \"run\" }")),
        ("NF130", fields("\"day\" = { from = \"Day\", type = \"date\", format = \"CHOOSE: %d/%m/%Y or %m/%d/%Y\" }")),
        ("NF131", fields("\"mail\" = { from = \"Mail\", pii = \"e-mail\" }")),
        ("NF132", fields("\"lines[].sku\" = { from = \"SKU\" }")),
        ("NF133", Mapping(format!("{MAPPING}\n[[checks]]\nid = \"total\"\nsum = \"amount\"\nequals = \"id\"\n"))),
        (
            "NF140",
            Mapping("[record]\ngroup_by = \"Id\"\n\n[fields]\n\"id\" = { from = \"Id\" }\n\"lines[].sku\" = { from = \"Sku\" }\n\n[output]\nformat = \"csv\"\n".to_owned()),
        ),
        ("NF141", Mapping("[fields]\n\"order no\" = { from = \"Id\" }\n\n[output]\nformat = \"xml\"\n".to_owned())),
        (
            "NF142",
            Mapping("[fields]\n\"id\" = { from = \"Id\" }\n\"amount\" = { from = \"Amount\" }\n\n[output]\nformat = \"fixed\"\ncolumns = [{ name = \"id\", pos = \"1-8\" }]\n".to_owned()),
        ),
        ("NF143", Job("path = \"/in\"", "path = \"/in\"\nbody = { soap = \"1.1\", action = \"urn:in\" }")),
        ("NF144", Job("path = \"/in\"", "path = \"/in/{id}\"")),
        (
            "NF145",
            Job("path = \"/in\"", "path = \"/in\"\n\n[[measures]]\ntitle = \"Orders\"\nsum = \"id\"\n\n[target.x]"),
        ),
        ("NF150", Job("files = \"*.csv\"", "files = \"*.csv\"\nsequence = { on_gap = \"wait\" }")),
        (
            "NF190",
            Job(
                "[target]",
                "[schedule]\ncron = \"15 2 * * *\"\ntimezone = \"UTC\"\nor_records = 500\n\n[target]",
            ),
        ),
        ("NF191", Job("{ header = \"Idempotency-Key\" }", "{ header = \"Idempotency-Key\", from = [\"id\"] }")),
        (
            "NF204",
            Mapping("[fields]\n\"day\" = { from = \"OrderDat\" }\n\n[sample]\nOrderDate = \"23.11.2026\"\n".to_owned()),
        ),
        ("NF210", Mapping(lookup("[lookups.l]\nignore_case = true\nvalues = { a = \"1\", A = \"2\" }"))),
        ("NF211", Mapping(lookup("[lookups.l]\nfile = \"lookups/none.csv\"\nkey = \"k\"\nvalue = \"v\""))),
        ("NF212", Lookup("k,v\nA,1\n", "[lookups.l]\nfile = \"lookups/l.csv\"\nkey = \"key\"\nvalue = \"v\"")),
        ("NF213", fields("\"x\" = { from = \"A\", lookup = \"cuntry\" }")),
        ("NF214", Mapping(format!("[lookups.l]\nvalues = {{ A = \"b\" }}\n\n{MAPPING}"))),
        ("NF215", fields("\"n\" = { from = \"N\", type = \"integer\", format = \"%d\" }")),
        (
            "NF216",
            fields("\"p\" = { cases = [ { when = { S = \"X\" }, value = 1 }, { when = { S = \"X\" }, value = 2 } ] }"),
        ),
        ("NF230", fields("\"id\" = { from = \"Id\", pattern = '^[A-Z' }")),
        ("NF231", fields("\"day\" = { from = \"Day\", type = \"date\", format = \"dd.MM.yyyy\" }")),
        ("NF301", around("[layouts.row]\nstarts_with = \"R\"\nis_record = true\ncolumns = []")),
        (
            "NF302",
            fixed("[layouts.row]\nstarts_with = \"R\"\nis_record = true\ncolumns = [{ name = \"Id\", pos = \"2\" }]"),
        ),
        (
            "NF303",
            fixed(
                "[layouts.row]\nstarts_with = \"R\"\nis_record = true\ncolumns = [{ name = \"Id\", pos = \"2-40\" }]",
            ),
        ),
        (
            "NF304",
            fixed(
                "[layouts.row]\nstarts_with = \"R\"\nis_record = true\ncolumns = [{ name = \"Id\", pos = \"2-9\" }]\n\n[layouts.rest]\nstarts_with = \"RX\"\ncolumns = []",
            ),
        ),
        (
            "NF305",
            fixed(
                "[layouts.row]\nstarts_with = \"R\"\nis_record = true\ncolumns = [\n  { name = \"Id\", pos = \"2-9\" },\n  { name = \"Day\", pos = \"9-16\" },\n]",
            ),
        ),
        ("NF306", fixed("[layouts.row]\nstarts_with = \"R\"\ncolumns = [{ name = \"Id\", pos = \"2-9\" }]")),
        ("NF401", Job("[target]", "[schedule]\ncron = \"0 15 2 * * ?\"\ntimezone = \"UTC\"\n\n[target]")),
        ("NF402", Job("[target]", "[schedule]\ncron = \"15 2 * * *\"\ntimezone = \"Europe/Kopenhagen\"\n\n[target]")),
        ("NF403", Job("[target]", "[schedule]\ncron = \"15 2 * * *\"\n\n[target]")),
        (
            "NF404",
            Job("[target]", "[schedule]\ncron = \"15 3 * * *\"\ntimezone = \"UTC\"\non_holiday = \"skip\"\n\n[target]"),
        ),
        (
            "NF405",
            Job("[target]", "[schedule]\ncron = \"15 3 * * *\"\ntimezone = \"UTC\"\nafter_job = \"j\"\n\n[target]"),
        ),
        ("NF406", Calendar("dk.toml", "[holidays]\n\"25.12.2026\" = \"Christmas Day\"\n")),
        (
            "NF407",
            Calendar(
                "dk.ics",
                "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:7@example.com\nDTSTART:20261225T090000Z\nSUMMARY:Party\nEND:VEVENT\nEND:VCALENDAR\n",
            ),
        ),
        (
            "NF501",
            Connections(
                "[erp]",
                "[bank]\nkind = \"sftp\"\nhost = \"sftp.example.com\"\nuser = \"u\"\nkey = { secret = \"nf-catalogue\" }\n\n[erp]",
            ),
        ),
        (
            "NF502",
            Connections("base_url", "auth = { kind = \"bearer\", token = { secret = \"nf-catalogue\" } }\nbase_url"),
        ),
        ("NF503", Connections("[erp]", "[bank]\nkind = \"sftp\"\nhost = \"sftp.example.com\"\nuser = \"u\"\n\n[erp]")),
        (
            "NF504",
            Connections(
                "[erp]",
                "[bank]\nkind = \"sftp\"\nhost = \"h\"\nuser = \"u\"\nkey = { secret = \"nf-catalogue\" }\nhost_key = \"ssh-ed25519 AAAA\"\n\n[erp]",
            ),
        ),
        ("NF505", Connections("http://127.0.0.1:8080", "127.0.0.1:8080")),
        ("NF506", Connections("base_url", "headers = { \"X-Source\" = \"a\\nb\" }\nbase_url")),
        ("NF507", Connections("base_url", "auth = { kind = \"bearer\", token = \"abc\" }\nbase_url")),
        ("NF508", Connections("base_url", "auth = { kind = \"bearer\", token = { secret = \"a b\" } }\nbase_url")),
        (
            "NF509",
            Connections(
                "[erp]",
                "[bank]\nkind = \"sftp\"\nhost = \"h\"\nuser = \"u\"\nagent = true\nhost_key = \"SHA256:x\"\nlegacy_algorithms = true\n\n[erp]",
            ),
        ),
        ("NF520", Connections("base_url", "proxy = \"http://me:pass@proxy.example.com:3128\"\nbase_url")),
        ("NF521", Connections("base_url", "client_certificate = \"certs/us.pem\"\nbase_url")),
        ("NF522", Connections("base_url", "follow_redirects = true\nbase_url")),
        (
            "NF523",
            Connections("base_url", "auth = { kind = \"api_key\", value = { secret = \"nf-catalogue\" } }\nbase_url"),
        ),
    ]
}

/// The part of `check`'s output that is about the code.
fn picture(code: &str, change: &Change) -> String {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("nightferry.toml", "[organisation]\nname = \"Test\"\n");
    write("connections.toml", CONNECTIONS);
    write("jobs/j.toml", JOB);
    write("mappings/m.toml", MAPPING);
    match change {
        Change::Mapping(text) => write("mappings/m.toml", text),
        Change::Job(from, to) => write("jobs/j.toml", &JOB.replacen(from, to, 1)),
        Change::Connections(from, to) => write("connections.toml", &CONNECTIONS.replacen(from, to, 1)),
        Change::Calendar(..) => {}
        Change::Lookup(file, lookups) => {
            write("lookups/l.csv", file);
            write("mappings/m.toml", &format!("{lookups}\n\n[fields]\n\"x\" = {{ from = \"A\", lookup = \"l\" }}\n"));
        }
    }
    if let Change::Calendar(name, text) = change {
        write(&format!("calendars/{name}"), text);
        let schedule = "[schedule]\ncron = \"15 3 * * *\"\ntimezone = \"UTC\"\ncalendar = \"dk\"\n\n[target]";
        write("jobs/j.toml", &JOB.replacen("[target]", schedule, 1));
    }
    if code == "NF114" {
        fs::remove_file(folder.path().join("connections.toml")).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_nightferry"))
        .arg("check")
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let blocks = text.split("\n\n").filter(|block| block.contains(&format!("[{code}]")));
    blocks.map(|block| block.trim_matches('\n').to_owned() + "\n").collect::<Vec<_>>().join("\n")
}

#[test]
fn every_code_has_its_picture() {
    let mut book = String::new();
    let mut drawn = BTreeSet::new();
    for (code, change) in cases() {
        let picture = picture(code, &change);
        assert!(!picture.is_empty(), "{code} is not told");
        book.push_str(&picture);
        book.push_str("\n\n");
        drawn.insert(code);
    }
    for entry in ENTRIES.iter().filter(|entry| entry.code.starts_with("NF")) {
        assert!(drawn.contains(entry.code), "{} has no picture", entry.code);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalogue.txt");
    if std::env::var_os("NF_ACCEPT").is_some() {
        fs::write(&path, &book).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    for (kept, now) in kept.split("\n\n\n").zip(book.split("\n\n\n")) {
        assert_eq!(kept, now);
    }
    assert_eq!(kept.len(), book.len());
}
