//! A server process: on its own processor, and gone when this program is, however that ends.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::machine;

/// Longest start of a server.
const START: Duration = Duration::from_secs(60);

/// An address that was free a moment ago.
///
/// # Errors
/// There is none.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it prints goes to `log`.
    ///
    /// # Errors
    /// It, or the tool that starts it, is not there.
    pub(crate) fn start(program: &Path, arguments: &[&str], log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        // The kernel ends it with this program, even when that is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if machine::processors() > 1 {
            command.args(["taskset", "--cpu-list", machine::SERVER_PROCESSOR]);
        }
        let child = command
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .spawn()
            .context("failed to start setpriv; on Debian: apt-get install util-linux")?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Waits until it listens.
    ///
    /// # Errors
    /// It ends or does not listen within a minute; carries what it printed.
    pub(crate) fn wait_for(&mut self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                bail!("a server does not listen on {address} ({ended:?}): {log}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself, which comes to the same.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
