//! What a person is told when a delivery did not come to its end.

use super::Coordinator;
use crate::domain::delivery::{Failure, FailureKind};
use crate::domain::file::shown_name;
use crate::ledger::row::{RunFault, RunLease};
use crate::ports::Target;

impl<T: Target> Coordinator<'_, T> {
    /// The attempts of a batch are spent; a later run goes on.
    pub(super) fn not_delivered(&self, failure: &Failure) -> RunFault {
        RunFault {
            code: "not-delivered".to_owned(),
            message: format!("{}: not every batch was delivered: {}", self.place(), failure.message),
            hint: Some(resume_hint(self.order.lease)),
        }
    }

    /// As many refusals in a row as a person wanted to see.
    pub(super) fn refused_too_often(&self, count: u64) -> RunFault {
        RunFault {
            code: "stopped-after-refusals".to_owned(),
            message: format!("{}: stopped after {count} refusals in a row", self.place()),
            hint: Some(format!("the rest was not sent; {}", resume_hint(self.order.lease))),
        }
    }

    /// What failed here would fail for every batch.
    pub(super) fn stopped(&self, failure: &Failure) -> RunFault {
        let what = match failure.kind {
            FailureKind::Login => {
                "check the secrets and `token_url` of the connection (`connections.toml`, `auth`), then "
            }
            FailureKind::LoginExpired | FailureKind::Status(401 | 403) => {
                "check the token of the connection (`connections.toml`, `auth`), then "
            }
            FailureKind::Status(404 | 405) => "check `base_url`, `path` and `method`, then ",
            FailureKind::Status(300..=399) => "put the final address into `base_url` or `path`, then ",
            FailureKind::KeyReused => "find out at the target who sent under this key, and report it to us; then ",
            _ => "look at what answers there and at `[target.response]`, then ",
        };
        let code = if failure.kind == FailureKind::KeyReused { "key-reused" } else { "stopped-by-target" };
        RunFault {
            code: code.to_owned(),
            message: format!("{}: stopped, nothing more was sent: {}", self.place(), failure.message),
            hint: Some(format!("{what}{}", resume_hint(self.order.lease))),
        }
    }

    pub(super) fn place(&self) -> String {
        let name = shown_name(&self.order.file.name);
        format!("{}: {name}: {}{}", self.order.job.name, self.order.connection.base_url, self.order.job.target.path)
    }
}

fn resume_hint(lease: &RunLease) -> String {
    format!("`nightferry resume {}` goes on at the first batch that is not accepted", lease.run)
}
