//! A request to stop, from a signal: what is under way ends in order, nothing new begins.

use std::time::Duration;

use tokio::sync::watch;

/// Asked by the pipeline.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Held by whoever may ask to stop.
#[derive(Debug)]
pub struct StopSwitch(watch::Sender<bool>);

/// A switch, off, and what it switches.
pub fn stop_switch() -> (StopSwitch, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopSwitch(sender), Stop(receiver))
}

impl StopSwitch {
    /// Asks to stop. A repeat changes nothing.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends when somebody asks; never, when nobody can any more.
    pub async fn requested(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            // The switch is gone: sleep for ever, a day at a time.
            loop {
                tokio::time::sleep(Duration::from_secs(86_400)).await;
            }
        }
    }
}
