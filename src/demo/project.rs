//! The repository's own project and samples, compiled in, so that the binary alone can show them.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../", $path)).as_slice())),+]
    };
}

/// What a project consists of.
pub const PROJECT: &[(&str, &[u8])] = files![
    "nightferry.toml",
    "connections.toml",
    "jobs/employees.toml",
    "jobs/orders.toml",
    "jobs/payments.toml",
    "lookups/cost_centres.csv",
    "lookups/country.csv",
    "mappings/employees.toml",
    "mappings/orders.toml",
    "mappings/payments.toml",
    "mappings/shipments.toml",
];

/// What the partners have laid out.
pub const SAMPLES: &[(&str, &[u8])] = files![
    "sample-data/outbound/employees/employees_20261123.csv",
    "sample-data/outbound/employees/employees_20261123.csv.done",
    "sample-data/outbound/orders/orders_20261122.csv",
    "sample-data/outbound/orders/orders_20261123.csv",
    "sample-data/outbound/orders/orders_20261124.csv",
    "sample-data/outbound/payments/payments_20261123.csv",
    "sample-data/outbound/payments/payments_20261124.csv",
];

/// The places in `connections.toml` that a server of one's own fills.
const PORT: &str = "2222";
const HOST_KEY: &str = "SHA256:0000000000000000000000000000000000000000000";
const BASE_URL: &str = "http://127.0.0.1:8080";

/// Writes the project, with its connections pointing at the servers of the demo.
pub fn write(folder: &Path, sftp_port: u16, host_key: &str, api_port: u16) -> io::Result<()> {
    for (path, content) in PROJECT {
        if *path == "connections.toml" {
            let text = String::from_utf8_lossy(content)
                .replace(PORT, &sftp_port.to_string())
                .replace(HOST_KEY, host_key)
                .replace(BASE_URL, &format!("http://127.0.0.1:{api_port}"));
            write_file(&folder.join(path), text.as_bytes())?;
        } else {
            write_file(&folder.join(path), content)?;
        }
    }
    Ok(())
}

/// Writes the samples as the partners' servers show them: `/outbound/…`.
pub fn write_samples(folder: &Path) -> io::Result<()> {
    for (path, content) in SAMPLES {
        write_file(&folder.join(path.trim_start_matches("sample-data/")), content)?;
    }
    Ok(())
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    fs::write(path, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths of the files below a folder of the repository.
    fn below(folder: &str) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = Vec::new();
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let shown = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_dir() { found.extend(below(&shown)) } else { found.push(shown) }
        }
        found.sort();
        found
    }

    #[test]
    fn every_file_of_the_project_and_every_sample_is_compiled_in() {
        let listed = |files: &[(&str, &[u8])], folder: &str| -> Vec<String> {
            files.iter().map(|(path, _)| (*path).to_owned()).filter(|path| path.starts_with(folder)).collect()
        };
        for folder in ["jobs", "mappings", "lookups"] {
            assert_eq!(listed(PROJECT, folder), below(folder));
        }
        assert_eq!(listed(SAMPLES, "sample-data/outbound"), below("sample-data/outbound"));
    }

    #[test]
    fn the_connections_have_every_place_that_the_demo_fills() {
        let (_, connections) = PROJECT[1];
        let text = String::from_utf8_lossy(connections);
        for place in [PORT, HOST_KEY, BASE_URL] {
            assert!(text.contains(place), "{place}");
        }
    }
}
