//! Sorting more entries than memory holds: runs on disk, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

/// Most bytes of entries in memory.
const IN_MEMORY: usize = 24 << 20;

/// Sorts entries of `N` bytes by their bytes.
pub(super) struct Sorter<const N: usize> {
    entries: Vec<[u8; N]>,
    runs: Vec<File>,
    scratch: Option<std::path::PathBuf>,
    most: usize,
}

impl<const N: usize> Sorter<N> {
    /// Runs go to a file without a name in `scratch`, or in the system's folder for such files.
    pub(super) fn new(scratch: Option<&Path>) -> Self {
        Self { entries: Vec::new(), runs: Vec::new(), scratch: scratch.map(Path::to_owned), most: IN_MEMORY / N }
    }

    pub(super) fn push(&mut self, entry: [u8; N]) -> io::Result<()> {
        if self.entries.len() == self.most {
            self.spill()?;
        }
        self.entries.push(entry);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.entries.sort_unstable();
        let mut file = scratch_file(self.scratch.as_deref())?;
        let mut out = BufWriter::with_capacity(1 << 16, &file);
        self.entries.iter().try_for_each(|entry| out.write_all(entry))?;
        out.flush()?;
        drop(out);
        file.rewind()?;
        self.entries.clear();
        self.runs.push(file);
        Ok(())
    }

    /// Calls `each` with every entry in order.
    pub(super) fn drain(mut self, each: &mut dyn FnMut(&[u8; N]) -> io::Result<()>) -> io::Result<()> {
        self.entries.sort_unstable();
        if self.runs.is_empty() {
            return self.entries.iter().try_for_each(each);
        }
        let mut runs: Vec<Box<dyn Iterator<Item = io::Result<[u8; N]>>>> = Vec::new();
        for file in self.runs {
            let mut input = BufReader::with_capacity(1 << 16, file);
            runs.push(Box::new(std::iter::from_fn(move || read_entry(&mut input).transpose())));
        }
        runs.push(Box::new(self.entries.into_iter().map(Ok)));
        let mut heads = BinaryHeap::new();
        for (at, run) in runs.iter_mut().enumerate() {
            if let Some(entry) = run.next() {
                heads.push(Reverse((entry?, at)));
            }
        }
        while let Some(Reverse((entry, at))) = heads.pop() {
            each(&entry)?;
            if let Some(next) = runs.get_mut(at).and_then(Iterator::next) {
                heads.push(Reverse((next?, at)));
            }
        }
        Ok(())
    }
}

fn read_entry<const N: usize>(input: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut entry = [0; N];
    match input.read_exact(&mut entry) {
        Ok(()) => Ok(Some(entry)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file without a name.
pub(super) fn scratch_file(folder: Option<&Path>) -> io::Result<File> {
    match folder {
        Some(folder) => tempfile::tempfile_in(folder),
        None => tempfile::tempfile(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_in_order_also_from_disk() {
        for most in [3, 1000] {
            let mut sorter = Sorter::<4> { most, ..Sorter::new(None) };
            let mut expected: Vec<u32> = (0..500_u32).map(|n| n.wrapping_mul(2_654_435_761)).collect();
            for number in &expected {
                sorter.push(number.to_be_bytes()).unwrap();
            }
            expected.sort_unstable();
            let mut found = Vec::new();
            sorter
                .drain(&mut |entry| {
                    found.push(u32::from_be_bytes(*entry));
                    Ok(())
                })
                .unwrap();
            assert_eq!(found, expected);
        }
    }
}
