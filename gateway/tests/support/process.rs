//! A child process in a process group of its own, ended with everything it started.

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

/// See the module's documentation.
pub struct Process(Child);

impl Process {
    /// Starts a command; its output goes to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(std::process::Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
        Self(child)
    }

    /// Sends a signal, such as `KILL` or `STOP`, to the whole group. After `STOP` all of it stands still: threads on other processors go on
    /// for a moment, in which a server may still answer.
    pub fn signal(&self, signal: &str) {
        let group = format!("-{}", self.0.id());
        let sent = Command::new("kill").args(["-s", signal, "--", &group]).status().unwrap();
        assert!(sent.success(), "kill -s {signal} -- {group}");
        let deadline = Instant::now() + Duration::from_secs(10);
        while signal == "STOP" && self.is_moving() {
            assert!(Instant::now() < deadline, "process group {group} does not stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether a thread of the group is neither stopped nor ended.
    fn is_moving(&self) -> bool {
        let fields = |path: PathBuf| {
            let stat = std::fs::read_to_string(path).unwrap_or_default();
            // After the name, which may hold anything: state, parent, group.
            stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').take(3).map(str::to_owned).collect::<Vec<_>>())
        };
        let entries = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let group = self.0.id().to_string();
        entries(PathBuf::from("/proc"))
            .filter(|process| fields(process.join("stat")).is_some_and(|fields| fields[2] == group))
            .flat_map(|process| entries(process.join("task")))
            .filter_map(|thread| fields(thread.join("stat")))
            .any(|fields| !["T", "t", "Z", "X"].contains(&fields[0].as_str()))
    }

    /// Id of the process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end; the exit code, if it has one.
    pub fn wait(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if !self.ended() {
            self.signal("KILL");
            self.0.wait().unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let group = format!("-{}", self.0.id());
            drop(Command::new("kill").args(["-s", "KILL", "--", &group]).status());
            drop(self.0.wait());
        }
    }
}
