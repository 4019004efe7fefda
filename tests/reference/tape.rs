//! Choices from a tape of numbers: a shorter tape or smaller numbers are a simpler case, so a failing one can be shrunk.

pub struct Tape<'a> {
    numbers: &'a [u32],
    at: usize,
}

impl<'a> Tape<'a> {
    pub fn new(numbers: &'a [u32]) -> Self {
        Self { numbers, at: 0 }
    }

    /// A number below `most`; 0 behind the end of the tape.
    pub fn below(&mut self, most: usize) -> usize {
        let number = self.numbers.get(self.at).copied().unwrap_or(0) as usize;
        self.at += 1;
        number % most.max(1)
    }

    /// True once in `one_in` times; never behind the end of the tape.
    pub fn rarely(&mut self, one_in: usize) -> bool {
        self.below(one_in) == one_in - 1
    }

    pub fn pick<'b, T: ?Sized>(&mut self, from: &[&'b T]) -> &'b T {
        from[self.below(from.len())]
    }
}
