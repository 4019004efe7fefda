//! Asks a person before something is sent or given up. Where nobody sits at a terminal, only `--yes` is a yes.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::exit::{Exit, Failure};

/// A question that `y` answers.
pub fn yes(given: bool, question: &str) -> Result<(), Failure> {
    if given {
        return Ok(());
    }
    let answer = ask(&format!("{question} [y/N] "), question)?;
    if matches!(answer.as_str(), "y" | "Y" | "yes") { Ok(()) } else { Err(nothing_done()) }
}

/// A question that only the name itself answers, because what follows may take effect twice.
pub fn name(given: bool, question: &str, name: &str) -> Result<(), Failure> {
    if given {
        return Ok(());
    }
    let answer = ask(&format!("{question} Type the job's name, `{name}`, to go on: "), question)?;
    if answer == name { Ok(()) } else { Err(nothing_done()) }
}

fn ask(prompt: &str, question: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::USAGE, "not-confirmed", format!("{question} No one can be asked here"))
            .hint("add `--yes` where nobody sits at a terminal"));
    }
    let _ = write!(std::io::stderr().lock(), "{prompt}");
    let mut answer = String::new();
    match std::io::stdin().lock().read_line(&mut answer) {
        Ok(_) => Ok(answer.trim().to_owned()),
        Err(_) => Err(nothing_done()),
    }
}

fn nothing_done() -> Failure {
    Failure::new(Exit::FAILED, "not-confirmed", "nothing was done")
}
