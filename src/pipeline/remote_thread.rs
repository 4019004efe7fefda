//! One named thread owns a remote: libssh2 blocks, and its session must never be shared.

use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use crate::ports::{Remote, RemoteError};

type Command = Box<dyn FnOnce(&mut Seat) + Send>;

/// The remote of a thread. What failed once is not trusted again: the next use connects anew.
pub struct Seat {
    remote: Box<dyn Remote>,
    broken: bool,
}

impl Seat {
    /// A seat for tests and for those that have a remote already.
    pub fn new(remote: Box<dyn Remote>) -> Self {
        Self { remote, broken: false }
    }

    /// Works with the remote, after connecting anew where that is needed.
    pub fn with<R>(&mut self, work: impl FnOnce(&mut dyn Remote) -> Result<R, RemoteError>) -> Result<R, RemoteError> {
        if self.broken {
            self.remote = self.remote.another()?;
            self.broken = false;
        }
        let done = work(self.remote.as_mut());
        self.broken = matches!(done, Err(RemoteError::Unreachable { .. }));
        done
    }
}

/// Sends commands to the thread that owns a remote. Dropped: the thread ends after its present command.
pub struct RemoteThread {
    name: String,
    at_once: usize,
    commands: mpsc::Sender<Command>,
}

impl RemoteThread {
    /// Starts the thread and opens the remote in it.
    pub async fn open(
        name: &str,
        open: impl FnOnce() -> Result<Box<dyn Remote>, RemoteError> + Send + 'static,
    ) -> Result<Self, RemoteError> {
        let (commands, queue) = mpsc::channel::<Command>();
        let (opened, answer) = oneshot::channel();
        thread::Builder::new().name(format!("remote {name}")).spawn(move || match open() {
            Ok(remote) => {
                if opened.send(Ok(remote.at_once())).is_ok() {
                    let mut seat = Seat::new(remote);
                    while let Ok(command) = queue.recv() {
                        command(&mut seat);
                    }
                }
            }
            Err(error) => drop(opened.send(Err(error))),
        })?;
        let at_once = answer.await.unwrap_or_else(|_| Err(thread_ended(name)))?;
        Ok(Self { name: name.to_owned(), at_once, commands })
    }

    /// How many threads may work on this place at once, this one included.
    pub fn at_once(&self) -> usize {
        self.at_once
    }

    /// A further handle on the same place, in a thread of its own.
    pub async fn another(&self) -> Result<Self, RemoteError> {
        let handle = self.call(|remote| remote.another()).await?;
        Self::open(&self.name, move || Ok(handle)).await
    }

    /// Runs `work` on the remote's thread.
    pub async fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Remote) -> Result<R, RemoteError> + Send + 'static,
    ) -> Result<R, RemoteError> {
        self.sit(move |seat| seat.with(work)).await
    }

    /// Runs `work`, which may connect anew by itself, on the remote's thread.
    pub async fn sit<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Seat) -> Result<R, RemoteError> + Send + 'static,
    ) -> Result<R, RemoteError> {
        let (done, answer) = oneshot::channel();
        let command: Command = Box::new(move |seat| drop(done.send(work(seat))));
        self.commands.send(command).map_err(|_| thread_ended("remote"))?;
        answer.await.unwrap_or_else(|_| Err(thread_ended("remote")))
    }
}

fn thread_ended(name: &str) -> RemoteError {
    RemoteError::Unreachable {
        message: format!("the thread of {name} ended unexpectedly"),
        hint: Some("run it again; if it comes back, report it with the log".to_owned()),
    }
}
