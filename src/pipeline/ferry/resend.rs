//! Sends refused and unanswered records again, exactly those: whole batches as they are, others in batches of their own.

use super::{Artifacts, Ferry, RunError};
use crate::domain::delivery::BatchOrigin;
use crate::ledger::row::{Again, BatchRow, Carried, FileId};
use crate::ports::Target;

impl<T: Target> Ferry<'_, T> {
    /// Seals what is to go again, file by file, and delivers it. Whatever was sealed before a crash is delivered by `resume`.
    pub(in crate::pipeline) async fn resend(&mut self, again: &[Again]) -> Result<(), RunError> {
        for file in self.ledger.files(&self.lease.run)? {
            let here: Vec<&Again> = again.iter().filter(|again| again.file == file.id).collect();
            if here.is_empty() || self.stopped() {
                continue;
            }
            self.seal_again(file.id, &here)?;
            let file = self.reread(&file)?;
            self.carry(file).await?;
        }
        Ok(())
    }

    fn seal_again(&mut self, file: FileId, again: &[&Again]) -> Result<(), RunError> {
        let whole = again.iter().filter(|again| again.kind == Carried::WholeBatch);
        self.forced.extend(whole.map(|again| again.batch));
        let mut parents: Vec<(&Again, BatchRow)> = Vec::new();
        for again in again.iter().filter(|again| again.kind != Carried::WholeBatch) {
            let missing = || RunError::Internal(format!("batch {} is not in the ledger", again.batch.0));
            parents.push((again, self.ledger.batch(again.batch)?.ok_or_else(missing)?));
        }
        if parents.is_empty() {
            return Ok(());
        }
        let files = self.ledger.files(&self.lease.run)?;
        let row = files.into_iter().find(|row| row.id == file);
        let row = row.ok_or_else(|| RunError::Internal(format!("file {} is not in the ledger", file.0)))?;
        let artifacts = Artifacts::new(&self.folder, row.ordinal);
        let first = parents.iter().any(|(_, parent)| parent.origin == BatchOrigin::File);
        if first {
            self.make_payload_again(&row, &artifacts)?;
        }
        let payload = self.payload(&row, &artifacts, first)?;
        for (again, parent) in parents {
            let number = self.ledger.next_resend(again.batch)?;
            let part = payload.part(parent.origin, &parent.sealed, again.positions.clone(), number)?;
            self.ledger.carry_again(self.lease, again, &part, number)?;
        }
        Ok(())
    }
}
