//! SIGINT and SIGTERM: the first asks the run to stop in order, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Exit, Failure};
use crate::pipeline::stop::{Stop, StopSwitch, stop_switch};

/// The exit code of the signal that came, 0 before.
#[derive(Clone, Debug, Default)]
pub struct Caught(Arc<AtomicU8>);

impl Caught {
    /// The exit code of an interrupted run.
    pub fn exit(&self) -> Exit {
        match self.0.load(Ordering::Relaxed) {
            0 => Exit(130),
            code => Exit(code),
        }
    }
}

/// Listens from now on; must be called inside the runtime.
pub fn listen() -> Result<(Stop, Caught), Failure> {
    let cannot =
        |error: std::io::Error| Failure::new(Exit::FAILED, "internal", format!("cannot listen to signals: {error}"));
    let (switch, stop) = stop_switch();
    let caught = Caught::default();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let seen = caught.clone();
    tokio::spawn(async move {
        loop {
            let code = tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            };
            react(&switch, &seen, code);
        }
    });
    Ok((stop, caught))
}

fn react(switch: &StopSwitch, seen: &Caught, code: u8) {
    if seen.0.swap(code, Ordering::Relaxed) != 0 {
        // Everything that must survive is in the ledger already.
        std::process::exit(i32::from(code));
    }
    tracing::warn!("stopping after the requests under way; a second signal stops at once");
    switch.stop();
}
