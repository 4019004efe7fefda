//! What every code means and what to do about it: the pages of `nightferry explain`.

/// One page.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// `NF101`, or a reject code.
    pub code: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// What it means, and why it is refused.
    pub means: &'static str,
    /// What to do.
    pub next: &'static str,
}

/// The numbers of reject codes: what data diagnostics are found by. Never reused, never changed.
const DATA: &[(&str, &str)] = &[
    ("NF601", "required"),
    ("NF602", "ragged-row"),
    ("NF603", "lookup-missing"),
    ("NF604", "bad-number"),
    ("NF605", "bad-integer"),
    ("NF606", "bad-date"),
    ("NF607", "bad-time"),
    ("NF608", "bad-datetime"),
    ("NF609", "bad-boolean"),
    ("NF610", "bad-email"),
    ("NF611", "bad-iban"),
    ("NF612", "bad-uuid"),
    ("NF613", "bad-url"),
    ("NF614", "bad-encoding"),
    ("NF615", "not-in-enum"),
    ("NF616", "pattern"),
    ("NF617", "below-minimum"),
    ("NF618", "above-maximum"),
    ("NF619", "too-short"),
    ("NF620", "too-long"),
    ("NF621", "too-many-decimals"),
    ("NF622", "before"),
    ("NF623", "after"),
    ("NF624", "duplicate-key"),
    ("NF625", "group-conflict"),
    ("NF626", "group-split"),
    ("NF627", "group"),
    ("NF628", "bad-quote"),
    ("NF629", "bad-character"),
    ("NF630", "cell-too-long"),
    ("NF631", "row-too-long"),
    ("NF640", "too-many-columns"),
    ("NF641", "missing-column"),
    ("NF642", "unknown-column"),
    ("NF643", "duplicate-column"),
    ("NF644", "unclosed-quote"),
    ("NF645", "empty-file"),
    ("NF646", "bad-layout"),
    ("NF647", "bad-json"),
    ("NF648", "bad-xml"),
    ("NF649", "bad-workbook"),
    ("NF650", "bad-archive"),
    ("NF651", "bad-signature"),
    ("NF652", "too-many-rejects"),
    ("NF653", "changed-while-reading"),
    ("NF654", "unreadable"),
    ("NF655", "size-mismatch"),
    ("NF656", "checksum"),
    ("NF657", "seen-before"),
    ("NF658", "cancelled"),
    ("NF659", "bad-name"),
    ("NF660", "name-conflict"),
    ("NF690", "check:ID"),
    ("NF691", "control:ID"),
];

/// The number of a reject: `NF603`. What the target refuses has one number, and so has what has none of its own.
pub fn data_code(code: &str, side: &str) -> &'static str {
    if side == "target" {
        return "NF699";
    }
    let general = code.split_once(':').map_or_else(|| code.to_owned(), |(kind, _)| format!("{kind}:ID"));
    DATA.iter().find(|(_, known)| *known == general).map_or("NF600", |(number, _)| number)
}

/// The page of a code, whatever its letters; `control:payment-count` is explained by `control:ID`.
pub fn find(code: &str) -> Option<&'static Entry> {
    let code = code.to_lowercase();
    let code =
        DATA.iter().find(|(number, _)| number.to_lowercase() == code).map_or(code, |(_, word)| (*word).to_owned());
    let general = code.split_once(':').map_or_else(|| code.clone(), |(kind, _)| format!("{kind}:id"));
    ENTRIES.iter().find(|entry| entry.code.to_lowercase() == general)
}

