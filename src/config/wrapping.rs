//! `[format]`: how the files of a job are wrapped.

use globset::GlobBuilder;

use super::template::{Known, date_template};
use super::tree::Table;
use super::unit::size;
use crate::domain::wrapping::{Compression, Wrapping};

/// Reads the table; `None` when it has a mistake that leaves no meaning, or says nothing.
pub fn read(table: Table<'_>) -> Option<Wrapping> {
    let known: Vec<_> = Compression::ALL.iter().map(|kind| kind.word()).collect();
    let compression = table.word("compression", Compression::from_word, &known);
    let member = table.text("archive_member");
    if let (Some(member), true) = (&member, compression.is_some_and(|kind| kind != Compression::Zip)) {
        let message = "`archive_member` belongs to compression `zip`";
        table.sink().error("NF109", &member.span, message, "has no effect here");
    }
    let member = member.and_then(|text| {
        let template = date_template(table.sink(), &text, Known::Dates)?;
        let built = GlobBuilder::new(&template.fill(chrono::NaiveDate::default(), "")).literal_separator(true).build();
        if let Err(error) = built {
            table.sink().error("NF122", &text.span, format!("this pattern cannot be used: {}", error.kind()), "");
            return None;
        }
        Some(template)
    });
    let max_size = table.get("max_size").and_then(|value| size(&value));
    let max_ratio = table.get("max_ratio").and_then(|value| value.integer(1, 1_000_000));
    if compression.is_none() && !table.has("compression") && !table.has("decrypt") {
        table.sink().error("NF103", &table.span(), "`format` needs `compression`", "");
    }
    table.end();
    let wrapping = Wrapping::new(compression?);
    Some(Wrapping {
        member,
        max_size: max_size.unwrap_or(wrapping.max_size),
        max_ratio: max_ratio.unwrap_or(wrapping.max_ratio),
        ..wrapping
    })
}
