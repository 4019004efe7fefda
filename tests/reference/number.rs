//! Exact decimals as digits in a row, and dates as three numbers.

/// Digits with no leading zeros (none for zero), of which the last `decimals` stand behind the point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    pub negative: bool,
    pub digits: String,
    pub decimals: usize,
}

/// More digits than this are no number here; fewer are exact.
const MOST_DIGITS: usize = 28;

impl Number {
    /// Reads the notation of a file; `None` when the text is not in it.
    pub fn read(text: &str, decimal_mark: char, group_mark: Option<char>) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = match rest.split_once(decimal_mark) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (rest, None),
        };
        let is_digits = |text: &str| !text.is_empty() && text.chars().all(|character| character.is_ascii_digit());
        let whole = match group_mark {
            Some(mark) if whole.contains(mark) => {
                let groups: Vec<&str> = whole.split(mark).collect();
                let lengths_fit =
                    (1..=3).contains(&groups[0].len()) && groups[1..].iter().all(|group| group.len() == 3);
                if !lengths_fit {
                    return None;
                }
                groups.concat()
            }
            _ => whole.to_owned(),
        };
        if !is_digits(&whole) || fraction.is_some_and(|fraction| !is_digits(fraction)) {
            return None;
        }
        let fraction = fraction.unwrap_or("");
        let digits = (whole + fraction).trim_start_matches('0').to_owned();
        (digits.len() <= MOST_DIGITS).then_some(Self {
            negative: negative && !digits.is_empty(),
            digits,
            decimals: fraction.len(),
        })
    }

    /// Reads a number as the mapping writes it.
    pub fn constant(text: &str) -> Self {
        Self::read(text, '.', None).expect("a number in the mapping")
    }

    /// Decimals that are not zeros at the end.
    pub fn needed_decimals(&self) -> usize {
        let zeros = self.digits.len() - self.digits.trim_end_matches('0').len();
        if self.digits.is_empty() { 0 } else { self.decimals.saturating_sub(zeros) }
    }

    /// The same number with exactly so many decimals, which must be enough.
    pub fn with_decimals(&self, decimals: usize) -> Self {
        assert!(self.needed_decimals() <= decimals);
        let mut digits = self.digits.clone();
        if !digits.is_empty() {
            for _ in decimals..self.decimals {
                digits.pop();
            }
            digits.push_str(&"0".repeat(decimals.saturating_sub(self.decimals)));
        }
        Self { digits, decimals, ..*self }
    }

    /// The last digits become decimals.
    pub fn with_implied(&self, implied: usize) -> Self {
        Self { decimals: self.decimals + implied, ..self.clone() }
    }

    /// Times ten to the power of `units`, without decimals.
    pub fn in_minor_units(&self, units: usize) -> Self {
        Self { decimals: 0, ..self.with_decimals(units) }
    }

    pub fn negated(&self) -> Self {
        Self { negative: !self.negative && !self.digits.is_empty(), ..self.clone() }
    }

    pub fn written(&self) -> String {
        let padded = format!("{:0>width$}", self.digits, width = self.decimals + 1);
        let (whole, fraction) = padded.split_at(padded.len() - self.decimals);
        let sign = if self.negative { "-" } else { "" };
        if self.decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    /// As a whole number of the smallest unit of `decimals` decimals.
    fn scaled(&self, decimals: usize) -> i128 {
        let digits = self.digits.clone() + &"0".repeat(decimals - self.decimals);
        let amount: i128 = if digits.is_empty() { 0 } else { digits.parse().expect("within 38 digits") };
        if self.negative { -amount } else { amount }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        let decimals = self.decimals.max(other.decimals);
        Some(self.scaled(decimals).cmp(&other.scaled(decimals)))
    }
}

/// True when the numbers add up to `total`, give or take `tolerance`.
pub fn adds_up(numbers: &[Number], total: &Number, tolerance: &Number) -> bool {
    let all = numbers.iter().chain([total, tolerance]);
    let decimals = all.map(|number| number.decimals).max().unwrap_or(0);
    let sum: i128 = numbers.iter().map(|number| number.scaled(decimals)).sum();
    (sum - total.scaled(decimals)).abs() <= tolerance.scaled(decimals)
}

/// Reads a date: `%d` and `%m` are two digits, `%Y` four, everything else is itself.
pub fn date(text: &str, format: &str) -> Option<(u32, u32, u32)> {
    let (mut year, mut month, mut day) = (0, 0, 0);
    let mut text = text.chars();
    let digits = |count: usize, text: &mut std::str::Chars<'_>| -> Option<u32> {
        (0..count).try_fold(0, |number, _| Some(number * 10 + text.next().filter(char::is_ascii_digit)?.to_digit(10)?))
    };
    let mut format = format.chars();
    while let Some(character) = format.next() {
        match (character, character == '%') {
            (_, true) => match format.next()? {
                'd' => day = digits(2, &mut text)?,
                'm' => month = digits(2, &mut text)?,
                'Y' => year = digits(4, &mut text)?,
                _ => return None,
            },
            (character, false) => {
                text.next().filter(|found| *found == character)?;
            }
        }
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let known = text.next().is_none()
        && (1..=12).contains(&month)
        && (1..=days[month.clamp(1, 12) as usize - 1]).contains(&day);
    known.then_some((year, month, day))
}
