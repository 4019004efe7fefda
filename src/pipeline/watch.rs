//! Watches over a run under way: keeps its lease, and halts it when a signal, a person or its time asks for that.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::stop::{Stop, StopSwitch, stop_switch};
use super::{Order, Ports, RunError};
use crate::domain::run::RunState;
use crate::ledger::Ledger;
use crate::ledger::row::{RunFault, RunLease};

/// How often the ledger is asked whether somebody wants the run to end.
const LOOK: Duration = Duration::from_secs(2);
/// How often the lease is renewed: a third of its length.
const RENEW: Duration = Duration::from_secs(10);

/// Why a run halts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Halt {
    /// A signal: the process ends.
    Signal,
    /// A person.
    Cancelled(String),
    /// It took longer than its job allows.
    Timeout(Duration),
}

/// The watch over one run.
pub(super) struct Watch {
    outer: Stop,
    switch: StopSwitch,
    halt: Mutex<Option<Halt>>,
}

impl Watch {
    /// The watch, and ports whose stop it can ask for.
    pub(super) fn over<T>(ports: &Ports<T>) -> (Self, Ports<T>) {
        let (switch, stop) = stop_switch();
        let watched = Ports {
            clock: ports.clock.clone(),
            open_remote: ports.open_remote.clone(),
            target: ports.target.clone(),
            progress: ports.progress.clone(),
            stop,
        };
        (Self { outer: ports.stop.clone(), switch, halt: Mutex::default() }, watched)
    }

    /// Watches until the lease is lost; the end of the run ends the watch.
    pub(super) async fn over_run<T>(
        &self,
        lease: &RunLease,
        timeout: Option<Duration>,
        ports: &Ports<T>,
        ledger: &Ledger,
    ) -> RunError {
        let halting = async {
            self.halt_when_asked(lease, timeout, ledger).await;
            std::future::pending().await
        };
        tokio::select! {
            fenced = self.renew(lease, ports, ledger) => fenced,
            never = halting => never,
        }
    }

    /// Renews the lease until it is lost.
    async fn renew<T>(&self, lease: &RunLease, ports: &Ports<T>, ledger: &Ledger) -> RunError {
        loop {
            tokio::time::sleep(RENEW).await;
            if let Err(error) = ledger.renew(lease, ports.clock.now()) {
                return error.into();
            }
        }
    }

    /// Asks the run to halt, in order, once somebody wants that.
    async fn halt_when_asked(&self, lease: &RunLease, timeout: Option<Duration>, ledger: &Ledger) {
        let why = tokio::select! {
            () = signalled(self.outer.clone()) => Halt::Signal,
            who = cancelled(lease, ledger) => Halt::Cancelled(who),
            limit = too_long(timeout) => Halt::Timeout(limit),
        };
        tracing::info!("run {}: halting ({why:?})", lease.run);
        *self.halt.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.switch.stop();
    }

    /// Writes down what the halt of the run means: its state then.
    pub(super) fn close(
        &self,
        order: &Order,
        lease: &RunLease,
        now: DateTime<Utc>,
        ledger: &Ledger,
    ) -> Result<RunState, RunError> {
        match self.halt.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None | Some(Halt::Signal) => {
                ledger.release_run(lease)?;
                Ok(RunState::Running)
            }
            Some(Halt::Cancelled(who)) => {
                ledger.end_cancelled(lease, &who, now)?;
                Ok(RunState::Cancelled)
            }
            Some(Halt::Timeout(limit)) => {
                let fault = RunFault {
                    code: "timeout".to_owned(),
                    message: format!("{} took longer than its `timeout` of {} s", order.job.name, limit.as_secs()),
                    hint: Some(format!("`nightferry resume {}` goes on; so does the next run of the job", lease.run)),
                };
                ledger.close_run(lease, RunState::Failed, Some(&fault), now)?;
                Ok(RunState::Failed)
            }
        }
    }
}

async fn signalled(mut stop: Stop) {
    stop.requested().await;
}

async fn cancelled(lease: &RunLease, ledger: &Ledger) -> String {
    loop {
        tokio::time::sleep(LOOK).await;
        // A ledger that cannot be read stops the run by itself, at its next step.
        if let Ok(Some(who)) = ledger.cancel_asked(&lease.run) {
            return who;
        }
    }
}

async fn too_long(timeout: Option<Duration>) -> Duration {
    match timeout {
        Some(limit) => {
            tokio::time::sleep(limit).await;
            limit
        }
        None => std::future::pending().await,
    }
}
