//! A request rule as text: what a run keeps of it, and what the mapping version is the hash of.

use serde::{Deserialize, Serialize};

use crate::domain::request::{BodyRule, PathPart, PathTemplate, RequestRule, SoapVersion};

/// The rule as JSON; `None` for one that says nothing.
pub fn to_text(rule: &RequestRule) -> Option<String> {
    if *rule == RequestRule::default() {
        return None;
    }
    match serde_json::to_string(&Kept(rule.clone())) {
        Ok(text) => Some(text),
        Err(error) => unreachable!("a rule is always JSON: {error}"),
    }
}

/// Reads it back.
///
/// # Errors
/// What is wrong with the text.
pub fn from_text(text: Option<&str>) -> Result<RequestRule, String> {
    let Some(text) = text else { return Ok(RequestRule::default()) };
    serde_json::from_str(text).map(|Kept(rule)| rule).map_err(|error| error.to_string())
}

#[derive(Serialize, Deserialize)]
struct Kept(#[serde(with = "Rule")] RequestRule);

#[derive(Serialize, Deserialize)]
#[serde(remote = "RequestRule")]
struct Rule {
    #[serde(with = "path")]
    path: Option<PathTemplate>,
    #[serde(with = "Body")]
    body: BodyRule,
    gzip: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BodyRule")]
enum Body {
    Output,
    Nothing,
    Multipart {
        part: String,
        file_name: String,
        fields: Vec<(String, String)>,
    },
    GraphQl {
        query: String,
        variable: String,
        variables: Vec<(String, String)>,
    },
    Aliases {
        field: String,
        record_type: String,
        variables: Vec<(String, String)>,
    },
    Soap {
        #[serde(with = "Version")]
        version: SoapVersion,
        action: String,
        envelope: Option<String>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SoapVersion")]
enum Version {
    V11,
    V12,
}

/// Texts and fields in turn, a text first.
mod path {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{PathPart, PathTemplate};

    pub(super) fn serialize<S: Serializer>(path: &Option<PathTemplate>, to: S) -> Result<S::Ok, S::Error> {
        let part = |part: &PathPart| match part {
            PathPart::Text(text) => (text.clone(), false),
            PathPart::Field(field) => (field.clone(), true),
        };
        path.as_ref().map(|path| path.0.iter().map(part).collect::<Vec<_>>()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathTemplate>, D::Error> {
        let parts = Option::<Vec<(String, bool)>>::deserialize(from)?;
        let part = |(text, is_field)| if is_field { PathPart::Field(text) } else { PathPart::Text(text) };
        Ok(parts.map(|parts| PathTemplate(parts.into_iter().map(part).collect())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_rule_comes_back_as_it_was_kept() {
        let (text, field) = (PathPart::Text("/a/".to_owned()), PathPart::Field("id".to_owned()));
        let soap = BodyRule::Soap { version: SoapVersion::V12, action: "urn:a".to_owned(), envelope: None };
        let rule = RequestRule { path: Some(PathTemplate(vec![text, field])), body: soap, gzip: true };
        assert_eq!(from_text(to_text(&rule).as_deref()), Ok(rule));
        assert_eq!((to_text(&RequestRule::default()), from_text(None)), (None, Ok(RequestRule::default())));
    }
}
