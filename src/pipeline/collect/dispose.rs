//! Afterwards: what happens to the remote file once everything in it has its fate.

use chrono::NaiveDate;

use crate::domain::source::{Afterwards, Source};
use crate::pipeline::remote_thread::RemoteThread;
use crate::ports::{Remote, RemoteError};

/// Does on the remote side what `afterwards` says. Last, alone, repeatable: what is already gone or moved is a success.
pub async fn dispose(
    source: &Source,
    date: NaiveDate,
    folder: &str,
    name: &[u8],
    run: &str,
    remote: &RemoteThread,
) -> Result<(), RemoteError> {
    let (folder, name) = (folder.to_owned(), name.to_vec());
    match &source.afterwards {
        Afterwards::Keep => Ok(()),
        Afterwards::Delete => remote.call(move |remote| remote.delete(&folder, &name)).await,
        Afterwards::MoveTo(template) => {
            let to = template.fill(date, &String::from_utf8_lossy(&name));
            let aside = aside_name(&name, run);
            remote
                .call(move |remote| {
                    if remote.stat(&folder, &name)?.is_none() {
                        return Ok(());
                    }
                    // Never over a file that is there: the second of the same name carries its run.
                    let new_name = if remote_has(remote, &to, &name)? { &aside } else { &name };
                    remote.rename(&folder, &name, &to, new_name)
                })
                .await
        }
    }
}

fn remote_has(remote: &mut dyn Remote, folder: &str, name: &[u8]) -> Result<bool, RemoteError> {
    match remote.stat(folder, name) {
        Ok(found) => Ok(found.is_some()),
        // The folder is not there yet; `rename` makes it.
        Err(RemoteError::Refused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn aside_name(name: &[u8], run: &str) -> Vec<u8> {
    [name, b".", run.as_bytes()].concat()
}
