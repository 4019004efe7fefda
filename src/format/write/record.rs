//! A record as a run of tokens. The JSON is our own, so it is well-formed and without blanks.

use std::borrow::Cow;

/// A value that holds no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// `null`
    Nothing,
    /// Text.
    Text(Cow<'a, str>),
    /// The digits as they are written.
    Number(&'a str),
    /// `true`, `false`
    Boolean(bool),
}

impl Scalar<'_> {
    /// The text, the digits or the word; empty for nothing.
    pub fn text(&self) -> &str {
        match self {
            Self::Nothing => "",
            Self::Text(text) => text,
            Self::Number(digits) => digits,
            Self::Boolean(true) => "true",
            Self::Boolean(false) => "false",
        }
    }
}

/// A part of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// `{`
    Object,
    /// `}`
    EndObject,
    /// `[`
    List,
    /// `]`
    EndList,
    /// A name within an object.
    Key(Cow<'a, str>),
    /// A value.
    Value(Scalar<'a>),
}

/// The tokens of a record.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    /// Of one record.
    pub fn new(record: &'a [u8]) -> Self {
        Self { text: std::str::from_utf8(record).unwrap_or_default(), at: 0 }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let taken = self.text.get(self.at..self.at + length).unwrap_or_default();
        self.at += length;
        taken
    }

    /// The inside of the string that begins here.
    fn string(&mut self) -> Cow<'a, str> {
        let rest = self.text.as_bytes().get(self.at + 1..).unwrap_or_default();
        let (mut end, mut escaped) = (0, false);
        while let Some(&byte) = rest.get(end).filter(|byte| **byte != b'"') {
            escaped |= byte == b'\\';
            end += if byte == b'\\' { 2 } else { 1 };
        }
        let quoted = self.take(end + 2);
        match escaped {
            false => Cow::Borrowed(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default()),
            true => Cow::Owned(serde_json::from_str(quoted).unwrap_or_default()),
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            let one = match byte {
                b',' | b':' | b' ' | b'\n' => {
                    self.at += 1;
                    continue;
                }
                b'{' => Token::Object,
                b'}' => Token::EndObject,
                b'[' => Token::List,
                b']' => Token::EndList,
                b'"' => {
                    let text = self.string();
                    let is_key = self.text.as_bytes().get(self.at) == Some(&b':');
                    return Some(if is_key { Token::Key(text) } else { Token::Value(Scalar::Text(text)) });
                }
                _ => {
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    let length = rest.find([',', '}', ']']).unwrap_or(rest.len());
                    return Some(Token::Value(match self.take(length) {
                        "null" => Scalar::Nothing,
                        "true" => Scalar::Boolean(true),
                        "false" => Scalar::Boolean(false),
                        digits => Scalar::Number(digits),
                    }));
                }
            };
            self.at += 1;
            return Some(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_the_mapping_writes_it() {
        let record = r#"{"a":"x\"y\\","b":{"c":-12.50,"d":null},"l":[{"e":true},{}]}"#;
        let text = |text: &'static str| Cow::Borrowed(text);
        let tokens: Vec<Token<'_>> = Tokens::new(record.as_bytes()).collect();
        let expected = [
            Token::Object,
            Token::Key(text("a")),
            Token::Value(Scalar::Text(text("x\"y\\"))),
            Token::Key(text("b")),
            Token::Object,
            Token::Key(text("c")),
            Token::Value(Scalar::Number("-12.50")),
            Token::Key(text("d")),
            Token::Value(Scalar::Nothing),
            Token::EndObject,
            Token::Key(text("l")),
            Token::List,
            Token::Object,
            Token::Key(text("e")),
            Token::Value(Scalar::Boolean(true)),
            Token::EndObject,
            Token::Object,
            Token::EndObject,
            Token::EndList,
            Token::EndObject,
        ];
        assert_eq!(tokens, expected);
    }
}
