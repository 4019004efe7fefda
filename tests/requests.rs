//! Requests in every form, to targets that refuse what the real ones refuse.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::io::Read as _;

use serde_json::{Value, json};
use support::target::{Answer, Request, Target};
use support::{Source, Stage, records};

const JOB: &str = "project/jobs/orders.toml";
const MAPPING: &str = "project/mappings/orders.toml";

/// A stage whose target answers as `script` says, with these keys in `[target]` and this output.
fn stage(keys: &str, output: &str, script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Stage {
    let stage = Stage::with_target(Source::Folder, Target::scripted(script));
    stage.edit(JOB, "path        = \"/in\"\nbatch       = { records = 10 }", keys);
    let mapping = std::fs::read_to_string(stage.path(MAPPING)).unwrap();
    stage.write(MAPPING, format!("{mapping}\n[rejects]\nmax_percent = 100\n\n[output]\n{output}\n"));
    stage
}

fn accept(_: &Request, _: usize) -> Answer {
    Answer::ok()
}

/// Lines of the request and the body as text.
fn sent(stage: &Stage) -> Vec<(String, String)> {
    let text = |request: &Request| (request.line.clone(), String::from_utf8_lossy(&request.body).into_owned());
    stage.target.log().iter().map(text).collect()
}

fn header(stage: &Stage, name: &str) -> String {
    stage.target.log()[0].headers.get(name).cloned().unwrap_or_default()
}

const ROWS: &str = "id,qty,day\nA 1,2,23.11.2026\nB&2,3,24.11.2026\n";

#[test]
fn records_are_sent_in_the_format_of_the_mapping() {
    for (output, kind, body) in [
        (
            "format = \"jsonl\"",
            "application/x-ndjson",
            "{\"id\":\"A 1\",\"quantity\":2,\"day\":\"2026-11-23\"}\n{\"id\":\"B&2\",\"quantity\":3,\"day\":\"2026-11-24\"}\n",
        ),
        (
            "format = \"csv\"\ndelimiter = \";\"\ndate = \"%d.%m.%Y\"\ntrailer = \"T;{count};{sum:quantity}\"",
            "text/csv; charset=utf-8",
            "id;quantity;day\nA 1;2;23.11.2026\nB&2;3;24.11.2026\nT;2;5\n",
        ),
        (
            "format = \"xml\"\neach = \"/orders/order\"",
            "application/xml; charset=utf-8",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<orders>\n<order><id>A 1</id><quantity>2</quantity><day>2026-11-23</day></order>\n<order><id>B&amp;2</id><quantity>3</quantity><day>2026-11-24</day></order>\n</orders>\n",
        ),
        (
            "format = \"fixed\"\ncolumns = [{ name = \"id\", pos = \"1-6\" }, { name = \"quantity\", pos = \"7-9\", fill = \"0\" }, { name = \"day\", pos = \"10-19\" }]",
            "text/plain; charset=utf-8",
            "A 1   0022026-11-23\nB&2   0032026-11-24\n",
        ),
    ] {
        let stage = stage("path = \"/in\"", output, accept);
        stage.deliver("orders_20261123.csv", ROWS);
        assert_eq!(records(&stage.run_json().exits(0).json()), [2, 2, 0, 0, 0]);
        assert_eq!(
            (header(&stage, "content-type").as_str(), sent(&stage)),
            (kind, vec![("POST /in HTTP/1.1".to_owned(), body.to_owned())])
        );
    }
}

#[test]
fn a_form_is_one_record_a_request_and_check_says_so() {
    let stage = stage("path = \"/v1/orders\"\nbatch = { records = 1 }", "format = \"form\"", accept);
    stage.deliver("orders_20261123.csv", ROWS);
    stage.run().exits(0);
    let mut bodies: Vec<String> = sent(&stage).into_iter().map(|(_, body)| body).collect();
    bodies.sort();
    assert_eq!(bodies, ["id=A+1&quantity=2&day=2026-11-23", "id=B%262&quantity=3&day=2026-11-24"]);
    assert_eq!(header(&stage, "content-type"), "application/x-www-form-urlencoded");
    stage.edit(JOB, "batch = { records = 1 }", "");
    let check = stage.nightferry(&["check"]);
    assert!(check.stderr.contains("NF144") && check.code == Some(3), "{}", check.stderr);
}

#[test]
fn g28_a_value_in_the_path_stays_one_component() {
    let stage = stage(
        "path = \"/orders/{id}/lines?by={day}\"\nmethod = \"PUT\"\nbatch = { records = 1 }",
        "format = \"json\"",
        accept,
    );
    let ids =
        ["A-1", "../admin", "?x=1", "a/b", "a#b", "%2e%2e", "é ü", "//evil.example/", "@evil", "..", ".", "", "a\tb"];
    let rows: String = ids.iter().map(|id| format!("\"{id}\",2,23.11.2026\n")).collect();
    stage.deliver("orders_20261123.csv", format!("id,qty,day\n{rows}\"x\r\nHost: evil\",2,23.11.2026\n"));
    let document = stage.run_json().exits(5).json();
    assert_eq!(records(&document), [9, 9, 0, 0, 0]);
    let mut lines: Vec<String> = sent(&stage).into_iter().map(|(line, _)| line).collect();
    lines.sort();
    let expected = [
        "%252e%252e",
        "%2F%2Fevil.example%2F",
        "%3Fx%3D1",
        "%40evil",
        "%C3%A9%20%C3%BC",
        "..%2Fadmin",
        "A-1",
        "a%23b",
        "a%2Fb",
    ];
    assert_eq!(lines, expected.map(|id| format!("PUT /orders/{id}/lines?by=2026-11-23 HTTP/1.1")));
    assert!(
        stage.target.log().iter().all(|request| request.headers["host"] == format!("127.0.0.1:{}", stage.target.port))
    );
    let rejects = stage.nightferry(&["rejects", "orders", "--json"]).exits(0).json();
    let causes: Vec<_> = rejects.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(causes, ["bad-character", "bad-character", "required", "bad-character", "bad-character"]);
}

#[test]
fn a_path_without_a_body_and_any_method() {
    let stage = stage(
        "path = \"/orders/{id}\"\nmethod = \"DELETE\"\nbody = \"none\"\nbatch = { records = 1 }",
        "format = \"json\"",
        accept,
    );
    stage.deliver("orders_20261123.csv", Stage::rows(1, 1));
    stage.run().exits(0);
    assert_eq!(sent(&stage), [("DELETE /orders/A-000001 HTTP/1.1".to_owned(), String::new())]);
}

#[test]
fn path_and_body_are_the_same_on_every_attempt_and_sealed_before_the_first() {
    let script = |_: &Request, number: usize| match number {
        0 => Answer::status(503),
        1 => Answer::TakenThenReset,
        _ => Answer::ok(),
    };
    let keys = "path = \"/orders/{id}\"\nbody = { multipart = \"file\", file_name = \"o.csv\" }\ncompression = \"gzip\"\nbatch = { records = 1 }";
    let stage = stage(keys, "format = \"csv\"", script);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 1));
    assert_eq!(records(&stage.run_json().exits(0).json()), [1, 1, 0, 0, 0]);
    let log = stage.target.log();
    assert_eq!(log.len(), 3);
    assert!(log.iter().all(|one| (&one.line, &one.body, &one.key) == (&log[0].line, &log[0].body, &log[0].key)));
    let sealed: Option<String> =
        stage.ledger().query_row("SELECT request_sha256 FROM batch", [], |row| row.get(0)).unwrap();
    use sha2::Digest as _;
    let expected = sha2::Sha256::digest([b"/orders/A-000001\0".as_slice(), &log[0].body].concat());
    assert_eq!(sealed, Some(expected.iter().map(|byte| format!("{byte:02x}")).collect()));
}

