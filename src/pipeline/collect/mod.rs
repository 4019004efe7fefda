//! Collect: find the files that are ready, land them whole, and clean up behind them once everything has its fate.

pub mod checksum;
pub mod choose;
mod dispose;
mod look;

use std::fs;
use std::path::{Path, PathBuf};

pub use dispose::dispose;
pub use look::{Listing, Memory, Refused, look};

use crate::domain::reject::{FileFault, RejectCode};

fn fault(code: RejectCode, message: String) -> FileFault {
    FileFault { code, row: None, byte: 0, column: None, message }
}

/// The folder of a run's own files, made with mode 0700.
pub fn run_folder(data: &Path, run: &str) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = data.join("files").join(run);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    Ok(folder)
}
