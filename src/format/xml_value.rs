//! A small XML document as a JSON value: an object for each element with elements inside, a list where a name repeats, text
//! otherwise. Prefixes, attributes and comments are left out. For answers, which are short; files have a reader of their own.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Map, Value};

/// Most elements inside each other.
const MAX_DEPTH: usize = 64;

/// An element that is open.
#[derive(Default)]
struct Open {
    name: String,
    children: Map<String, Value>,
    text: String,
}

/// The name of the root and what is in it; `None` when the text is no XML, or has a document type.
pub fn parse(text: &str) -> Option<(String, Value)> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Open::default()];
    loop {
        match reader.read_event().ok()? {
            Event::Eof => break,
            Event::DocType(_) => return None,
            Event::Start(start) => {
                open.push(Open { name: start.local_name().as_ref().to_owned(), ..Open::default() });
                if open.len() > MAX_DEPTH {
                    return None;
                }
            }
            Event::Empty(start) => add(&mut open.last_mut()?.children, start.local_name().as_ref(), Value::Null),
            Event::End(_) => {
                let Open { name, children, text } = open.pop()?;
                let value = if children.is_empty() { Value::from(text.trim()) } else { Value::Object(children) };
                add(&mut open.last_mut()?.children, &name, value);
            }
            Event::Text(part) => open.last_mut()?.text.push_str(part.as_ref()),
            Event::CData(part) => open.last_mut()?.text.push_str(part.as_ref()),
            Event::GeneralRef(name) => {
                let name: &str = name.as_ref();
                let text = quick_xml::escape::unescape(&format!("&{name};")).ok()?.into_owned();
                open.last_mut()?.text.push_str(&text);
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    let document = open.pop().filter(|_| open.is_empty())?;
    document.children.into_iter().next()
}

fn add(children: &mut Map<String, Value>, name: &str, value: Value) {
    match children.get_mut(name) {
        None => drop(children.insert(name.to_owned(), value)),
        Some(Value::Array(list)) => list.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn elements_are_objects_lists_and_texts() {
        let text = "<?xml version=\"1.0\"?>\n<s:a xmlns:s='x'><b> 1 &amp; 2 </b><c/><d><e>1</e><e>2</e></d></s:a>";
        let value = json!({ "b": "1 & 2", "c": null, "d": { "e": ["1", "2"] } });
        assert_eq!(parse(text), Some(("a".to_owned(), value)));
        for bad in ["", "x", "<a>", "<a></b>", "<!DOCTYPE html><html></html>", "{\"a\":1}"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