#[test]
fn a_request_that_is_not_what_was_sealed_is_never_sent() {
    let stage =
        stage("path = \"/in\"", "format = \"csv\"", |_, number| Answer::status(if number == 0 { 401 } else { 200 }));
    stage.deliver("orders_20261123.csv", Stage::rows(1, 1));
    stage.run().exits(8);
    stage.ledger().execute("UPDATE batch SET request_sha256 = 'another'", []).unwrap();
    let ended = stage.run();
    assert!(ended.code != Some(0) && ended.stderr.contains("not what was sealed"), "{}", ended.stderr);
    assert_eq!(stage.target.log().len(), 1);
}

/// The parts of an upload, as a strict server reads them: head and content.
fn parts(request: &Request) -> Vec<(String, String)> {
    let kind = &request.headers["content-type"];
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect("a boundary");
    let body = String::from_utf8(request.body.clone()).unwrap();
    let body = body.strip_suffix(&format!("\r\n--{boundary}--\r\n")).expect("an end");
    let body = body.strip_prefix(&format!("--{boundary}\r\n")).expect("a beginning");
    body.split(&format!("\r\n--{boundary}\r\n"))
        .map(|part| part.split_once("\r\n\r\n").map(|(head, content)| (head.to_owned(), content.to_owned())).unwrap())
        .collect()
}

