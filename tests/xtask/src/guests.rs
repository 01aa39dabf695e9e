//! Steps that run beside another one, each as a process of its own whose output is printed when its turn comes.

use std::{
    collections::BTreeMap,
    process::Command,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

use crate::{shell, steps::Step, summary::Counts};

/// The steps that are under way beside another one, by name.
#[derive(Default)]
pub(crate) struct Guests(BTreeMap<&'static str, Guest>);

/// One of them.
pub(crate) struct Guest(JoinHandle<Result<(String, Result<()>, Duration)>>);

impl Guests {
    /// Starts the chosen steps that run beside `host`.
    ///
    /// # Errors
    /// This program's own file cannot be found.
    pub(crate) fn invite(&mut self, host: &Step, chosen: &[&Step], long: bool) -> Result<()> {
        for step in chosen.iter().filter(|step| step.beside == Some(host.name)) {
            let own = std::env::current_exe().context("this program's own file is gone")?;
            let mut command = shell::command(own, &["test", "--guest", "--only", step.name]);
            if long {
                command.arg("--long");
            }
            println!("beside this one: {}: {}", step.name, step.what);
            self.0.insert(step.name, Guest::start(command));
        }
        Ok(())
    }

    /// The guest of that name, if it was started.
    pub(crate) fn take(&mut self, name: &str) -> Option<Guest> {
        self.0.remove(name)
    }
}

impl Guest {
    fn start(command: Command) -> Self {
        let begun = Instant::now();
        Self(std::thread::spawn(move || {
            let (printed, ended) = shell::captured(command)?;
            Ok((printed, ended, begun.elapsed()))
        }))
    }

    /// Waits for its end, prints what it said and counts the tests that it ran; its outcome, and a note on its real duration.
    pub(crate) fn report(self, counts: &mut Counts) -> (Result<()>, String) {
        let ended = self.0.join().unwrap_or_else(|_| Err(anyhow!("the thread that watched the step panicked")));
        match ended {
            Ok((printed, outcome, took)) => {
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
