//! A job as the pipeline sees it: every text already parsed, every reference already resolved.

use std::time::Duration;

use super::measure::Measure;
use super::name::{ConnectionName, JobName, MappingName};
use super::pace::Rate;
use super::request::RequestRule;
use super::run::words;
use super::source::Source;
use super::wrapping::Wrapping;

/// The definition of one job.
#[derive(Clone, Debug)]
pub struct Job {
    /// `[job] name`.
    pub name: JobName,
    /// `[job] title`, for people.
    pub title: String,
    /// `[integration] criticality`: what starts first when not everything can.
    pub criticality: Criticality,
    /// `[job] enabled`: whether its schedule counts. By hand it runs all the same.
    pub enabled: bool,
    /// `[job] mapping`.
    pub mapping: MappingName,
    /// Where files come from.
    pub source: Source,
    /// How they are wrapped.
    pub wrapping: Option<Wrapping>,
    /// Where records go.
    pub target: Target,
    /// What must add up, and who says that it does.
    pub reconcile: ReconcileRule,
    /// `[[measures]]`.
    pub measures: Vec<Measure>,
    /// What to do about errors, by reject code or `target:CODE`.
    pub playbook: Vec<PlaybookEntry>,
}

/// `[reconcile]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReconcileRule {
    /// `key`: the target field that names a record to people; `find` looks for it.
    pub key: Option<String>,
    /// `sign_off`.
    pub sign_off: SignOffRule,
}

/// `[reconcile] sign_off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignOffRule {
    /// `false`: a balanced run needs nobody.
    #[default]
    Nobody,
    /// `true`: one person.
    OnePerson,
    /// `"two_people"`: one prepares, another reviews.
    TwoPeople,
}

/// One `[[playbook]]` entry, shown beside the error it is about.
#[derive(Clone, Debug, Default)]
pub struct PlaybookEntry {
    /// A reject code, `target:CODE`, `late` …
    pub when: String,
    /// What it means.
    pub means: String,
    /// What to do.
    pub action: String,
    /// Who does it.
    pub who: String,
    /// Within what time.
    pub within: String,
}

/// The day the data is about, counted from the day of an instant in the job's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusinessDateRule {
    /// The same day.
    SameDay,
    /// The day before.
    PreviousDay,
    /// The last day before that counts in the calendar.
    PreviousBusinessDay,
}

words!(BusinessDateRule {
    SameDay => "same_day", PreviousDay => "previous_day", PreviousBusinessDay => "previous_business_day",
});

/// `[integration] criticality`: how bad it is when the job is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Criticality {
    /// Nobody notices for days.
    Low,
    /// The usual.
    Medium,
    /// Work stands still.
    High,
    /// Money or people.
    Critical,
}

words!(Criticality { Low => "low", Medium => "medium", High => "high", Critical => "critical" });

/// `[schedule] on_holiday`: what happens on days that do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHoliday {
    /// The job does not run; a row says so.
    Skip,
    /// It runs at the same time on the next day that counts.
    NextBusinessDay,
    /// It runs all the same.
    Run,
}

words!(OnHoliday { Skip => "skip", NextBusinessDay => "next_business_day", Run => "run" });

/// `[schedule] misfire`: what occurrences mean that nobody could start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfire {
    /// The last one is made up for.
    RunOnce,
    /// Each one is, up to a hundred.
    RunEach,
    /// None is.
    Skip,
}

words!(Misfire { RunOnce => "run_once", RunEach => "run_each", Skip => "skip" });

/// `[schedule] overlap`: what an occurrence means while the job still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// It waits; at most one does.
    Wait,
    /// It is skipped.
    Skip,
}

words!(Overlap { Wait => "wait", Skip => "skip" });

