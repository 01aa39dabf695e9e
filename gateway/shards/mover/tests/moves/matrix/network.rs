//! A network of a mover's own, in which packets are lost: neither end's kernel is told, as with a cable that was cut.
//!
//! The mover's namespace is connected to another one, and that one to this machine; in the middle packets are forwarded, or dropped. Each
//! namespace is held open by a process that ends when its input does, so that the kernel takes everything back however this test ends.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command, Stdio},
};

/// 198.18.0.0/15, which RFC 2544 sets aside for tests of networks: no machine has a neighbour there.
const RANGE: u32 = 198 << 24 | 18 << 16;
/// Eight addresses a network: one cable from this machine to the middle, one from there to the mover.
const BLOCKS: u32 = 1 << 14;
/// Devices that other runs have left or use, before something else must be wrong.
const TRIES: u32 = 64;

/// Which packets between a mover and a server are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Those of the mover.
    ToServer,
    /// Those of the server.
    FromServer,
    /// All.
    Both,
    /// Full ones of the mover, as on a way that takes only smaller ones and does not say so.
    FullToServer,
}

/// Removed with the value.
pub(crate) struct Network {
    middle: Namespace,
    mover: Namespace,
    device: String,
    block: u32,
}

/// The process that holds a network namespace.
struct Namespace(Child);

impl Network {
    /// Makes one.
    pub(crate) fn make() -> Self {
        let (middle, mover) = (Namespace::make(), Namespace::make());
        // The name of a device is taken once on a machine, and so are the addresses that go with it. It has 15 characters at most.
        let first = std::process::id();
        let (device, block) = (0..TRIES)
            .map(|nth| (first + nth * 257) % BLOCKS)
            .map(|block| (format!("chat-net-{block}"), RANGE + block * 8))
            .find(|(device, _)| link(device, &middle))
            .expect("a name for a device that is free");
        let network = Self { middle, mover, device, block };
        let (device, mover) = (&network.device, network.mover.0.id());
        let [host, middle_host, middle_mover, end] = [1, 2, 5, 6].map(|nth| network.address(nth));
        let far = network.address(4);
        batch(
            Command::new("ip"),
            &[
                format!("address add {host}/30 dev {device}"),
                format!("link set {device} up"),
                format!("route add {far}/30 via {middle_host} dev {device}"),
            ],
        );
        batch(
            network.middle.command("ip"),
            &[
                format!("address add {middle_host}/30 dev host"),
                "link set host up".to_owned(),
                format!("link add mover type veth peer name eth0 netns {mover}"),
                format!("address add {middle_mover}/30 dev mover"),
                "link set mover up".to_owned(),
            ],
        );
        run(network.middle.command("sh").args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]), "");
        batch(
            network.mover.command("ip"),
            &[
                format!("address add {end}/30 dev eth0"),
                "link set eth0 up".to_owned(),
                format!("route add default via {middle_mover}"),
            ],
        );
        network
    }

    fn address(&self, nth: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.block + nth)
    }

    /// This machine's address in it.
    pub(crate) fn host(&self) -> Ipv4Addr {
        self.address(1)
    }

    /// All of its addresses.
    pub(crate) fn range(&self) -> String {
        format!("{}/29", self.address(0))
    }

    /// The command line that runs a program at the mover's end, as its very process.
    pub(crate) fn inside(&self, program: &Path) -> Command {
        self.mover.command(program)
    }

    /// Loses packets between the mover and a port of this machine from now on, and no others.
    pub(crate) fn lose(&self, loss: Loss, port: u16) {
        let host = self.host();
        let lost =
            |is_lost: bool, of: &str| if is_lost { format!("{of} {port} counter drop\n") } else { String::new() };
        let size = if loss == Loss::FullToServer { "ip length > 1400 " } else { "" };
        let to = lost(loss != Loss::FromServer, &format!("ip daddr {host} {size}tcp dport"));
        let from = lost(matches!(loss, Loss::FromServer | Loss::Both), &format!("ip saddr {host} tcp sport"));
        self.rules(&format!(
            "table ip loss {{\nchain lost {{\ntype filter hook forward priority 0\n{to}{from}}}\n}}\n"
        ));
    }

    /// Loses none any more. How many were lost.
    pub(crate) fn heal(&self) -> u64 {
        let rules = run(self.middle.command("nft").args(["list", "ruleset"]), "");
        self.rules("");
        let mut words = rules.split_whitespace();
        std::iter::from_fn(|| words.find(|word| *word == "packets").and_then(|_| words.next()?.parse::<u64>().ok()))
            .sum()
    }

    /// These and no others, at once.
    fn rules(&self, rules: &str) {
        run(self.middle.command("nft").args(["-f", "-"]), &format!("flush ruleset\n{rules}"));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Sockets of processes that have ended keep a namespace for a while, and would keep the cable.
        let _ = Command::new("ip").args(["link", "delete", &self.device]).stderr(Stdio::null()).status();
    }
}

impl Namespace {
    fn make() -> Self {
        let mut holder = Command::new("unshare");
        holder.args(["--net", "sh", "-c", "echo made; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = holder.spawn().unwrap_or_else(|error| panic!("unshare does not start: {error}; {NEEDED}"));
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("its output")).read_line(&mut line).expect("its output");
        let namespace = Self(holder);
        assert_eq!(line, "made\n", "there is no network namespace; {NEEDED}");
        namespace
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--net", "--"]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a machine that fails here lacks.
const NEEDED: &str = "this test makes network namespaces and drops packets in them: it needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN, and \
    ip and nft; on Debian: apt-get install --no-install-recommends iproute2 nftables";

/// A cable from this machine into a namespace; false if there is a device of this name.
fn link(device: &str, to: &Namespace) -> bool {
    let to = to.0.id().to_string();
    let words = ["link", "add", device, "type", "veth", "peer", "name", "host", "netns", &to];
    let output = Command::new("ip").args(words).output();
    let output = output.unwrap_or_else(|error| panic!("ip does not start: {error}; {NEEDED}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || said.contains("File exists"), "ip {words:?}: {said}; {NEEDED}");
    output.status.success()
}

/// Lines of ip, in one process.
fn batch(mut ip: Command, lines: &[String]) {
    run(ip.args(["-batch", "-"]), &lines.join("\n"));
}

/// What a program prints that is given this.
fn run(command: &mut Command, input: &str) -> String {
    let running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut running = running.unwrap_or_else(|error| panic!("{command:?} does not start: {error}; {NEEDED}"));
    // One that ends early says why.
    drop(running.stdin.take().expect("its input").write_all(input.as_bytes()));
    let output = running.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed with {input:?}: {said}; {NEEDED}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