/// Every page: diagnostics first, then reject codes, then why a row is skipped.
pub const ENTRIES: &[Entry] = &[
    Entry {
        code: "NF100",
        title: "the file is not TOML",
        means: "A bracket, a quotation mark or an equals sign is missing or stands twice, so nothing behind it can be read.",
        next: "Look at the marked place and just before it; the usual cause is a missing quotation mark.",
    },
    Entry {
        code: "NF101",
        title: "unknown key",
        means: "Every key has a meaning; one that nobody knows would be ignored, and that is never silent here.",
        next: "Take the suggested word, or look the words up with `nightferry explain mapping`, `job`, `connections`, `config` or `calendar`.",
    },
    Entry {
        code: "NF102",
        title: "another kind of value is needed",
        means: "A text stands where a number is needed, or the other way round.",
        next: "Put texts into quotation marks, and leave them off numbers, true and false.",
    },
    Entry {
        code: "NF103",
        title: "something is missing",
        means: "A table lacks a key without which it has no meaning.",
        next: "Add the key that the message names.",
    },
    Entry {
        code: "NF104",
        title: "not a value of this key",
        means: "The key takes only certain words or numbers.",
        next: "Take one of the values that the message lists.",
    },
    Entry {
        code: "NF105",
        title: "a template is not right",
        means: "Braces stand in pairs, and what is between them must be known here.",
        next: "Write `{Column}` in a recipe and `{business_date:%Y%m%d}` in a path.",
    },
    Entry {
        code: "NF106",
        title: "two keys exclude each other",
        means: "Both say the same thing in different ways, so it is not certain which one counts.",
        next: "Keep one of the two.",
    },
    Entry {
        code: "NF107",
        title: "not a target path",
        means: "A target is names with dots between, and `lines[]` for a list.",
        next: "Write `\"customer.email\"` or `\"lines[].sku\"`.",
    },
    Entry {
        code: "NF108",
        title: "a recipe has exactly one origin",
        means: "A value comes from one place; with none or two it is not certain from where.",
        next: "Keep exactly one of `from`, `first_of`, `template`, `value`, `cases`, `auto`.",
    },
    Entry {
        code: "NF109",
        title: "the key has no effect here",
        means: "It belongs to another type or format, so it would be ignored.",
        next: "Remove it, or change the type or format that it belongs to.",
    },
    Entry {
        code: "NF110",
        title: "the value does not fit the type",
        means: "A default, a limit or a constant is of another type than the field.",
        next: "Write it as the type needs it: numbers without quotation marks, dates as `\"2026-11-23\"`.",
    },
    Entry {
        code: "NF111",
        title: "two values contradict each other",
        means: "With both no row could ever be good, or one of them would never count.",
        next: "Change one of the two.",
    },
    Entry {
        code: "NF112",
        title: "a target path with dots needs quotation marks",
        means: "Without them TOML reads a table inside a table.",
        next: "Put quotation marks around the path; `nightferry check --fix` does it.",
    },
    Entry {
        code: "NF113",
        title: "two things have the same place",
        means: "One target lies inside the other, or a name stands twice.",
        next: "Give one of them another name.",
    },
    Entry {
        code: "NF114",
        title: "a file cannot be read",
        means: "It is missing, or the permissions do not allow it.",
        next: "Look at the path and the permissions in the message.",
    },
    Entry {
        code: "NF115",
        title: "not an encoding we know",
        means: "The name of an encoding is misspelt, or it is one with states that cannot be read strictly.",
        next: "The usual ones are `utf-8`, `windows-1252`, `iso-8859-1` and `utf-16`; ask the sender which one it is.",
    },
    Entry {
        code: "NF116",
        title: "a path that cannot be followed",
        means: "Records are found while the file is read, so only names and one `[*]` at the end can be followed.",
        next: "Write `$.data.orders[*]`.",
    },
    Entry {
        code: "NF117",
        title: "not JSON",
        means: "The text between the quotation marks must be JSON.",
        next: "Look for a missing comma, bracket or quotation mark.",
    },
    Entry {
        code: "NF120",
        title: "name and file disagree",
        means: "A job or mapping is called like its file, so that everybody finds it.",
        next: "Rename one of the two.",
    },
    Entry {
        code: "NF121",
        title: "not a name for a job",
        means: "Names stand in commands, paths and addresses.",
        next: "Use lower-case letters, digits, `-` and `_`.",
    },
    Entry {
        code: "NF122",
        title: "not a pattern of names",
        means: "`files` says which names to take; the folder has its own key.",
        next: "Put the folder into `folder`.",
    },
    Entry {
        code: "NF123",
        title: "not a path of an API",
        means: "It is appended to `base_url`.",
        next: "Begin it with `/` and write no blanks.",
    },
    Entry {
        code: "NF124",
        title: "sending again could take effect twice",
        means: "Without a key the target cannot tell a second try from a second order.",
        next: "Add `idempotency = { header = \"Idempotency-Key\" }`, or leave `on_unanswered` out.",
    },
    Entry {
        code: "NF125",
        title: "results, and how they are matched",
        means: "Results are matched to records one by one: `match` needs to know where they are, and a list of refusals whose they are.",
        next: "Add `each = \"$.results[*]\"` to `match`, or `match = { position = \"$.index\" }` to `refused`.",
    },
    Entry {
        code: "NF126",
        title: "not a JSONPath",
        means: "The path into the answer cannot be read.",
        next: "Write something like `$.results[*]` or `$.status`.",
    },
    Entry {
        code: "NF127",
        title: "there is no such thing",
        means: "A job names a mapping or connection that is not in the project.",
        next: "Look at the spelling, or add the file.",
    },
    Entry {
        code: "NF128",
        title: "another kind of connection is needed",
        means: "Files come from `sftp` or `folder`, and records go to `http`.",
        next: "Name a connection of the right kind.",
    },
    Entry {
        code: "NF129",
        title: "a key that would change with every run",
        means: "The id of the run in the body makes the same key carry another body, and the target would refuse it.",
        next: "Leave the field out, or use `auto = \"file.name\"`.",
    },
    Entry {
        code: "NF130",
        title: "a choice is left to be made",
        means: "What the sample shows can be read in two ways, and it is not guessed.",
        next: "Ask the sender, and write the one that is right.",
    },
    Entry {
        code: "NF131",
        title: "not a kind of personal data",
        means: "`pii` says what it is, so that the right mask is put on.",
        next: "Take one of the words that the message lists.",
    },
    Entry {
        code: "NF132",
        title: "a list without groups",
        means: "`lines[]` has one entry for each row of a record, and without `group_by` each row is a record.",
        next: "Add `[record]` with `group_by`.",
    },
    Entry {
        code: "NF133",
        title: "something is named that is not there",
        means: "A rule names a field, a column or a layout that this mapping does not have.",
        next: "Look at the spelling; rules name fields by their target.",
    },
    Entry {
        code: "NF140",
        title: "a list has no place in a table",
        means: "`lines[]` makes many values for one field of a record, and a line of a csv, fixed or xlsx file has one value for each column.",
        next: "Choose `format = \"xml\"`, `\"json\"` or `\"form\"`, which have lists, or make a record of each row: leave `group_by` out and take `lines[].` off the targets.",
    },
    Entry {
        code: "NF141",
        title: "a name cannot be written in this format",
        means: "It is written into the file, and the format or the encoding does not have one of its characters.",
        next: "Give the field, the trailer or the sheet a name of the characters that the message lists, or choose another encoding.",
    },
    Entry {
        code: "NF142",
        title: "a field has no place in a line",
        means: "A line of fixed width is nothing but places; a field without one would not be sent.",
        next: "Add `{ name = \"FIELD\", pos = \"from-to\" }` to `[output] columns`, or remove the field.",
    },
    Entry {
        code: "NF143",
        title: "the body of a request does not fit",
        means: "`[target] body` asks for another form of the records than the mapping's `[output] format`, or for none at all.",
        next: "Change one of the two as the message says; the mapping's format is what stands inside of an upload or an envelope.",
    },
    Entry {
        code: "NF144",
        title: "one record a request is needed",
        means: "A form, and an address with a field of the record in it, can stand for one record only.",
        next: "Add `batch = { records = 1 }` to `[target]`.",
    },
    Entry {
        code: "NF145",
        title: "a measure that cannot be added up",
        means: "A measure counts records, or adds up a field that is a number, apart for each value of one other field.",
        next: "Write `count = true`, or `sum = \"FIELD\"` with a field of `type = \"number\"` or `\"integer\"`.",
    },
    Entry {
        code: "NF150",
        title: "the names have no such part",
        means: "A rule needs a number, or a named group, that the pattern of the names does not have.",
        next: "Write `{sequence}` into `files`, or the groups `(?<sequence>\\d+)` and `(?<date>\\d{8})` into `regex`.",
    },
    Entry {
        code: "NF190",
        title: "words that this version does not act on",
        means: "They are read and kept, and nothing that is sent depends on them.",
        next: "Nothing; a later version acts on them.",
    },
    Entry {
        code: "NF191",
        title: "a word that is not in this version yet",
        means: "Leaving it out of account would change what is sent or proven, so it is refused.",
        next: "Take it out until a version that acts on it.",
    },
    Entry {
        code: "NF204",
        title: "there is no such column",
        means: "A recipe names a column that the sample (or the layout) does not have.",
        next: "Look at the spelling, or add `optional_column = true`.",
    },
    Entry {
        code: "NF210",
        title: "a key stands twice in a lookup",
        means: "It would have two values.",
        next: "Remove one of the two.",
    },
    Entry {
        code: "NF211",
        title: "a lookup file cannot be used",
        means: "It is missing, not a CSV file, outside the project, or has two values for one key.",
        next: "Look at the file and line in the message.",
    },
    Entry {
        code: "NF212",
        title: "a lookup file lacks a column",
        means: "`key` and `value` name columns of the file.",
        next: "Take one of the columns that the message lists.",
    },
    Entry {
        code: "NF213",
        title: "there is no such lookup",
        means: "A recipe names a lookup that the mapping does not declare.",
        next: "Look at the spelling, or add `[lookups.NAME]`.",
    },
    Entry {
        code: "NF214",
        title: "a lookup that nobody uses",
        means: "Somebody meant to use it.",
        next: "Remove it, or add `lookup = …` to a field.",
    },
    Entry {
        code: "NF215",
        title: "`format` has no effect with this type",
        means: "It belongs to dates, times, and texts such as `email`.",
        next: "Remove it, or add the type.",
    },
    Entry {
        code: "NF216",
        title: "a case that is never reached",
        means: "An earlier case asks the same, and the first that holds decides.",
        next: "Remove it, or change what it asks.",
    },
    Entry {
        code: "NF230",
        title: "not a pattern",
        means: "The regular expression cannot be read, or is too large.",
        next: "Look at the brackets, and write a backslash before characters that have a meaning.",
    },
    Entry {
        code: "NF231",
        title: "not a date format",
        means: "Formats use `%d %m %Y %H %M %S`; letters without `%` match only themselves.",
        next: "`dd.MM.yyyy` is `%d.%m.%Y` here.",
    },
    Entry {
        code: "NF301",
        title: "layouts belong to another format",
        means: "They describe lines of fixed width, or header and trailer lines of a CSV.",
        next: "Change `format`, or remove the layouts.",
    },
    Entry {
        code: "NF302",
        title: "not a position",
        means: "A position is the first and the last character, both included and counted from 1.",
        next: "Write `pos = \"4-11\"`, or `field = 2` in a CSV.",
    },
    Entry {
        code: "NF303",
        title: "a position beyond the end of the line",
        means: "`line_length` says how long a line is.",
        next: "Correct one of the two.",
    },
    Entry {
        code: "NF304",
        title: "two layouts begin alike",
        means: "A line could be of either kind.",
        next: "Give each a beginning of its own, or use `matches`.",
    },
    Entry {
        code: "NF305",
        title: "two columns overlap",
        means: "A character would belong to both.",
        next: "Both ends count: 13 characters from 29 on are `29-41`. If one is part of the other, say `within`.",
    },
    Entry {
        code: "NF306",
        title: "no layout for the records",
        means: "One kind of line must be the rows.",
        next: "Add `is_record = true` to it, and only to it.",
    },
    Entry {
        code: "NF401",
        title: "not a schedule",
        means: "Cron here has five fields, as in Debian.",
        next: "The message says what to write instead.",
    },
    Entry {
        code: "NF402",
        title: "not a time zone",
        means: "Times of day need a zone that everybody knows.",
        next: "Take a name of the IANA list, such as `Europe/Copenhagen`.",
    },
    Entry {
        code: "NF403",
        title: "a schedule needs a time zone",
        means: "02:15 is another instant in every zone.",
        next: "Add `timezone` to the job, or to `nightferry.toml` for all jobs.",
    },
    Entry {
        code: "NF404",
        title: "no calendar",
        means: "What happens on holidays can only be said when it is known which days are.",
        next: "Name a calendar: `calendar = \"dk-banking-days\"` for `calendars/dk-banking-days.toml`.",
    },
    Entry {
        code: "NF405",
        title: "two ways to be due",
        means: "A job runs by the clock, or behind another job, so that each run belongs to one occurrence.",
        next: "Keep `cron`, or keep `after_job`.",
    },
    Entry {
        code: "NF406",
        title: "not a day",
        means: "Holidays are days, written as year, month, day.",
        next: "Write `2026-12-25 = \"Christmas Day\"`.",
    },
    Entry {
        code: "NF407",
        title: "a calendar that cannot be imported",
        means: "An iCalendar file gives holidays as events of whole days.",
        next: "Ask for the holiday calendar rather than one with appointments, or write a calendar in TOML.",
    },
    Entry {
        code: "NF501",
        title: "no host key is pinned",
        means: "Without one nobody knows whether it is the right server.",
        next: "`nightferry connection trust NAME` shows the key; compare it with what the partner told you.",
    },
    Entry {
        code: "NF502",
        title: "a secret was not found",
        means: "It is looked for in systemd's credentials, in variables, and in files named by variables.",
        next: "Provide it in one of the places that the message lists.",
    },
    Entry {
        code: "NF503",
        title: "no way to log in",
        means: "A server needs a key or a password.",
        next: "Add `key = { secret = \"…\" }` or `password = { secret = \"…\" }`.",
    },
    Entry {
        code: "NF504",
        title: "not a fingerprint",
        means: "A host key is pinned by its SHA-256 fingerprint.",
        next: "Write `SHA256:…`, as `ssh-keygen -l` shows it.",
    },
    Entry {
        code: "NF505",
        title: "not an address",
        means: "`base_url` is scheme, host and, if need be, a path.",
        next: "Write something like `https://erp.example.com/api`.",
    },
    Entry {
        code: "NF506",
        title: "not a header",
        means: "A header may not be empty or hold a line break.",
        next: "Correct the name or the value.",
    },
    Entry {
        code: "NF507",
        title: "a secret is written in the file",
        means: "Files are read by many, and kept for ever in Git.",
        next: "Write `{ secret = \"name\" }`, provide the secret, and change it: it was seen.",
    },
    Entry {
        code: "NF508",
        title: "not a name for a secret",
        means: "Names stand in variables and file names.",
        next: "Use letters, digits, `-`, `_` and `.`.",
    },
    Entry {
        code: "NF509",
        title: "old algorithms need the other engine",
        means: "The engine `ssh2` is built without SHA-1, so `legacy_algorithms` would change nothing.",
        next: "Write `engine = \"russh\"` beside it, and ask the partner to update the server.",
    },
    Entry {
        code: "NF520",
        title: "not an address of a token endpoint or a proxy",
        means: "It is scheme, host and, if need be, port and path; a password never stands in it.",
        next: "Write something like `https://login.example.com/token`, or `{ secret = \"…\" }` for a proxy with a password.",
    },
    Entry {
        code: "NF521",
        title: "a certificate without its key",
        means: "A client shows its certificate and proves that it has the key.",
        next: "Write both `client_certificate` and `client_key`.",
    },
    Entry {
        code: "NF522",
        title: "redirects are never followed",
        means: "Credentials and data stay with the host that was named.",
        next: "Put the final address into `base_url`.",
    },
    Entry {
        code: "NF523",
        title: "where does the API key stand",
        means: "It stands in a header or in a query parameter.",
        next: "Write exactly one of `header` and `query`.",
    },
    Entry {
        code: "required",
        title: "a value is missing",
        means: "The field needs a value, and the cell is empty (or became empty by `clean`).",
        next: "Ask the sender for the value, or give the field a `default`.",
    },
    Entry {
        code: "bad-number",
        title: "not a number",
        means: "The cell does not fit `decimal_mark` and `group_mark`.",
        next: "Compare the cell with the marks in `[input]`; group marks stand only before three digits.",
    },
    Entry {
        code: "bad-integer",
        title: "not a whole number",
        means: "The cell has decimals, or is no number.",
        next: "Use `type = \"number\"` if decimals are meant.",
    },
    Entry {
        code: "bad-date",
        title: "not a date",
        means: "The cell does not fit the format, or the day does not exist.",
        next: "Compare the cell with `format`; `%d` wants two digits and `%Y` four.",
    },
    Entry {
        code: "bad-time",
        title: "not a time of day",
        means: "The cell does not fit the format.",
        next: "Compare the cell with `format`.",
    },
    Entry {
        code: "bad-datetime",
        title: "not a date and time",
        means: "The cell does not fit the format.",
        next: "Compare the cell with `format`.",
    },
    Entry {
        code: "bad-boolean",
        title: "neither true nor false",
        means: "The cell is none of the words for true and false.",
        next: "Add the word to `true_values` or `false_values`.",
    },
    Entry {
        code: "bad-email",
        title: "not an e-mail address",
        means: "It has no name, no domain, or a character that addresses do not have.",
        next: "Ask the sender; `clean = [\"trim\"]` takes blanks off.",
    },
    Entry {
        code: "bad-iban",
        title: "not an IBAN",
        means: "The country, the length or the check digits are wrong.",
        next: "Ask the sender; a payment to a wrong account is worse than a rejected one.",
    },
    Entry {
        code: "bad-uuid",
        title: "not a UUID",
        means: "It is not 36 characters of hexadecimal digits and hyphens.",
        next: "Ask the sender.",
    },
    Entry {
        code: "bad-url",
        title: "not a URL",
        means: "It has no scheme or no host, or a blank.",
        next: "Ask the sender.",
    },
    Entry {
        code: "bad-encoding",
        title: "bytes that are no text",
        means: "The row holds bytes that the declared encoding does not have.",
        next: "Ask which encoding the sender uses, and write it into `[input]`.",
    },
    Entry {
        code: "lookup-missing",
        title: "not in the lookup",
        means: "The value is not in the code table (or, with `same_file`, in no row of the file).",
        next: "Add it to the lookup, or set `on_missing`.",
    },
    Entry {
        code: "not-in-enum",
        title: "not an allowed value",
        means: "The value is none of `enum`.",
        next: "Add it if it is right, or ask the sender.",
    },
    Entry {
        code: "pattern",
        title: "does not match the pattern",
        means: "The value does not look as it should.",
        next: "Compare the value with `pattern`.",
    },
    Entry {
        code: "below-minimum",
        title: "below the minimum",
        means: "The number is too small, or the day too early.",
        next: "Ask the sender, or change `minimum`.",
    },
    Entry {
        code: "above-maximum",
        title: "above the maximum",
        means: "The number is too great, or the day too late.",
        next: "Ask the sender, or change `maximum`.",
    },
    Entry {
        code: "too-short",
        title: "too few characters",
        means: "The value is shorter than `min_length`.",
        next: "Ask the sender.",
    },
    Entry {
        code: "too-long",
        title: "too many characters",
        means: "The value is longer than the target takes.",
        next: "Shorten it with `take`, or ask the target's owner.",
    },
    Entry {
        code: "too-many-decimals",
        title: "too many decimals",
        means: "The target takes fewer, and nothing is rounded.",
        next: "Ask the sender to round, or allow more `decimals`.",
    },
    Entry {
        code: "before",
        title: "earlier than another field",
        means: "Two dates of the record are in the wrong order.",
        next: "Ask the sender.",
    },
    Entry {
        code: "after",
        title: "later than another field",
        means: "Two dates of the record are in the wrong order.",
        next: "Ask the sender.",
    },
    Entry {
        code: "duplicate-key",
        title: "not unique",
        means: "An earlier record of the file has the same value; the first one stays.",
        next: "Ask the sender which of the two is right.",
    },
    Entry {
        code: "group-conflict",
        title: "the rows of a group disagree",
        means: "A value that belongs to the whole record is not the same in all of its rows.",
        next: "Ask the sender, or set `on_conflict`.",
    },
    Entry {
        code: "group-split",
        title: "the rows of a group do not stand together",
        means: "Part of the record came earlier; half a record is never sent.",
        next: "Ask the sender to sort the file by the key.",
    },
    Entry {
        code: "group",
        title: "rejected with its group",
        means: "Another row of the same record is to blame.",
        next: "Look at the other rejects of the same record.",
    },
    Entry {
        code: "ragged-row",
        title: "too few or too many cells",
        means: "The row is not as wide as the header; usually a delimiter stands in an unquoted cell.",
        next: "Ask the sender to put such cells into quotes.",
    },
    Entry {
        code: "bad-quote",
        title: "a quote in the wrong place",
        means: "A quote stands inside an unquoted cell, or text behind a closing one.",
        next: "Ask the sender to double quotes inside quoted cells.",
    },
    Entry {
        code: "bad-character",
        title: "a character that no text has",
        means: "A NUL byte, a lone carriage return, or a cell with an error.",
        next: "Ask the sender how the file was made.",
    },
    Entry {
        code: "cell-too-long",
        title: "a cell above 1 MiB",
        means: "Usually a quote that never closed.",
        next: "Look at the row in the file.",
    },
    Entry {
        code: "row-too-long",
        title: "a row above 16 MiB",
        means: "Usually a quote that never closed, or no line ends.",
        next: "Look at the row in the file.",
    },
    Entry {
        code: "too-many-columns",
        title: "more than 4,096 columns",
        means: "Usually the wrong delimiter.",
        next: "Compare `delimiter` with the file.",
    },
    Entry {
        code: "missing-column",
        title: "a mapped column is not in the file",
        means: "The sender has renamed or dropped a column; nothing of the file is sent.",
        next: "Compare the header with the mapping.",
    },
    Entry {
        code: "unknown-column",
        title: "a column that nobody maps",
        means: "The mapping says that this stops the file, because it may hold personal data.",
        next: "Map the column, or set `unknown_columns`.",
    },
    Entry {
        code: "duplicate-column",
        title: "two columns with one name",
        means: "A name does not say which column is meant.",
        next: "Ask the sender, or pick columns by position: `from = 3`.",
    },
    Entry {
        code: "unclosed-quote",
        title: "a quoted cell that never ends",
        means: "Everything behind it would be one cell.",
        next: "Look at the line that the message names.",
    },
    Entry {
        code: "empty-file",
        title: "there is nothing in the file",
        means: "It has no bytes, and that is not expected.",
        next: "Ask the sender; `empty_file` says what an empty file means.",
    },
    Entry {
        code: "bad-layout",
        title: "a line of no known kind",
        means: "A line begins like no layout, or a header or trailer is missing or out of place: the file may have been cut short.",
        next: "Compare the line with the partner's specification.",
    },
    Entry {
        code: "bad-json",
        title: "not JSON",
        means: "The document (or the line) cannot be read.",
        next: "Look at the place that the message names.",
    },
    Entry {
        code: "bad-xml",
        title: "not XML",
        means: "The document is not well-formed, or has a document type, which is refused.",
        next: "Look at the place that the message names.",
    },
    Entry {
        code: "bad-workbook",
        title: "not a workbook",
        means: "It is no XLSX file, is protected, or has no such sheet.",
        next: "Open it, and save it as XLSX without a password.",
    },
    Entry {
        code: "bad-archive",
        title: "not an archive",
        means: "It cannot be unpacked.",
        next: "Ask the sender for the file again.",
    },
    Entry {
        code: "bad-signature",
        title: "the signature does not fit",
        means: "It was not signed with the key that was agreed.",
        next: "Ask the sender; do not use the file.",
    },
    Entry {
        code: "too-many-rejects",
        title: "too many rejects",
        means: "More rows or records were rejected than `[rejects]` allows; nothing was sent.",
        next: "Look at the rejects: many of one kind mean a changed file.",
    },
    Entry {
        code: "control:ID",
        title: "a control total does not agree",
        means: "The file says one number about itself, and another was found.",
        next: "Ask the sender for the file again; it may not be whole.",
    },
    Entry {
        code: "check:ID",
        title: "a rule of the record does not hold",
        means: "What `[[checks]]` asks for is not true for this record.",
        next: "Look at the numbers in the message, and ask the sender.",
    },
    Entry {
        code: "changed-while-reading",
        title: "the file changed while it was read",
        means: "The sender was still writing.",
        next: "Ask for a done file or a temporary name; the next run tries again.",
    },
    Entry {
        code: "unreadable",
        title: "the server does not hand the file over",
        means: "It lists the file and refuses to open it.",
        next: "Ask the partner about the permissions.",
    },
    Entry {
        code: "size-mismatch",
        title: "fewer or more bytes than announced",
        means: "The copy is not what the server listed.",
        next: "The next run tries again; if it stays, ask the partner.",
    },
    Entry {
        code: "checksum",
        title: "the checksum is not the announced one",
        means: "The copy differs from the original.",
        next: "Ask for the file again.",
    },
    Entry {
        code: "bad-name",
        title: "the server lists a name that leads elsewhere",
        means: "A name with a `/` in it would reach a file that the job was not given; it is never asked for.",
        next: "Ask whoever runs the server; honest servers list plain names.",
    },
    Entry {
        code: "name-conflict",
        title: "two names of a listing are the same",
        means: "The name stands there twice, or twice but for large and small letters, and a server that does not tell them apart would hand over the same file twice. The first is taken.",
        next: "Ask the sender to rename the second; the next run takes it.",
    },
    Entry {
        code: "seen-before",
        title: "the same content was delivered before",
        means: "The job says that this is a fault.",
        next: "Ask the sender; `seen_before` says what it means.",
    },
    Entry {
        code: "cancelled",
        title: "a person cancelled it",
        means: "Nothing of the file is sent.",
        next: "Look at who did it and why.",
    },
    Entry {
        code: "rule",
        title: "skipped by a rule",
        means: "`skip_when` leaves the row out on purpose; it is counted.",
        next: "Nothing.",
    },
    Entry {
        code: "unchanged",
        title: "skipped because nothing changed",
        means: "The target has accepted this state of the record before.",
        next: "Nothing.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reject::RejectCode;

    #[test]
    fn every_reject_code_and_every_diagnostic_has_a_page() {
        for code in RejectCode::all() {
            assert!(find(&code.word()).is_some(), "{code}");
        }
        assert_eq!(find("Control:payment-count").map(|entry| entry.code), Some("control:ID"));
        let mut sources = Vec::new();
        for folder in ["src/config", "src/config/connections", "src/cli"] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
            sources.extend(
                files.filter(|path| path.extension().is_some_and(|end| end == "rs") && !path.ends_with("catalogue.rs")),
            );
        }
        let mut used = std::collections::BTreeSet::new();
        for path in sources {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            used.extend(text.match_indices("\"NF").filter_map(|(at, _)| text.get(at + 1..at + 6).map(str::to_owned)));
        }
        for code in &used {
            assert!(find(code).is_some(), "{code} has no page");
        }
        for entry in ENTRIES.iter().filter(|entry| entry.code.starts_with("NF")) {
            assert!(used.contains(entry.code), "{} is not used", entry.code);
        }
    }

    #[test]
    fn every_reject_code_has_a_number_and_the_number_has_its_page() {
        for code in RejectCode::all().map(RejectCode::word) {
            let number = data_code(&code, "mapping");
            assert_ne!(number, "NF600", "{code} needs a number of its own in DATA");
            assert_eq!(find(number).map(|entry| entry.code), Some(code.as_ref()), "{number}");
        }
        assert_eq!((data_code("check:total", "mapping"), data_code("X", "target")), ("NF690", "NF699"));
        let mut numbers: Vec<_> = DATA.iter().map(|(number, _)| number).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), DATA.len());
    }
}