#[test]
fn a_file_is_uploaded_beside_further_fields() {
    let keys = "path = \"/files\"\nbody = { multipart = \"file\", file_name = \"orders.csv\", fields = { purpose = \"import\" } }";
    let stage = stage(keys, "format = \"csv\"", |request, _| match parts(request).len() {
        2 => Answer::ok(),
        _ => Answer::status(400),
    });
    stage.deliver("orders_20261123.csv", ROWS);
    stage.run().exits(0);
    assert_eq!(
        parts(&stage.target.log()[0]),
        [
            ("Content-Disposition: form-data; name=\"purpose\"".to_owned(), "import".to_owned()),
            (
                "Content-Disposition: form-data; name=\"file\"; filename=\"orders.csv\"\r\nContent-Type: text/csv"
                    .to_owned(),
                "id,quantity,day\nA 1,2,2026-11-23\nB&2,3,2026-11-24\n".to_owned()
            ),
        ]
    );
}

#[test]
fn bodies_are_packed_when_the_job_says_so() {
    let stage = stage("path = \"/in\"\ncompression = \"gzip\"", "format = \"json\"", |request, _| {
        Answer::status(if request.headers.get("content-encoding").is_some_and(|kind| kind == "gzip") {
            200
        } else {
            415
        })
    });
    stage.deliver("orders_20261123.csv", Stage::rows(1, 5));
    stage.run().exits(0);
    let mut text = String::new();
    flate2::read::GzDecoder::new(stage.target.log()[0].body.as_slice()).read_to_string(&mut text).unwrap();
    let sent: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((sent.as_array().unwrap().len(), &sent[4]["id"]), (5, &json!("A-000005")));
}

/// A GraphQL server: refuses what is no request of its kind, and orders with a quantity of 3.
fn graphql(request: &Request, _: usize) -> Answer {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else { return Answer::status(400) };
    if request.headers["content-type"] != "application/json" || body["query"].as_str().is_none() {
        return Answer::status(400);
    }
    let variables = body["variables"].as_object().unwrap();
    let bad = |order: &Value| order["quantity"] == 3;
    let mut errors = Vec::new();
    let data = match variables.get("orders") {
        Some(orders) => {
            let created: Vec<Value> = orders.as_array().unwrap().iter().enumerate().map(|(at, order)| {
                if bad(order) {
                    errors.push(json!({ "message": "quantity", "path": ["createOrders", at], "extensions": { "code": "QTY" } }));
                    return Value::Null;
                }
                json!({ "id": order["id"] })
            }).collect();
            json!({ "createOrders": created })
        }
        None => {
            let mut data = serde_json::Map::new();
            for (name, order) in variables {
                assert!(body["query"].as_str().unwrap().contains(&format!("{name}: createOrder(input: ${name})")));
                if bad(order) {
                    errors.push(json!({ "message": "quantity", "path": [name], "extensions": { "code": "QTY" } }));
                }
                data.insert(name.clone(), if bad(order) { Value::Null } else { json!({ "id": order["id"] }) });
            }
            Value::Object(data)
        }
    };
    let mut answer = json!({ "data": data });
    if !errors.is_empty() {
        answer["errors"] = errors.into();
    }
    Answer::json(200, answer)
}

#[test]
fn graphql_takes_records_in_a_variable_or_in_aliases_and_errors_in_a_200_refuse_their_records() {
    for body in [
        "{ graphql = \"mutation ($orders: [OrderInput!]!) { createOrders(orders: $orders) { id } }\", variable = \"orders\" }",
        "{ graphql = \"createOrder(input: $record) { id }\", record_type = \"OrderInput!\" }",
    ] {
        let stage = stage(&format!("path = \"/graphql\"\nbody = {body}"), "format = \"json\"", graphql);
        let rows: String = (0..12).map(|at| format!("A-{at},{},23.11.2026\n", if at == 2 { 3 } else { 1 })).collect();
        stage.deliver("orders_20261123.csv", format!("id,qty,day\n{rows}"));
        let document = stage.run_json().exits(6).json();
        assert_eq!(records(&document), [12, 11, 1, 0, 0], "{body}");
        let rejects = stage.nightferry(&["rejects", "orders", "--json"]).exits(0).json();
        let refused = &rejects[0];
        assert_eq!((&refused["row"], &refused["code"]), (&json!(4), &json!("QTY")), "{rejects}");
    }
}

