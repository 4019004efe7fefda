//! `nightferry audit` and `audit verify`: what people did, and whether the trail of it is whole.

use serde_json::json;

use super::Common;
use super::context::{Context, ledger_failure, print, print_json};
use super::exit::{Exit, Failure};
use crate::domain::file::shown_name;
use crate::ledger::audit::{AuditRow, Verified};
use crate::report::document::instant;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// At most so many, newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// One JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Follow the chain of entries: finds edits, deletions, another order and a shortened trail
    Verify {
        /// Also compare with an entry whose hash was kept elsewhere
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Option<String>,
    },
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let Some(ledger) = context.ledger_to_read()? else {
        print(if args.json { "[]\n" } else { "nothing was written down yet\n" });
        return Ok(Exit::DONE);
    };
    if let Some(Command::Verify { head }) = &args.command {
        let head = head.as_deref().map(read_head).transpose()?;
        let verified = ledger
            .verify_audit(head.as_ref().map(|(seq, hash)| (*seq, hash.as_str())))
            .map_err(|error| ledger_failure(&error))?;
        return show_verified(&verified, args.json);
    }
    let entries = ledger.audit_entries(args.limit).map_err(|error| ledger_failure(&error))?;
    if args.json {
        print_json(&entries.iter().map(document).collect::<Vec<_>>())?;
    } else if entries.is_empty() {
        print("nothing was written down yet\n");
    } else {
        print(&entries.iter().map(line).collect::<String>());
    }
    Ok(Exit::DONE)
}

fn read_head(text: &str) -> Result<(u64, String), Failure> {
    let head = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, hash.to_owned())));
    head.ok_or_else(|| Failure::new(Exit::USAGE, "wrong-head", "`--head` is the number and the hash: `17:9a41c2…`"))
}

fn show_verified(verified: &Verified, json: bool) -> Result<Exit, Failure> {
    let whole = verified.faults.is_empty();
    if json {
        print_json(&json!({
            "whole": whole, "entries": verified.entries, "head": verified.head, "faults": verified.faults,
            "notes": verified.notes,
        }))?;
    } else {
        let mut text = String::new();
        for fault in &verified.faults {
            text += &format!("✗ {}\n", shown_name(fault.as_bytes()));
        }
        for note in &verified.notes {
            text += &format!("note: {note}\n");
        }
        if whole {
            text += &format!("✓ the trail of {} entries is whole\n", verified.entries);
        }
        if let Some(head) = &verified.head {
            text += &format!(
                "  head {}:{head}\n  kept somewhere else, it proves the trail later: `nightferry audit verify --head …`\n",
                verified.entries
            );
        }
        print(&text);
    }
    Ok(if whole { Exit::DONE } else { Exit::FAILED })
}

fn document(row: &AuditRow) -> serde_json::Value {
    json!({
        "seq": row.seq, "at": instant(row.at), "who": row.who, "action": row.action, "what": row.what,
        "reason": row.reason, "hash": row.hash,
    })
}

fn line(row: &AuditRow) -> String {
    let shown = |text: &str| shown_name(text.as_bytes());
    let text = format!(
        "{:>6}  {}  {:<12} {:<18} {}  {}",
        row.seq,
        instant(row.at),
        shown(&row.who),
        row.action,
        shown(&row.what),
        shown(&row.reason)
    );
    text.trim_end().to_owned() + "\n"
}
