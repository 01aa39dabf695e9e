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
#[derive(Debug, Default)]
pub(crate) struct Guests(BTreeMap<&'static str, Guest>);

/// One of them.
#[derive(Debug)]
pub(crate) enum Guest {
    /// Under way, or waiting for those before it.
    Running(Receiver<Result<Ended>>),
    /// At its end, which nobody was told of yet.
    Ended(Result<Ended>),
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Ended {
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
            self.0.insert(step.name, Guest::Running(outcome));
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

    /// Waits until none is under way: for tests that need the machine for themselves.
    pub(crate) fn wait(&mut self) {
        for (name, guest) in &mut self.0 {
            if let Guest::Running(outcome) = guest {
                println!("waiting for the end of {name}, which runs beside this");
                *guest = Guest::Ended(ended(outcome));
            }
        }
    }

    /// The guest of that name, if it was started.
    pub(crate) fn take(&mut self, name: &str) -> Option<Guest> {
        self.0.remove(name)
    }
}

fn ended(outcome: &Receiver<Result<Ended>>) -> Result<Ended> {
    outcome.recv().context("the thread that runs the steps beside others panicked").flatten()
}

fn run(command: Command) -> Result<Ended> {
    let begun = Instant::now();
    let (printed, outcome) = shell::captured(command)?;
    Ok(Ended { printed, outcome, took: begun.elapsed() })
}

impl Guest {
    /// Waits for its end, prints what it said and counts the tests that it ran; its outcome, and a note on its real duration.
    pub(crate) fn report(self, counts: &mut Counts) -> (Result<()>, String) {
        let outcome = match self {
            Self::Running(outcome) => ended(&outcome),
            Self::Ended(outcome) => outcome,
        };
        match outcome {
            Ok(Ended { printed, outcome, took }) => {
                for line in printed.lines() {
                    println!("{line}");
                    counts.line(line);
                }
                (outcome, format!(" (beside others, {} s)", took.as_secs()))
            }
            Err(error) => (Err(error), String::new()),
        }
    }
}