/// `[target]` of kind `http`.
#[derive(Clone, Debug)]
pub struct Target {
    /// An `http` connection.
    pub connection: ConnectionName,
    /// `POST`, `PUT` or `PATCH`.
    pub method: String,
    /// Path and query, appended to the connection's `base_url`.
    pub path: String,
    /// Extra request headers, in order.
    pub headers: Vec<(String, String)>,
    /// How records become requests.
    pub batch: BatchRule,
    /// The key header; `None` when the target knows no keys.
    pub idempotency: Option<Idempotency>,
    /// When and how often to try again.
    pub retry: RetryRule,
    /// Whether an unanswered batch is sent again by itself (needs `idempotency`).
    pub on_unanswered: OnUnanswered,
    /// How the answer is read.
    pub response: ResponseRule,
}

/// `[target] batch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRule {
    /// Most records in a request.
    pub records: u32,
    /// Most body bytes in a request (one record may exceed it alone).
    pub bytes: u64,
    /// `{"WRAP": [ … ]}` instead of a bare array.
    pub wrap: Option<String>,
    /// What a request is besides JSON records to a fixed address.
    pub request: RequestRule,
}

impl Default for BatchRule {
    fn default() -> Self {
        Self { records: 100, bytes: 1 << 20, wrap: None, request: RequestRule::default() }
    }
}

/// `[target] idempotency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Name of the request header that carries the key.
    pub header: String,
    /// How long after its first attempt a batch may be sent again by itself.
    pub window: Duration,
    /// Whether the key stands in quotation marks (a structured-field string).
    pub quoted: bool,
}

/// `[target] retry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryRule {
    /// Most attempts for a batch in one run of the process.
    pub attempts: u32,
    /// Upper bound of the first wait.
    pub first_wait: Duration,
    /// Upper bound of every wait (a `Retry-After` may exceed it, up to 1 h).
    pub longest_wait: Duration,
    /// `retry.on`: statuses to try again; `None` means the table of `semantics.md` 4.
    pub on: Option<RetryOn>,
}

/// `[target] retry.on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// Statuses to try again.
    pub statuses: Vec<u16>,
    /// `"timeout"` is in the list (counts only with a key).
    pub timeout: bool,
}

impl Default for RetryRule {
    fn default() -> Self {
        Self { attempts: 8, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(300), on: None }
    }
}

/// `[target] on_unanswered`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnanswered {
    /// Sent again with the same key and body.
    Resend,
    /// Held for a person.
    Hold,
}

words!(OnUnanswered { Resend => "resend", Hold => "hold" });

/// `[target.response]`. Paths are RFC 9535 JSONPath texts that are known to parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseRule {
    /// Statuses that mean: the batch was taken. Default 200, 201, 202, 204, 207.
    pub accepted: Vec<u16>,
    /// What the results are; `None`: the status speaks for the whole batch.
    pub results: Option<Results>,
    /// How results are matched to records; `None`: by their order.
    pub match_by: Option<MatchBy>,
    /// When a result means yes; `None`: always.
    pub ok_when: Option<OkWhen>,
    /// Where a result carries what the target calls the record.
    pub reference: Option<String>,
    /// Where a refusal carries its code.
    pub error_code: Option<String>,
    /// Where a refusal carries its words.
    pub error_text: Option<String>,
}

/// The results in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Results {
    /// `each`: one node for each record; what is not among them is unanswered.
    Each(String),
    /// `refused`: one node for each record that was refused; what is not among them was accepted.
    Refused(String),
}

/// `[target.response] match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchBy {
    /// `{ ours, theirs }`: a value that stands in both.
    Key {
        /// Field path in our record, `a.b`.
        ours: String,
        /// JSONPath in the result.
        theirs: String,
    },
    /// `{ position }`: JSONPath of the number of the record in the request, from 0.
    Position(String),
}

/// `[target.response] ok_when`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OkWhen {
    /// JSONPath in the result (in the whole answer without `each`).
    pub path: String,
    /// JSON texts of the values that mean yes, such as `"CREATED"` (with quotation marks) or `true`.
    pub is: Vec<String>,
}

