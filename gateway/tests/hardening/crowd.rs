//! People who connect and say nothing, more than one process could hold: the limit on open files is a process's own, so each part of the crowd
//! is a process. Their addresses differ, since one address has no ports for so many.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
};

use tokio::net::{TcpSocket, TcpStream};

/// What a part of the crowd reads: how many, the number of its network, and whom to connect to.
const TASK: &str = "CHATCLUSTER_TEST_CROWD";
/// What it says when all are there.
const THERE: &str = "all are there";
/// Those who share an address.
const SHARE: usize = 1_000;
/// Files of a part beside its connections.
const OTHERS: usize = 32;

/// Processes that hold connections.
pub(crate) struct Crowd(Vec<Child>);

impl Crowd {
    /// So many connections in two processes; returns when the system has taken all of them.
    pub(crate) async fn gather(at: &str, count: usize) -> Self {
        let parts = [count / 2, count - count / 2];
        let children = parts.iter().enumerate().map(|(nth, count)| part(&format!("{count} {} {at}", nth + 1), *count));
        let mut crowd = Self(children.collect());
        let said: Vec<_> = crowd.0.iter_mut().map(|child| child.stdout.take().unwrap()).collect();
        for said in said {
            let there = tokio::task::spawn_blocking(move || {
                let mut lines = BufReader::new(said).lines().map_while(Result::ok);
                lines.any(|line| line.contains(THERE))
            });
            assert!(there.await.unwrap(), "a part of the crowd did not get there; what it said stands above");
        }
        crowd
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// This very program with one test of it, that makes the connections.
fn part(task: &str, count: usize) -> Child {
    let files = count + OTHERS;
    let own = std::env::current_exe().unwrap();
    let arguments = ["crowd::part_of_a_crowd", "--exact", "--ignored", "--nocapture"];
    Command::new("sh")
        .args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")])
        .arg(own)
        .args(arguments)
        .env(TASK, task)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "other tests start it as a process"]
fn part_of_a_crowd() {
    let task = std::env::var(TASK).expect("a test that needs a crowd starts this");
    let mut words = task.split(' ');
    let mut word = || words.next().unwrap();
    let (count, network, at): (usize, u8, SocketAddr) =
        (word().parse().unwrap(), word().parse().unwrap(), word().parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connect = async |nth: usize| -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        let host = u8::try_from(nth / SHARE + 1).unwrap();
        socket.bind((Ipv4Addr::new(127, 0, network, host), 0).into())?;
        socket.connect(at).await
    };
    let connected: Vec<TcpStream> = runtime.block_on(async {
        let mut connected = Vec::with_capacity(count);
        for nth in 0..count {
            connected.push(connect(nth).await.unwrap_or_else(|error| panic!("connection {nth} of {count}: {error}")));
        }
        connected
    });
    println!("{THERE}");
    // Until whoever started this has gone.
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    drop(connected);
}
