//! Class-data archives of Apache Kafka's two programs: Java maps them instead of reading thousands of classes anew, so that each of the tests'
//! many starts costs half the processor time. Java ignores an archive that does not fit its own version.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    kafka_java::{FORMAT, SERVER, java},
    shell,
};

/// For the start and for the end of a server on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Writes both archives beside the jars in `folder`, unless they are there.
///
/// # Errors
/// A program of Kafka fails, or Java is absent.
pub(crate) fn ensure(folder: &Path) -> Result<()> {
    if [SERVER, FORMAT].iter().all(|archive| folder.join(archive).exists()) {
        return Ok(());
    }
    println!("writing the class-data archives of Kafka (once, some 15 s)");
    let scratch = folder.join("scratch");
    fs::create_dir_all(&scratch)?;
    let [plain, controller] = [free_port()?, free_port()?];
    let config = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         controller.listener.names=CONTROLLER\nlog.dirs={}\n",
        scratch.join("data").display(),
    );
    let properties = scratch.join("server.properties").display().to_string();
    fs::write(&properties, config)?;
    let cluster = "AAAAAAAAAAAAAAAAAAAAAQ";
    let made = recording(folder, FORMAT)
        .args(["kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config", &properties])
        .output()
        .context("Java is needed: apt-get install --no-install-recommends default-jre-headless")?;
    ensure!(made.status.success(), "Kafka's storage tool failed: {}", String::from_utf8_lossy(&made.stderr));
    let mut running = recording(folder, SERVER).args(["kafka.Kafka", &properties]).stdout(Stdio::null()).spawn()?;
    let archived = archive(&mut running, plain);
    if archived.is_err() {
        running.kill().ok();
        running.wait().ok();
    }
    archived?;
    fs::remove_dir_all(&scratch)?;
    Ok(())
}

/// Lets a server start and end; it writes its archive at its end.
fn archive(running: &mut Child, port: u16) -> Result<()> {
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = running.try_wait()?;
        ensure!(ended.is_none() && started.elapsed() < PATIENCE, "Kafka does not start: {ended:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    shell::run(shell::command("kill", &["-TERM", &running.id().to_string()]))?;
    let asked = Instant::now();
    while running.try_wait()?.is_none() {
        if asked.elapsed() > PATIENCE {
            bail!("Kafka does not end");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Java that writes the archive at its end, and says nothing but what went wrong.
fn recording(folder: &Path, archive: &str) -> Command {
    let mut command = java(folder, "ArchiveClassesAtExit", archive);
    command.args(["-Xlog:disable", "-Xlog:all=error:stderr", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]);
    command.stdin(Stdio::null());
    command
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