/// A system in `connections.toml`, secrets still by reference.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Table name.
    pub name: ConnectionName,
    /// What it is and how to reach it.
    pub kind: ConnectionKind,
}

/// The kinds of connection.
#[derive(Clone, Debug)]
pub enum ConnectionKind {
    /// An SFTP server.
    Sftp(SftpConnection),
    /// A local or mounted folder.
    Folder {
        /// Root; `[source] folder` is relative to it.
        path: std::path::PathBuf,
    },
    /// An HTTP API.
    Http(HttpConnection),
}

impl ConnectionKind {
    /// Paths of this machine that it names.
    pub fn paths(&mut self) -> Vec<&mut std::path::PathBuf> {
        match self {
            Self::Folder { path } => vec![path],
            Self::Sftp(_) => Vec::new(),
            Self::Http(http) => {
                let client = http.tls.client.as_mut().and_then(|client| match &mut client.certificate {
                    CertificateSource::File(path) => Some(path),
                    CertificateSource::Secret(_) => None,
                });
                http.tls.ca.as_mut().into_iter().chain(client).collect()
            }
        }
    }
}

/// A secret by name; only adapters ask for its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRef(pub String);

/// A text that is written in the file, or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretText {
    /// Written in the file (user names and the like).
    Plain(String),
    /// By reference.
    Secret(SecretRef),
}

/// What speaks SFTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SftpEngine {
    /// libssh2: the default.
    #[default]
    Ssh2,
    /// Many requests and files in flight in one session.
    Russh,
}

/// Which key of the SSH agent logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agent {
    /// `agent = true`: whichever the server takes, of the first two.
    AnyKey,
    /// `agent = "SHA256:…"`.
    Key(String),
}

/// `kind = "sftp"`.
#[derive(Clone, Debug)]
pub struct SftpConnection {
    /// What speaks SFTP.
    pub engine: SftpEngine,
    /// Host name or address.
    pub host: String,
    /// Port, 22 by default.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// Password login.
    pub password: Option<SecretRef>,
    /// Private key (OpenSSH or PEM text).
    pub key: Option<SecretRef>,
    /// Passphrase of the key.
    pub key_passphrase: Option<SecretRef>,
    /// Login with a key that the SSH agent holds.
    pub agent: Option<Agent>,
    /// Accepted host keys, `SHA256:…`; empty: none is accepted yet.
    pub host_keys: Vec<String>,
    /// Most sessions at once, 2 by default.
    pub sessions: u32,
    /// Silence after which a sign of life is sent, 30 s by default.
    pub keepalive: Duration,
    /// SHA-1, CBC and what Terrapin can cut are accepted too.
    pub legacy_algorithms: bool,
    /// Deadlines.
    pub timeouts: SftpTimeouts,
}

/// Deadlines of an SFTP connection.
#[derive(Clone, Copy, Debug)]
pub struct SftpTimeouts {
    /// TCP, 10 s by default.
    pub connect: Duration,
    /// Key exchange, 20 s by default.
    pub handshake: Duration,
    /// Authentication, 20 s by default.
    pub login: Duration,
    /// One read, write or listing step, 60 s by default.
    pub operation: Duration,
}

impl Default for SftpTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(20),
            login: Duration::from_secs(20),
            operation: Duration::from_secs(60),
        }
    }
}

/// `kind = "http"`.
#[derive(Clone, Debug)]
pub struct HttpConnection {
    /// Scheme, host, port and path prefix, without a trailing slash.
    pub base_url: String,
    /// Headers sent with every request, in order.
    pub headers: Vec<(String, SecretText)>,
    /// How requests are authorised.
    pub auth: Auth,
    /// Whom to trust, and what to show.
    pub tls: TlsRule,
    /// The proxy that leads outside, with its credentials if it wants any; `None`: straight to the host, whatever the
    /// environment says.
    pub proxy: Option<SecretText>,
    /// Time for one request, 30 s by default.
    pub timeout: Duration,
    /// Its pace.
    pub rate: Rate,
}

