//! A progress bar on a terminal, none when piped.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Common;
use crate::pipeline::{Progress, Step};

/// Draws on stderr.
pub struct Bar {
    bar: ProgressBar,
    phase: Mutex<&'static str>,
}

impl Bar {
    /// A bar that shows itself only when stderr is a terminal and nobody asked for quiet.
    pub fn new(common: &Common) -> Self {
        let shown = std::io::stderr().is_terminal() && !common.quiet;
        let target = if shown { ProgressDrawTarget::stderr_with_hz(12) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if shown {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Self { bar, phase: Mutex::new("") }
    }

    /// Clears the line.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn enter(&self, phase: &'static str, template: &str, total: Option<u64>, message: String) {
        let Ok(mut present) = self.phase.lock() else { return };
        if *present != phase {
            *present = phase;
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style.progress_chars("━╸ "));
            }
            self.bar.set_message(message);
        }
        if let Some(total) = total {
            self.bar.set_length(total);
        }
    }
}

impl Progress for Bar {
    fn step(&self, step: Step) {
        const BYTES: &str = "  {msg:<28!} {bar:30} {bytes:>10} of {total_bytes}  {bytes_per_sec}";
        const BATCHES: &str = "  {msg:<28!} {bar:30} {pos:>10} of {len} batches";
        match step {
            Step::Landing { name, done, total } => {
                self.enter("land", BYTES, total, format!("landing {name}"));
                self.bar.set_position(done);
            }
            Step::Waiting { notes } => {
                self.enter("wait", "  {spinner} {wide_msg}", None, format!("waiting: {}", notes.join("; ")));
            }
            Step::Mapping { done, total } => {
                self.enter("map", BYTES, Some(total), "mapping".to_owned());
                self.bar.set_position(done);
            }
            Step::Sending { done, total } => {
                self.enter("send", BATCHES, Some(total), "sending".to_owned());
                self.bar.set_position(done);
            }
        }
    }
}