#[test]
fn a_graphql_server_that_has_no_time_is_asked_again() {
    let throttled = json!({ "errors": [{ "message": "Throttled", "extensions": { "code": "THROTTLED" } }] });
    let script = move |request: &Request, number: usize| match number {
        0 => Answer::json(200, &throttled),
        _ => graphql(request, number),
    };
    let body = "body = { graphql = \"mutation ($orders: [OrderInput!]!) { createOrders(orders: $orders) { id } }\", variable = \"orders\" }";
    let stage = stage(&format!("path = \"/graphql\"\n{body}"), "format = \"json\"", script);
    stage.deliver("orders_20261123.csv", Stage::rows(3, 2));
    let document = stage.run_json().exits(0).json();
    assert_eq!((records(&document), &document["attempts"]), ([2, 2, 0, 0, 0], &json!(2)));
}

fn fault(code: &str) -> String {
    format!(
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><soap:Fault><faultcode>soap:{code}</faultcode><faultstring>not like this</faultstring></soap:Fault></soap:Body></soap:Envelope>"
    )
}

#[test]
fn soap_has_an_envelope_an_action_and_faults() {
    let script = |request: &Request, number: usize| {
        let body = String::from_utf8_lossy(&request.body);
        if request.headers["content-type"] != "text/xml; charset=utf-8"
            || request.headers["soapaction"] != "\"urn:CreateOrders\""
        {
            return Answer::status(415);
        }
        match number {
            // A server in trouble says so with a 500, and so does one that wants another request.
            0 => Answer::Reply(500, vec![("content-type", "text/xml".to_owned())], fault("Server")),
            _ if body.contains("A-000002") => Answer::Reply(500, vec![], fault("Client")),
            _ => Answer::Reply(200, vec![], fault("x").replace("Fault", "CreateOrdersResponse").replace("soap:x", "1")),
        }
    };
    let keys = "path = \"/soap\"\nbatch = { records = 1 }\nbody = { soap = \"1.1\", action = \"urn:CreateOrders\" }";
    let stage = stage(keys, "format = \"xml\"\neach = \"/CreateOrders/Order\"\nnamespace = \"urn:orders\"", script);
    stage.edit("project/connections.toml", "timeout = \"5s\"", "timeout = \"5s\"\nrate = { concurrency = 1 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 2));
    let document = stage.run_json().exits(6).json();
    assert_eq!(records(&document), [2, 1, 1, 0, 0]);
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>\
        <CreateOrders xmlns=\"urn:orders\">\n<Order><id>A-000001</id><quantity>2</quantity><day>2026-11-23</day></Order>\n</CreateOrders>\n</soap:Body></soap:Envelope>";
    assert_eq!(sent(&stage)[0].1, expected);
    let rejects = stage.nightferry(&["rejects", "orders"]).exits(0).stdout;
    assert!(rejects.contains("Client") && rejects.contains("not like this"), "{rejects}");
}

#[test]
fn soap_12_has_its_action_in_the_content_type_and_an_envelope_of_ones_own() {
    let keys = "path = \"/soap\"\nbody = { soap = \"1.2\", action = \"urn:Create\", envelope = \"<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Header><token>t</token></e:Header><e:Body>{records}</e:Body></e:Envelope>\" }";
    let ok = "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Body><r><row><no>A-000001</no><state>OK</state></row><row><no>A-000002</no><state>BAD</state></row></r></e:Body></e:Envelope>";
    let stage = stage(keys, "format = \"xml\"", |_, _| Answer::Reply(200, vec![], ok.to_owned()));
    let job = std::fs::read_to_string(stage.path(JOB)).unwrap();
    let response = "\n[target.response]\neach = \"$.r.row[*]\"\nmatch = { ours = \"id\", theirs = \"$.no\" }\nok_when = { path = \"$.state\", is = [\"OK\"] }\n";
    stage.write(JOB, job + response);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 2));
    let document = stage.run_json().exits(6).json();
    assert_eq!(records(&document), [2, 1, 1, 0, 0], "results of an envelope are read by path");
    assert_eq!(header(&stage, "content-type"), "application/soap+xml; charset=utf-8; action=\"urn:Create\"");
    assert!(
        sent(&stage)[0].1.contains("<e:Header><token>t</token></e:Header><e:Body><records>\n<record><id>A-000001</id>")
    );
}

