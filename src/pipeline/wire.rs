//! What is sent for a sealed body, when that is not the body itself: made of its records again for each attempt.

use super::protocol::Protocol;
use crate::domain::job::BatchRule;
use crate::mapping::envelope::Envelope;
use crate::mapping::request::{Encoder, Request};
use crate::mapping::spec::MappingSpec;

/// The form of bodies in the spool, and of the requests that are made of them.
pub struct Form {
    /// What stands around the records in the spool.
    pub envelope: Envelope,
    /// Makes the requests; `None`: bodies are sent as they are.
    pub wire: Option<Wire>,
}

impl Form {
    /// By these rules.
    pub fn new(spec: &MappingSpec, rule: &BatchRule) -> Self {
        Self { envelope: Envelope::new(rule, spec.output.format), wire: Wire::new(spec, rule) }
    }
}

/// Makes requests.
pub struct Wire {
    spec: MappingSpec,
    rule: BatchRule,
}

impl Wire {
    fn new(spec: &MappingSpec, rule: &BatchRule) -> Option<Self> {
        Encoder::new(spec, rule)?;
        Some(Self { spec: spec.clone(), rule: rule.clone() })
    }

    /// What the other side speaks.
    pub fn protocol(&self) -> Protocol {
        Protocol::of(&self.rule.request.body)
    }

    /// The request of these records; the same always.
    ///
    /// # Errors
    /// Why there is none.
    pub fn request(&self, records: &[&[u8]]) -> Result<Request, String> {
        let mut encoder = Encoder::new(&self.spec, &self.rule).ok_or("a body that is sent as it is has no request")?;
        encoder.encode(records)
    }
}
