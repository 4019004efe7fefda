//! Breaks: one difference with both numbers, from the moment it is found until somebody has signed it off.

use super::run::words;

/// What kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakType {
    /// The file is not what its sender declares.
    ControlTotal,
    /// A file, or a number inside it, does not follow the one before.
    SequenceGap,
    /// The same content came again, and the job does not take it twice.
    RepeatedFile,
    /// The target said a final no.
    RefusedByTarget,
    /// The target has not said what became of records.
    Unanswered,
    /// The target has fewer records than it accepted.
    MissingAtTarget,
    /// The target has more.
    ExtraAtTarget,
    /// The target has another sum.
    AmountDiffers,
}

words!(BreakType {
    ControlTotal => "control_total", SequenceGap => "sequence_gap", RepeatedFile => "repeated_file",
    RefusedByTarget => "refused_by_target", Unanswered => "unanswered", MissingAtTarget => "missing_at_target",
    ExtraAtTarget => "extra_at_target", AmountDiffers => "amount_differs",
});

impl BreakType {
    /// The words for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ControlTotal => "control total",
            Self::SequenceGap => "sequence gap",
            Self::RepeatedFile => "repeated file",
            Self::RefusedByTarget => "refused by target",
            Self::Unanswered => "unanswered",
            Self::MissingAtTarget => "missing at target",
            Self::ExtraAtTarget => "extra at target",
            Self::AmountDiffers => "amount differs",
        }
    }
}

/// The life of a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakState {
    /// Nobody has looked at it.
    Open,
    /// Somebody has said why; it stays on the list until its cause goes.
    Explained,
    /// Its cause is gone.
    Resolved,
    /// Its cause is gone, and its run was signed off since.
    SignedOff,
}

words!(BreakState { Open => "open", Explained => "explained", Resolved => "resolved", SignedOff => "signed_off" });

impl BreakState {
    /// The words for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::SignedOff => "signed off",
            other => other.word(),
        }
    }

    /// Its cause is still there.
    pub const fn is_current(self) -> bool {
        matches!(self, Self::Open | Self::Explained)
    }
}

/// The classes in which ages are counted.
pub const AGES: [&str; 5] = ["0 d", "1 d", "2–3 d", "4–7 d", "> 7 d"];

/// The class of an age, as a place in `AGES`.
pub const fn age_class(age: u32) -> usize {
    match age {
        0 => 0,
        1 => 1,
        2..=3 => 2,
        4..=7 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_age_has_its_class() {
        assert_eq!([0, 1, 3, 5, 9].map(age_class), [0, 1, 2, 3, 4]);
    }
}
