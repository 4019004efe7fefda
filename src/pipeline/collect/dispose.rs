//! Afterwards: what happens to the remote file once everything in it has its fate. The done file or checksum that lies
//! beside it goes the same way.

use chrono::NaiveDate;

use super::choose::companion_name;
use crate::domain::source::{Afterwards, Source, TemplatePart};
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
    let (folder, run) = (folder.to_owned(), run.to_owned());
    // A done file for all files of a day is no file's own.
    let own = source.ready.companion().filter(|template| template.0.contains(&TemplatePart::File));
    let beside = own.and_then(|template| companion_name(template, date, name));
    let names: Vec<Vec<u8>> = [Some(name.to_vec()), beside].into_iter().flatten().collect();
    match &source.afterwards {
        Afterwards::Keep => Ok(()),
        Afterwards::Delete => {
            remote.call(move |remote| names.iter().try_for_each(|name| remote.delete(&folder, name))).await
        }
        Afterwards::MoveTo(template) => {
            let to = template.fill(date, &String::from_utf8_lossy(name));
            remote
                .call(move |remote| names.iter().try_for_each(|name| move_one(remote, &folder, name, &to, &run)))
                .await
        }
    }
}

/// Never over a file that is there: the second of the same name carries its run.
fn move_one(remote: &mut dyn Remote, folder: &str, name: &[u8], to: &str, run: &str) -> Result<(), RemoteError> {
    if remote.stat(folder, name)?.is_none() {
        return Ok(());
    }
    let aside = [name, b".", run.as_bytes()].concat();
    let new_name = if remote_has(remote, to, name)? { &aside } else { name };
    remote.rename(folder, name, to, new_name)
}

fn remote_has(remote: &mut dyn Remote, folder: &str, name: &[u8]) -> Result<bool, RemoteError> {
    match remote.stat(folder, name) {
        Ok(found) => Ok(found.is_some()),
        // The folder is not there yet; `rename` makes it.
        Err(RemoteError::Refused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
