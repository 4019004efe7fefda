//! What an answer means for a batch, as the ledger takes it.

use super::Coordinator;
use crate::domain::delivery::{Answered, Fate};
use crate::ledger::row::{Answers, BatchId, RefusedRecord, Verdict};
use crate::pipeline::RunError;
use crate::pipeline::answer::long_excerpt;
use crate::pipeline::split::{Division, divide};
use crate::ports::{Reply, SendError, Target};

impl<T: Target> Coordinator<'_, T> {
    /// Stops when a person wants no more refusals than this, one behind the other.
    pub(super) fn watch_refusals(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Answered(Answers::AllAccepted) => self.refused_in_a_row = 0,
            Verdict::Answered(Answers::Each(fates, _)) => {
                for fate in fates {
                    match fate {
                        Fate::Accepted { .. } => self.refused_in_a_row = 0,
                        Fate::Refused { .. } => self.refused_in_a_row += 1,
                        Fate::Unanswered => {}
                    }
                }
            }
            Verdict::Split(refused, _) => self.refused_in_a_row += refused.len() as u64,
            Verdict::NotTaken(_) | Verdict::Unknown(_) => {}
        }
        let count = self.refused_in_a_row;
        if self.order.stop_after.is_some_and(|most| count >= most) && !self.stopping {
            self.stop();
            self.fault = Some(self.refused_too_often(count));
        }
    }

    /// What an operator sees of an answer that did not accept everything: what is odd about it, and how it begins.
    pub(super) fn remark(&self, id: BatchId, reply: &Result<Reply, SendError>, answered: &Answered) -> String {
        if answered.fates.iter().all(Fate::is_accepted) {
            return answered.remark.clone().unwrap_or_default();
        }
        if let Some(remark) = &answered.remark {
            let ordinal = self.batches[&id].sealed.ordinal;
            tracing::warn!("{}: batch {ordinal}: {remark}", self.place());
        }
        let reply = reply.as_ref().map(|reply| long_excerpt(&reply.body)).unwrap_or_default();
        answered.remark.iter().cloned().chain([reply]).collect::<Vec<_>>().join("; ")
    }

    /// A final no to the batch as a whole: it is meant for all of its records, for those that the target names, or for one
    /// that smaller batches will find.
    pub(super) fn refused(&mut self, id: BatchId, reply: &Result<Reply, SendError>) -> Result<Verdict, RunError> {
        let (origin, sealed) = {
            let batch = &self.batches[&id];
            (batch.origin, batch.sealed.clone())
        };
        let (status, named) = match reply {
            Ok(reply) => {
                let body = self.order.payload.body(origin, &sealed)?;
                (reply.status, self.reader.named(reply, &body, sealed.records))
            }
            Err(_) => (0, Vec::new()),
        };
        let positions: Vec<u64> = named.iter().map(|(position, ..)| *position).collect();
        let part = |positions| self.order.payload.part(origin, &sealed, positions, 0);
        let (refused, parts) = match divide(status, sealed.records, &positions) {
            Division::Whole => return Ok(Verdict::Answered(self.refuse_all(id, reply, named)?)),
            Division::Halves(left, right) => (Vec::new(), vec![part(left)?, part(right)?]),
            Division::Named { others } => {
                let parts = vec![part(others)?];
                let refused = named.into_iter().map(|(at, code, message)| self.refused_record(id, at, code, message));
                (refused.collect::<Result<_, _>>()?, parts)
            }
        };
        // The target has answered, so its address is right.
        self.answered_any = true;
        Ok(Verdict::Split(refused, parts))
    }

    fn refuse_all(
        &self,
        id: BatchId,
        reply: &Result<Reply, SendError>,
        named: Vec<(u64, String, String)>,
    ) -> Result<Answers, RunError> {
        let (code, message) = match reply {
            Ok(reply) => self.reader.refusal(reply),
            Err(error) => ("refused".to_owned(), error.to_string()),
        };
        let records = self.batches[&id].sealed.records as usize;
        let mut fates = vec![Fate::Refused { code, message }; records];
        for (position, code, message) in named {
            if let Some(fate) = fates.get_mut(position as usize) {
                *fate = Fate::Refused { code, message };
            }
        }
        self.answers(id, &fates)
    }

    /// The fates as the ledger takes them, with the raw row of every refused record.
    pub(super) fn answers(&self, id: BatchId, fates: &[Fate]) -> Result<Answers, RunError> {
        if fates.iter().all(|fate| *fate == Fate::ACCEPTED) {
            return Ok(Answers::AllAccepted);
        }
        let mut refused = Vec::new();
        for (position, fate) in (0..).zip(fates) {
            if let Fate::Refused { code, message } = fate {
                refused.push(self.refused_record(id, position, code.clone(), message.clone())?);
            }
        }
        Ok(Answers::Each(fates.to_vec(), refused))
    }

    fn refused_record(
        &self,
        id: BatchId,
        position: u64,
        code: String,
        message: String,
    ) -> Result<RefusedRecord, RunError> {
        let batch = &self.batches[&id];
        let (entry, raw) = self.order.payload.rows(batch.origin, &batch.sealed, position).map_err(RunError::Spool)?;
        let masked = self.order.hides.then(|| "(not shown: it may hold personal data)".to_owned());
        Ok(RefusedRecord { position, row: entry.row, byte: entry.byte, code, message, raw, masked })
    }
}
