//! How the records of a batch become a request: its address, its body and how that is packed.

/// `[target] path`, `body` and `compression`, as far as they make a request that is not plain JSON to a fixed address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestRule {
    /// The path, when it has fields of the record in it.
    pub path: Option<PathTemplate>,
    /// The body.
    pub body: BodyRule,
    /// `compression = "gzip"`.
    pub gzip: bool,
}

/// A path with fields of the record, each a component of its own; the host is never a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate(pub Vec<PathPart>);

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPart {
    /// As it is written.
    Text(String),
    /// The value of a field (`customer.id`), percent-encoded.
    Field(String),
}

/// `[target] body`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BodyRule {
    /// In the mapping's output format.
    #[default]
    Output,
    /// Empty; the path says it all.
    Nothing,
    /// A file in the mapping's output format, uploaded as `multipart/form-data`.
    Multipart {
        /// The name of the file's part.
        part: String,
        /// The name of the file.
        file_name: String,
        /// Further parts before it, in order.
        fields: Vec<(String, String)>,
    },
    /// A GraphQL query with the records in one variable.
    GraphQl {
        /// The query.
        query: String,
        /// The variable: a list, or with one record a request the record.
        variable: String,
        /// Further variables with the JSON of their values, in order.
        variables: Vec<(String, String)>,
    },
    /// A GraphQL mutation with one aliased field for each record: `r0`, `r1` …
    Aliases {
        /// One field, with `$record` for the record.
        field: String,
        /// The GraphQL type of a record.
        record_type: String,
        /// Further variables with their types and the JSON of their values, in order.
        variables: Vec<(String, String)>,
    },
    /// The records in XML, in a SOAP envelope.
    Soap {
        /// 1.1 or 1.2.
        version: SoapVersion,
        /// The action.
        action: String,
        /// The envelope with `{records}` in it; `None`: one with nothing but a body.
        envelope: Option<String>,
    },
}

/// Versions of SOAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoapVersion {
    /// `text/xml`, with a `SOAPAction` header.
    V11,
    /// `application/soap+xml`, with the action in the content type.
    V12,
}

impl SoapVersion {
    /// The namespace of its envelope.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::V12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }
}
