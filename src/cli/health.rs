//! `nightferry health`: whether the daemon serves and looks round, for a container's HEALTHCHECK. No output.

use super::Common;
use super::context::Context;
use super::exit::{Exit, Failure};
use crate::serve::lock::is_healthy;

/// Runs the command.
pub fn execute(common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    Ok(if is_healthy(&context.data) { Exit::DONE } else { Exit::FAILED })
}
