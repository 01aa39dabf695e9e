//! Starts the cluster's programs so that they outlive this one, and tells whether they still run.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::command::{self, CommandError};

/// Puts a program into a cgroup before its first instruction.
const JOIN: &str = r#"echo $$ >"$0" && exec "$@""#;

/// Runs a program in the background, as leader of a session of its own, so that neither an interrupt key nor the end
/// of this program reaches it. Prints its process number.
const START: &str = r#"
log=$1; shift
setsid "$@" </dev/null >>"$log" 2>&1 &
echo $!
"#;

/// All that the programs get of this machine's environment. Proxies and the like would break their conversation.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A running program. The start time tells it from a later program that got the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pid: i32,
    /// In clock ticks since the machine started.
    started: u64,
}

/// Starts a program.
///
/// # Errors
/// [`CommandError`] when the shell cannot be run or the program ended at once.
pub(crate) fn start(arguments: &[String], entrance: &Path, log: &Path) -> Result<Process, CommandError> {
    let mut shell = Command::new("sh");
    shell.args(["-c", START, "localkube"]).arg(log).args(["sh", "-c", JOIN]).arg(entrance).args(arguments);
    shell.env_clear().env("PATH", PATH).stdin(Stdio::null());
    // Programs in Go that collect garbage more seldom: memory is there on a machine that runs a whole cluster, processors are what tests wait for.
    shell.env("GOGC", "300").env("GOMEMLIMIT", "600MiB");
    let pid = command::output(&mut shell)?;
    let ended = || CommandError::Failed {
        command: arguments.join(" "),
        status: "it ended at once".to_owned(),
        message: format!("see {}", log.display()),
    };
    let pid: i32 = pid.trim().parse().map_err(|_| ended())?;
    let started = stat(pid).map(|stat| stat.started).ok_or_else(ended)?;
    Ok(Process { pid, started })
}

/// The command that runs something to its end as a member of a cluster, so that taking the cluster down ends it too,
/// should the one who waits for it have been killed.
pub(crate) fn member(entrance: &Path, arguments: &[String]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", JOIN]).arg(entrance).args(arguments);
    shell
}

impl Process {
    /// Number of the process.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether this very process runs; one that has ended and was not yet collected does not.
    pub(crate) fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started && stat.state != "Z" && stat.state != "X")
    }

    /// Memory in use, in bytes; 0 when the process has ended.
    pub(crate) fn resident_bytes(&self) -> u64 {
        if !self.is_alive() {
            return 0;
        }
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.unwrap_or(0) * 1024
    }

    /// Ends the process at once, without giving it a chance to tidy up. One that has ended already is fine.
    pub(crate) fn kill(&self) {
        if self.is_alive()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            // The only possible failure is that it ended meanwhile: everything here runs as root.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

struct Stat {
    state: String,
    started: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold anything, brackets and blanks too.
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    // The list begins with field 3 (state); the start time is field 22.
    Some(Stat { state: (*fields.first()?).to_owned(), started: fields.get(19)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_running_process_from_one_that_had_its_number() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let own = Process { pid, started: stat(pid).unwrap().started };
        assert!(own.is_alive() && own.resident_bytes() > 0);
        let earlier = Process { pid, started: own.started - 1 };
        assert!(!earlier.is_alive());
        assert_eq!(earlier.resident_bytes(), 0);
        earlier.kill(); // must not reach this process
    }
}
