//! Several files on their way at once, while the run carries them one by one in the order of the listing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::land::{self, LandFault, Landed};
use super::remote_thread::RemoteThread;
use crate::ports::{RemoteError, RemoteFile};

/// Claimed bytes that may be on their way or wait for their turn, so that a folder of large files does not fill the disk.
const MOST_BYTES: u64 = 1 << 30;

/// Begins the names of files that wait for their turn.
const PREFIX: &str = "ahead-";

/// Who is told how far a file is.
pub type Tell = Arc<dyn Fn(&RemoteFile, u64) + Send + Sync>;

/// Handles on one place, lent to one copy each.
struct Lanes {
    idle: Mutex<Vec<Arc<RemoteThread>>>,
    free: Semaphore,
}

impl Lanes {
    /// Opens as many as the place allows and `wanted` needs; with fewer it only takes longer.
    async fn open(first: Arc<RemoteThread>, wanted: usize) -> Self {
        let most = first.at_once().min(wanted);
        let mut idle = Vec::with_capacity(most);
        while idle.len() + 1 < most {
            match first.another().await {
                Ok(lane) => idle.push(Arc::new(lane)),
                Err(error) => {
                    tracing::info!("{} files at once instead of {most}: {error}", idle.len() + 1);
                    break;
                }
            }
        }
        idle.push(first);
        Self { free: Semaphore::new(idle.len()), idle: Mutex::new(idle) }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Arc<RemoteThread>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type OnItsWay = JoinHandle<Result<Landed, LandFault>>;

impl Drop for Ahead {
    fn drop(&mut self) {
        self.lanes.free.close();
    }
}

/// Files that are fetched before their turn.
pub struct Ahead {
    lanes: Arc<Lanes>,
    /// The remote folder.
    folder: String,
    /// Where they wait, in the run's own folder.
    place: PathBuf,
    files: Vec<RemoteFile>,
    /// The next whose turn comes.
    turn: usize,
    /// The next that is sent on its way.
    next: usize,
    depth: usize,
    on_its_way: HashMap<usize, OnItsWay>,
    tell: Tell,
}

impl Ahead {
    /// Prepares to fetch `files`, each once, in their order. What an interrupted run left in `place` is removed.
    pub async fn new(first: Arc<RemoteThread>, folder: &str, files: Vec<RemoteFile>, place: &Path, tell: Tell) -> Self {
        for left in std::fs::read_dir(place).into_iter().flatten().flatten() {
            if left.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
                let _ = std::fs::remove_file(left.path());
            }
        }
        let lanes = Arc::new(Lanes::open(first, files.len()).await);
        let depth = lanes.idle().len() * 2;
        let (folder, place) = (folder.to_owned(), place.to_owned());
        Self { lanes, folder, place, files, turn: 0, next: 0, depth, on_its_way: HashMap::new(), tell }
    }

    fn part(&self, at: usize) -> PathBuf {
        self.place.join(format!("{PREFIX}{at}"))
    }

    /// The fetched file, put to `target`; `None`: it is none of these.
    pub async fn take(&mut self, file: &RemoteFile, target: &Path) -> Option<Result<Landed, LandFault>> {
        let at = self.turn + self.files[self.turn..].iter().position(|listed| listed == file)?;
        self.turn = at + 1;
        self.fill(at);
        let fetched = self.on_its_way.remove(&at)?.await;
        Some(match fetched {
            Ok(Ok(landed)) => {
                land::publish(&self.part(at), target).map(|()| landed).map_err(|error| LandFault::Remote(error.into()))
            }
            Ok(Err(fault)) => Err(fault),
            Err(ended) => Err(LandFault::Remote(RemoteError::Unreachable {
                message: format!("a copy ended unexpectedly: {ended}"),
                hint: Some("run it again; if it comes back, report it with the log".to_owned()),
            })),
        })
    }

    /// Sends files on their way: this one, and as many behind it as lanes and bytes allow.
    fn fill(&mut self, at: usize) {
        let mut bytes: u64 = 0;
        for file in &self.files[at.min(self.next)..self.next] {
            bytes = bytes.saturating_add(file.size.unwrap_or(0));
        }
        while self.next < self.files.len() && (self.next <= at || (self.next < at + self.depth && bytes < MOST_BYTES)) {
            bytes = bytes.saturating_add(self.files[self.next].size.unwrap_or(0));
            let started = self.start(self.next);
            self.on_its_way.insert(self.next, started);
            self.next += 1;
        }
    }

    fn start(&self, at: usize) -> OnItsWay {
        let (lanes, folder, file, part) =
            (self.lanes.clone(), self.folder.clone(), self.files[at].clone(), self.part(at));
        let (tell, told) = (self.tell.clone(), file.clone());
        tokio::spawn(async move {
            // Closed when nobody waits any more.
            let Ok(_free) = lanes.free.acquire().await else { return Err(LandFault::Vanished) };
            let lane = lanes.idle().pop();
            let Some(lane) = lane else { return Err(LandFault::Vanished) };
            let fetched = land::fetch(&lane, &folder, &file, &part, move |done| tell(&told, done)).await;
            lanes.idle().push(lane);
            fetched
        })
    }
}
