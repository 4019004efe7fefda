//! Parses the command line, calls the library, turns the outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(nightferry::cli::main().0)
}
