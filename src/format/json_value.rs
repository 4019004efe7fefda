//! A JSON value whose numbers keep their digits.

use std::fmt;

use rust_decimal::Decimal;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Boolean(bool),
    /// The digits as they are written.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object, in its order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads one value; `None` when it is no JSON.
    pub fn parse(text: &[u8]) -> Option<Self> {
        Self::read(std::str::from_utf8(text).ok()?)
    }

    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        Some(match text.as_bytes().first()? {
            b'{' => {
                let entries = serde_json::Deserializer::from_str(text).deserialize_map(Entries).ok()?;
                let read = entries.into_iter().map(|(key, value)| Some((key, Self::read(value.get())?)));
                // The raw values were read, and what follows them was not.
                serde_json::from_str::<&RawValue>(text).ok()?;
                Self::Object(read.collect::<Option<_>>()?)
            }
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                Self::List(items.into_iter().map(|item| Self::read(item.get())).collect::<Option<_>>()?)
            }
            b'"' => Self::Text(serde_json::from_str(text).ok()?),
            _ => match serde_json::from_str::<&RawValue>(text).ok()?.get() {
                "null" => Self::Null,
                "true" => Self::Boolean(true),
                "false" => Self::Boolean(false),
                digits => Self::Number(digits.to_owned()),
            },
        })
    }

    /// The value at `a.b` or `lines[1].sku`.
    pub fn at(&self, path: &str) -> Option<&Self> {
        let mut value = self;
        for part in path.split('.') {
            let (name, index) = match part.split_once('[') {
                Some((name, index)) => (name, Some(index.trim_end_matches(']').parse::<usize>().ok()?)),
                None => (part, None),
            };
            let Self::Object(entries) = value else { return None };
            value = entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)?;
            if let Some(index) = index {
                let Self::List(items) = value else { return None };
                value = items.get(index)?;
            }
        }
        Some(value)
    }

    /// Calls `change` with every value that a target path names; `lines[]` stands for every entry.
    pub fn each_at(&mut self, path: &[String], change: &mut dyn FnMut(&mut Self)) {
        let Some((part, rest)) = path.split_first() else { return change(self) };
        let name = part.strip_suffix("[]").unwrap_or(part);
        let Self::Object(entries) = self else { return };
        let Some((_, value)) = entries.iter_mut().find(|(key, _)| key == name) else { return };
        match value {
            Self::List(items) if part.ends_with("[]") => items.iter_mut().for_each(|item| item.each_at(rest, change)),
            value => value.each_at(rest, change),
        }
    }

    /// The text, or the digits, or the word.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Number(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// Equal, whatever the number of trailing zeros and the order of keys.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => match (left.parse::<Decimal>(), right.parse::<Decimal>()) {
                (Ok(left), Ok(right)) => left == right,
                _ => left == right,
            },
            (Self::List(left), Self::List(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.same(right))
            }
            (Self::Object(left), Self::Object(right)) => {
                let found =
                    |key: &String, value: &Self| right.iter().any(|(other, there)| other == key && value.same(there));
                left.len() == right.len() && left.iter().all(|(key, value)| found(key, value))
            }
            (left, right) => left == right,
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Number(digits) => f.write_str(digits),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Object(entries) => {
                f.write_str("{")?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{}: {value}", if at > 0 { ", " } else { "" }, quoted(key))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Collects the entries of an object in their order.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_compare_as_numbers() {
        let json = Json::parse(br#" {"a": [1.50, {"b": "x"}], "c": null} "#).unwrap();
        assert_eq!(json.to_string(), r#"{"a": [1.50, {"b": "x"}], "c": null}"#);
        assert_eq!(json.at("a[1].b"), Some(&Json::Text("x".to_owned())));
        assert_eq!(json.at("a[2]"), None);
        assert!(json.same(&Json::parse(br#"{"c": null, "a": [1.5, {"b": "x"}]}"#).unwrap()));
        assert_eq!(Json::parse(b"{\"a\": 1} x"), None);
        assert_eq!(Json::parse(b"1 2"), None);
    }
}
