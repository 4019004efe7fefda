//! Shows diagnostics: for people with the line and a caret, for machines as JSON.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::json;

use super::diagnostic::{Diagnostic, Problems, SECRET_IN_FILE, Severity};

/// All diagnostics as text, one after the other.
pub fn render(problems: &Problems, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for diagnostic in &problems.diagnostics {
        let source = shown_source(problems, &diagnostic.path);
        let second = diagnostic.second.as_ref().map(|second| shown_source(problems, &second.path));
        text.push_str(&one(diagnostic, &source, second.as_deref(), &renderer));
        text.push_str("\n\n");
    }
    text
}

/// The text of a file as it may be shown: a secret that somebody wrote into it is not shown a second time.
fn shown_source(problems: &Problems, path: &str) -> String {
    let mut source = problems.sources.get(path).cloned().unwrap_or_default();
    if path == "connections.toml" {
        return without_values(&source);
    }
    for secret in problems.diagnostics.iter().filter(|one| one.code == SECRET_IN_FILE && one.path == path) {
        let span = secret.span.clone();
        if source.is_char_boundary(span.start) && source.is_char_boundary(span.end) {
            // As many bytes, so that every other place stays where it is.
            source.replace_range(span.clone(), &"*".repeat(span.len()));
        }
    }
    source
}

/// Only names stay readable where logins are written: a secret may stand anywhere in the values. As many bytes, so that
/// every place stays where it is.
fn without_values(source: &str) -> String {
    let hidden = |line: &str| {
        let kept = if line.trim_start().starts_with('[') { line.len() } else { line.find('=').map_or(0, |at| at + 1) };
        let (name, value) = line.split_at(kept);
        name.to_owned() + &"*".repeat(value.len())
    };
    source.split('\n').map(hidden).collect::<Vec<_>>().join("\n")
}

fn one(diagnostic: &Diagnostic, source: &str, second: Option<&str>, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let span = diagnostic.span.start.min(source.len())..diagnostic.span.end.min(source.len());
    let mark =
        AnnotationKind::Primary.span(span).label((!diagnostic.label.is_empty()).then_some(diagnostic.label.as_str()));
    let mut snippet = Snippet::source(source).path(diagnostic.path.as_str()).annotation(mark);
    let mut apart = None;
    if let (Some(other), Some(text)) = (&diagnostic.second, second) {
        let mark = AnnotationKind::Context
            .span(other.span.start.min(text.len())..other.span.end.min(text.len()))
            .label(other.label.as_str());
        if other.path == diagnostic.path {
            snippet = snippet.annotation(mark);
        } else {
            apart = Some(Snippet::source(text).path(other.path.as_str()).annotation(mark));
        }
    }
    let mut group = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code).element(snippet);
    if let Some(apart) = apart {
        group = group.element(apart);
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group]).to_string()
}

/// One line each: `path:line:column: error[NF101]: message`.
pub fn concise(problems: &Problems) -> String {
    let line = |one: &Diagnostic| {
        let severity = severity_word(one);
        format!("{}:{}:{}: {severity}[{}]: {}\n", one.path, one.line, one.column, one.code, one.message)
    };
    problems.diagnostics.iter().map(line).collect()
}

/// Annotations that GitHub's workflows show beside the line.
pub fn github(problems: &Problems) -> String {
    let escaped = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let line = |one: &Diagnostic| {
        let (severity, message) = (severity_word(one), escaped(&one.message));
        let Diagnostic { path, line, column, code, .. } = one;
        format!("::{severity} file={path},line={line},col={column},title={code}::{message}\n")
    };
    problems.diagnostics.iter().map(line).collect()
}

fn severity_word(diagnostic: &Diagnostic) -> &'static str {
    if diagnostic.is_error() { "error" } else { "warning" }
}

/// `{ errors, warnings, diagnostics: [ { code, severity, path, line, column, message, help } ] }`.
pub fn to_json(problems: &Problems) -> serde_json::Value {
    let diagnostics: Vec<_> = problems
        .diagnostics
        .iter()
        .map(|diagnostic| {
            json!({
                "code": diagnostic.code,
                "severity": if diagnostic.is_error() { "error" } else { "warning" },
                "path": diagnostic.path,
                "line": diagnostic.line,
                "column": diagnostic.column,
                "message": diagnostic.message,
                "help": (!diagnostic.help.is_empty()).then(|| diagnostic.help.join("\n")),
            })
        })
        .collect();
    json!({ "errors": problems.errors(), "warnings": problems.warnings(), "diagnostics": diagnostics })
}
