// gen_grouped ROWS OUT [--seed N]
// Deterministic orders with one to five lines each (same seed => same bytes). Every line carries the total of its order. Prints totals that a
// checker can compare with: `bad` orders have a line with quantity 0, `wrong` ones are good but for a total that does not add up.
use std::fmt::Write as _;
use std::io::{BufWriter, Write};

struct Rng(u64);
impl Rng {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E3779B97F4A7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D049BB133111EB);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }
    fn pick<'a>(&mut self, xs: &[&'a str]) -> &'a str {
        xs[self.below(xs.len() as u64) as usize]
    }
}

const NAMES: &[&str] = &["Anna Holm", "\"Berg, Jonas\"", "Zoë Åkerström", "Maria Jensen", "José Núñez", "\"Kim \"\"K\"\" Lee\"", "Ольга Иванова", "James Smith"];
const CURRENCIES: &[&str] = &["DKK", "EUR", "SEK", ""];
const NOTES: &[&str] = &["", "", "", "leave at door", "\"ring twice, second floor\"", "\"line one\nline two\""];

fn main() {
    let mut args = std::env::args().skip(1);
    let most: u64 = args.next().expect("rows").parse().unwrap();
    let out = args.next().expect("out path");
    let mut seed = 20261123u64;
    while let Some(a) = args.next() {
        match a.as_str() {
            "--seed" => seed = args.next().unwrap().parse().unwrap(),
            x => panic!("unknown arg {x}"),
        }
    }
    let mut w = BufWriter::with_capacity(1 << 20, std::fs::File::create(&out).unwrap());
    writeln!(w, "order_no,customer,order_date,currency,order_total,line_no,sku,qty,unit_price,line_amount,note").unwrap();
    let mut r = Rng(seed);
    let (mut rows, mut orders, mut bad, mut bad_rows, mut wrong, mut wrong_rows) = (0u64, 0u64, 0u64, 0u64, 0u64, 0u64);
    let mut text = String::with_capacity(2048);
    while rows < most {
        orders += 1;
        let lines = (1 + r.below(5)).min(most - rows);
        let (name, currency) = (r.pick(NAMES), r.pick(CURRENCIES));
        let (day, month, year) = (1 + r.below(28), 1 + r.below(12), 2019 + r.below(8));
        let is_bad = r.below(100) == 0;
        let is_wrong = r.below(400) == 0;
        let bad_line = r.below(lines);
        let made: Vec<(u64, u64)> = (0..lines).map(|_| (1 + r.below(20), 99 + r.below(60_000))).collect();
        let sum: u64 = made.iter().enumerate().map(|(at, (qty, price))| if is_bad && at as u64 == bad_line { 0 } else { qty * price }).sum();
        let total = sum + u64::from(is_wrong) * 100;
        text.clear();
        for (at, (qty, price)) in made.iter().enumerate() {
            let qty = if is_bad && at as u64 == bad_line { 0 } else { *qty };
            let amount = qty * price;
            let n = r.below(10_000);
            let (a, b) = ((b'A' + r.below(26) as u8) as char, (b'A' + r.below(26) as u8) as char);
            let note = r.pick(NOTES);
            writeln!(
                text,
                "SO-{orders:08},{name},{day:02}.{month:02}.{year},{currency},{}.{:02},{},SKU-{a}{b}{n:04},{qty},{}.{:02},{}.{:02},{note}",
                total / 100, total % 100, at + 1, price / 100, price % 100, amount / 100, amount % 100
            )
            .unwrap();
        }
        w.write_all(text.as_bytes()).unwrap();
        rows += lines;
        if is_bad { bad += 1; bad_rows += lines } else if is_wrong { wrong += 1; wrong_rows += lines }
    }
    w.flush().unwrap();
    println!("rows={rows} orders={orders} bad={bad} bad_rows={bad_rows} wrong={wrong} wrong_rows={wrong_rows} bytes={}", std::fs::metadata(&out).unwrap().len());
}
