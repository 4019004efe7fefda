//! What must hold between the fields of a record: `[[checks]]`, and `not_before` and `not_after` of fields.

use rust_decimal::Decimal;

use super::kept::Kept;
use super::plan::Compiler;
use super::spec::{CheckRule, CheckSpec};
use super::text;
use super::value::Refusal;
use crate::domain::reject::RejectCode;

/// `not_before` or `not_after` of a field.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The field.
    pub(super) field: usize,
    /// Where its value is kept.
    pub(super) own: usize,
    /// Where the other's is.
    pub(super) slot: usize,
    /// The other field.
    pub(super) other: String,
    /// `not_before`, otherwise `not_after`.
    pub(super) before: bool,
    /// The field belongs to lines.
    pub(super) of_lines: bool,
}

impl Order {
    /// `None` when it holds, or when one of the two has no value.
    pub(super) fn fault(&self, kept: &[Kept]) -> Option<Box<Refusal>> {
        let (own, other) = (kept.get(self.own)?, kept.get(self.slot)?);
        let (code, word, wrong) = match self.before {
            true => (RejectCode::Before, "before", own.is_before(other)?),
            false => (RejectCode::After, "after", other.is_before(own)?),
        };
        wrong.then(|| {
            let (value, limit) = (text::shown(&own.words()), text::shown(&other.words()));
            Refusal::new(code, format!("{value} is {word} {limit}, the `{}` of the same record", self.other))
        })
    }
}

/// One of `[[checks]]`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    code: RejectCode,
    title: String,
    pub(super) warn: bool,
    test: RuleTest,
}

#[derive(Clone, Debug)]
enum RuleTest {
    Sum { field: String, slot: usize, of_lines: bool, other: String, equals: usize, tolerance: Decimal },
    NotBefore { field: String, slot: usize, other: String, limit: usize },
    Equals { field: String, slot: usize, other: String, equals: usize },
    AtLeastOneOf { fields: Vec<String>, slots: Vec<usize> },
}

/// What a rule knows of the lines of a record so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    sum: Decimal,
    /// A value was no number, or the sum has too many digits.
    unknown: bool,
    any: bool,
}

impl Rule {
    pub(super) fn new(spec: &CheckSpec, compiler: &mut Compiler<'_>) -> Self {
        let test = match &spec.rule {
            CheckRule::Sum { sum, equals, tolerance } => RuleTest::Sum {
                field: sum.clone(),
                slot: compiler.slot(sum),
                of_lines: compiler.is_of_lines(sum),
                other: equals.clone(),
                equals: compiler.slot(equals),
                tolerance: *tolerance,
            },
            CheckRule::NotBefore { field, other } => RuleTest::NotBefore {
                field: field.clone(),
                slot: compiler.slot(field),
                other: other.clone(),
                limit: compiler.slot(other),
            },
            CheckRule::Equals { field, other } => RuleTest::Equals {
                field: field.clone(),
                slot: compiler.slot(field),
                other: other.clone(),
                equals: compiler.slot(other),
            },
            CheckRule::AtLeastOneOf(fields) => RuleTest::AtLeastOneOf {
                fields: fields.clone(),
                slots: fields.iter().map(|field| compiler.slot(field)).collect(),
            },
        };
        let code = RejectCode::Check(spec.id.as_str().into());
        Self { code, title: spec.title.clone(), warn: spec.warn, test }
    }

    /// `check:ID`.
    pub(super) fn code(&self) -> &RejectCode {
        &self.code
    }

    /// Takes the values of one line.
    pub(super) fn see_line(&self, kept: &[Kept], seen: &mut Seen) {
        match &self.test {
            RuleTest::Sum { slot, of_lines: true, .. } => seen.add(kept.get(*slot)),
            RuleTest::AtLeastOneOf { slots, .. } => {
                seen.any |= slots.iter().any(|slot| kept.get(*slot).is_some_and(|kept| !kept.is_nothing()));
            }
            _ => {}
        }
    }

    /// Why the rule does not hold.
    pub(super) fn fault(&self, kept: &[Kept], seen: &Seen) -> Option<Box<Refusal>> {
        let at = |slot: &usize| kept.get(*slot).unwrap_or(&Kept::Nothing);
        let message = match &self.test {
            RuleTest::Sum { field, slot, of_lines, other, equals, tolerance } => {
                let mut sum = seen.clone();
                if !of_lines {
                    sum.add(kept.get(*slot));
                }
                sum_fault(field, &sum, other, at(equals), *tolerance)?
            }
            RuleTest::NotBefore { field, slot, other, limit } => {
                let (value, limit) = (at(slot), at(limit));
                let (early, late) = (text::shown(&value.words()), text::shown(&limit.words()));
                value.is_before(limit)?.then(|| format!("`{field}` {early} is before `{other}` {late}"))?
            }
            RuleTest::Equals { field, slot, other, equals } => {
                let (left, right) = (at(slot), at(equals));
                let same = match (left.number(), right.number()) {
                    (Some(left), Some(right)) => left == right,
                    _ => left == right,
                };
                let (left, right) = (text::shown(&left.words()), text::shown(&right.words()));
                (!same).then(|| format!("`{field}` is {left}, and `{other}` is {right}"))?
            }
            RuleTest::AtLeastOneOf { fields, slots } => {
                let any = seen.any || slots.iter().any(|slot| !at(slot).is_nothing());
                (!any).then(|| format!("none of {} has a value", text::list(fields, 20)))?
            }
        };
        let title = if self.title.is_empty() { String::new() } else { format!("{}: ", self.title) };
        Some(Refusal::new(self.code.clone(), format!("{title}{message}")))
    }
}

impl Seen {
    fn add(&mut self, kept: Option<&Kept>) {
        match kept {
            None | Some(Kept::Nothing) => {}
            Some(kept) => match kept.number().and_then(|number| self.sum.checked_add(number)) {
                Some(sum) => self.sum = sum,
                None => self.unknown = true,
            },
        }
    }
}

/// A total that is not declared proves nothing, so it does not pass.
fn sum_fault(field: &str, seen: &Seen, other: &str, declared: &Kept, tolerance: Decimal) -> Option<String> {
    let Some(declared) = declared.number() else {
        return Some(format!("`{other}` has no number to compare the sum of `{field}` with"));
    };
    if seen.unknown {
        return Some(format!("the sum of `{field}` cannot be built: a value is no number, or it has too many digits"));
    }
    let difference = (seen.sum - declared).abs();
    (difference > tolerance)
        .then(|| format!("the sum of `{field}` is {}, and `{other}` is {declared} (difference {difference})", seen.sum))
}
