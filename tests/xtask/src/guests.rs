//! Steps that run beside another one, one after the other, each as a process of its own whose output is printed when its turn comes.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{shell, steps::Step, summary::Counts};

/// The steps that are under way beside another one, by name.
#[derive(Default)]
pub(crate) struct Guests(BTreeMap<&'static str, Guest>);

/// One of them.
pub(crate) struct Guest(Receiver<Result<Ended>>);

/// What became of it.
struct Ended {
    printed: String,
    outcome: Result<()>,
    took: Duration,
}

impl Guests {
    /// Starts the chosen steps that run beside `host`. They follow each other, since some of them look at the whole machine.
    ///
    /// # Errors
    /// This program's own file cannot be found.
    pub(crate) fn invite(&mut self, host: &Step, chosen: &[&Step], long: bool) -> Result<()> {
        let mut queue = Vec::new();
        for step in chosen.iter().filter(|step| step.beside == Some(host.name)) {
            let own = std::env::current_exe().context("this program's own file is gone")?;
            let mut command = shell::command(own, &["test", "--guest", "--only", step.name]);
            if long {
                command.arg("--long");
            }
            println!("beside this one: {}: {}", step.name, step.what);
            let (ended, outcome) = mpsc::channel();
            self.0.insert(step.name, Guest(outcome));
            queue.push((command, ended));
        }
        std::thread::spawn(move || {
            for (command, ended) in queue {
                // Nobody listens only when this program is about to end.
                drop(ended.send(run(command)));
            }
        });
        Ok(())
    }

    /// The guest of that name, if it was started.
    pub(crate) fn take(&mut self, name: &str) -> Option<Guest> {
        self.0.remove(name)
    }
}

fn run(command: Command) -> Result<Ended> {
    let begun = Instant::now();
    let (printed, outcome) = shell::captured(command)?;
    Ok(Ended { printed, outcome, took: begun.elapsed() })
}

impl Guest {
    /// Waits for its end, prints what it said and counts the tests that it ran; its outcome, and a note on its real duration.
    pub(crate) fn report(self, counts: &mut Counts) -> (Result<()>, String) {
        match self.0.recv().context("the thread that runs the steps beside others panicked").flatten() {
            Ok(Ended { printed, outcome, took }) => {
                counts.pass_on(&printed);
                (outcome, format!(" (beside others, {} s)", took.as_secs()))
            }
            Err(error) => (Err(error), String::new()),
        }
    }
}
