//! Parses the command line, calls the library, turns the outcome into an exit code.
fn main() {}