/// Certificates of an `http` connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsRule {
    /// `ca`: a PEM file with the only authorities that are trusted; `None`: those of the system.
    pub ca: Option<std::path::PathBuf>,
    /// `client_certificate` and `client_key`.
    pub client: Option<ClientCertificate>,
}

/// The certificate that we show, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// A PEM file, or a secret with its text.
    pub certificate: CertificateSource,
    /// The private key, PEM.
    pub key: SecretRef,
}

/// Where a certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// In a file.
    File(std::path::PathBuf),
    /// In a secret.
    Secret(SecretRef),
}

/// `auth` of an `http` connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Nothing is shown (or the connection's `headers` do).
    None,
    /// `Authorization: Bearer TOKEN`.
    Bearer {
        /// The token.
        token: SecretRef,
    },
    /// A key in a header, or in a query parameter.
    ApiKey {
        /// Which.
        place: KeyPlace,
        /// The key.
        value: SecretRef,
    },
    /// `Authorization: Basic …`.
    Basic {
        /// Who.
        user: SecretText,
        /// The password.
        password: SecretRef,
    },
    /// A bearer token that is fetched, kept, and fetched anew before it runs out.
    Token(TokenRule),
    /// A signature over the body of every request.
    Hmac(HmacRule),
}

/// Where an API key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In this header.
    Header(String),
    /// In this query parameter.
    Query(String),
}

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRule {
    /// The token endpoint.
    pub url: String,
    /// What is shown there.
    pub grant: Grant,
    /// `scope`, if any.
    pub scope: Option<String>,
}

/// What a token is asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// RFC 6749, 4.4.
    ClientCredentials(Client),
    /// RFC 6749, 6.
    RefreshToken {
        /// The client.
        client: Client,
        /// The long-lived token.
        refresh_token: SecretRef,
    },
    /// RFC 7523: an assertion of our own.
    Jwt(JwtRule),
}

/// An OAuth client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: SecretText,
    /// Its secret; a public client has none.
    pub secret: Option<SecretRef>,
    /// Where id and secret stand.
    pub place: ClientPlace,
}

/// `client_auth`: where an OAuth client shows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPlace {
    /// In an `Authorization: Basic` header.
    Header,
    /// Among the fields of the form.
    Body,
}

words!(ClientPlace { Header => "header", Body => "body" });

/// The assertion of RFC 7523.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtRule {
    /// The private key, PEM.
    pub key: SecretRef,
    /// How is signed.
    pub algorithm: JwtAlgorithm,
    /// `kid`, when the other side knows several keys of ours.
    pub key_id: Option<String>,
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `aud`.
    pub audience: String,
    /// How long an assertion is good.
    pub lifetime: Duration,
}

/// Algorithms of RFC 7518 for an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// RSA with SHA-256.
    Rs256,
    /// RSA with SHA-512.
    Rs512,
    /// P-256 with SHA-256.
    Es256,
}

words!(JwtAlgorithm { Rs256 => "RS256", Rs512 => "RS512", Es256 => "ES256" });

/// A signature over the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HmacRule {
    /// The header that carries it.
    pub header: String,
    /// The shared secret.
    pub secret: SecretRef,
    /// The hash.
    pub algorithm: HmacAlgorithm,
    /// How it is written.
    pub encoding: Encoding,
    /// What stands before it, as `sha256=`.
    pub prefix: String,
}

/// Hashes of an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HmacAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA-1, for those who ask for nothing better.
    Sha1,
}

words!(HmacAlgorithm { Sha256 => "sha256", Sha512 => "sha512", Sha1 => "sha1" });

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Lower-case hexadecimal.
    Hex,
    /// Base64 with padding.
    Base64,
}

words!(Encoding { Hex => "hex", Base64 => "base64" });
