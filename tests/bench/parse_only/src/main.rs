//! parse_only read FILE: reads the bytes. parse_only parse FILE: finds the cells of every row with the csv crate.
//! What any mapping of the file must at least cost.

use std::fs::File;
use std::io::Read as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (what, path) = (arguments.next(), arguments.next().ok_or("usage: parse_only read|parse FILE")?);
    let mut file = File::open(path)?;
    match what.as_deref() {
        Some("read") => {
            let mut buffer = vec![0; 1 << 20];
            let mut bytes = 0;
            loop {
                let read = file.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                bytes += read;
            }
            println!("bytes={bytes}");
        }
        Some("parse") => {
            let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 20).from_reader(file);
            let mut record = csv::ByteRecord::new();
            let (mut rows, mut cells, mut bytes) = (0_u64, 0, 0);
            while reader.read_byte_record(&mut record)? {
                rows += 1;
                cells += record.len();
                bytes += record.as_slice().len();
            }
            println!("rows={rows} cells={cells} bytes={bytes}");
        }
        _ => return Err("usage: parse_only read|parse FILE".into()),
    }
    Ok(())
}
