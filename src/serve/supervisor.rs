//! What systemd is told (`Type=notify`); without systemd nobody is.

use std::cell::RefCell;

use sd_notify::NotifyState;

/// The service manager that started us, if one did.
#[derive(Debug, Default)]
pub struct Supervisor {
    last_status: RefCell<String>,
}

impl Supervisor {
    /// Knows from `NOTIFY_SOCKET` whether somebody listens.
    pub fn from_environment() -> Self {
        Self::default()
    }

    /// The daemon serves.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// The files are read again; `ready` follows.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// The daemon ends in order.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// The daemon looks round: the watchdog need not bite.
    pub fn alive(&self) {
        tell(&[NotifyState::Watchdog]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, running: usize, waiting: usize) {
        let status = format!("{running} running, {waiting} waiting for a file");
        if *self.last_status.borrow() != status {
            tell(&[NotifyState::Status(&status)]);
            self.last_status.replace(status);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager was not told: {error}");
    }
}