#[test]
fn a_batch_in_another_format_is_split_and_its_parts_are_sealed_too() {
    let script = |request: &Request, _: usize| {
        let lines = String::from_utf8_lossy(&request.body).lines().count();
        Answer::status(if lines > 3 { 413 } else { 200 })
    };
    let stage = stage("path = \"/in\"", "format = \"csv\"", script);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 7));
    assert_eq!(records(&stage.run_json().exits(0).json()), [7, 7, 0, 0, 0]);
    let taken: Vec<Request> = stage.target.log().into_iter().filter(|one| one.answered == Some(200)).collect();
    assert!(taken.iter().all(|one| one.body.starts_with(b"id,quantity,day\n")));
    let unsealed = "SELECT count(*) FROM batch WHERE request_sha256 IS NULL";
    assert_eq!(stage.ledger().query_row(unsealed, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn results_find_their_records_whatever_the_format_of_the_request() {
    let script = |_: &Request, _: usize| {
        Answer::json(200, json!({ "results": [{ "id": "A-000002", "s": "OK" }, { "id": "A-000001", "s": "NO" }] }))
    };
    for format in ["csv", "jsonl", "xml"] {
        let stage = stage("path = \"/in\"", &format!("format = \"{format}\""), script);
        let job = std::fs::read_to_string(stage.path(JOB)).unwrap();
        let response = "\n[target.response]\neach = \"$.results[*]\"\nmatch = { ours = \"id\", theirs = \"$.id\" }\nok_when = { path = \"$.s\", is = [\"OK\"] }\n";
        stage.write(JOB, job + response);
        stage.deliver("orders_20261123.csv", Stage::rows(1, 2));
        assert_eq!(records(&stage.run_json().exits(6).json()), [2, 1, 1, 0, 0], "{format}");
    }
}

#[test]
fn the_version_of_the_api_is_asked_for_and_its_announced_end_is_a_warning_of_the_run() {
    let script = |request: &Request, _: usize| match request.headers.get("stripe-version").map(String::as_str) {
        Some("2026-09-30") => Answer::Reply(
            200,
            vec![("deprecation", "@1688169599".to_owned()), ("sunset", "Thu, 31 Dec 2026 23:59:59 GMT".to_owned())],
            "{}".to_owned(),
        ),
        _ => Answer::status(400),
    };
    let stage = stage("path = \"/in\"\nheaders = { \"X-Source\" = \"night\" }", "format = \"json\"", script);
    stage.edit(
        "project/connections.toml",
        "timeout = \"5s\"",
        "timeout = \"5s\"\napi_version = { header = \"Stripe-Version\", value = \"2026-09-30\" }",
    );
    stage.deliver("orders_20261123.csv", Stage::rows(1, 25));
    let document = stage.run_json().exits(0).json();
    let warnings = document["files"][0]["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{document}");
    assert!(warnings[0].as_str().unwrap().contains("deprecated since 2023-06-30 and ends on 2026-12-31"));
    assert_eq!(header(&stage, "x-source"), "night");
}

#[test]
fn another_form_of_the_request_is_another_key() {
    let keys = |stage: &Stage| stage.target.log().iter().map(|request| request.key.clone()).collect::<Vec<_>>();
    let mut seen = Vec::new();
    for target in [
        "path = \"/in\"",
        "path = \"/in\"\ncompression = \"gzip\"",
        "path = \"/in/{id}\"\nbatch = { records = 1 }",
        "path = \"/in?a={id}\"\nbatch = { records = 1 }",
    ] {
        let stage = stage(target, "format = \"json\"", accept);
        stage.deliver("orders_20261123.csv", Stage::rows(1, 1));
        stage.run().exits(0);
        let own = keys(&stage);
        assert!(!seen.contains(&own), "{target}");
        seen.push(own);
    }
}

#[test]
fn what_is_mapped_anew_is_sent_in_the_form_of_today_and_sealed_like_the_rest() {
    let stage = stage("path = \"/in\"", "format = \"csv\"", accept);
    stage.edit(MAPPING, "minimum = 1", "minimum = 3");
    stage.deliver("orders_20261123.csv", ROWS);
    stage.run().exits(5);
    stage.edit(MAPPING, "minimum = 3", "minimum = 1");
    stage.edit(MAPPING, "format = \"csv\"", "format = \"xml\"");
    stage.nightferry(&["rejects", "replay", "orders", "--yes", "--reason", "two is enough"]).exits(0);
    let bodies: Vec<String> = sent(&stage).into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies[0], "id,quantity,day\nB&2,3,2026-11-24\n");
    assert!(bodies[1].contains("<record><id>A 1</id><quantity>2</quantity>"), "{bodies:?}");
    let sealed = "SELECT count(DISTINCT request_sha256) FROM batch WHERE request_sha256 IS NOT NULL";
    assert_eq!(stage.ledger().query_row(sealed, [], |row| row.get::<_, i64>(0)).unwrap(), 2);
}
