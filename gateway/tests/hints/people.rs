//! Clients that follow hints, more than one process could hold: the limit on open files is a process's own, so each part of them is a process. Their
//! addresses differ, since one address has no ports for so many.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::{
    MINUTE,
    raw::{Answer, upgrade},
};

/// A connection that nothing waits for.
type Held = std::net::TcpStream;

/// What a part reads: how many clients it is, and the number of its network.
const TASK: &str = "CHATCLUSTER_TEST_PEOPLE";
/// What it says when all are connected: how many addresses did not take somebody.
const CONNECTED: &str = "all are connected, refusals on the way: ";
/// Clients of one process.
const PART: usize = 6_700;
/// Those who share an address.
const SHARE: usize = 1_000;
/// Those who connect at the same time, of one part.
const AT_ONCE: usize = 100;
/// Files of a part beside its connections.
const OTHERS: usize = 300;

/// Processes of clients.
pub(crate) struct People(Vec<Part>);

struct Part {
    child: Child,
    orders: ChildStdin,
    said: Option<BufReader<ChildStdout>>,
}

impl People {
    /// So many clients, none of whom is connected.
    pub(crate) fn gather(count: usize) -> Self {
        let parts = count.div_ceil(PART);
        Self((0..parts).map(|nth| part(nth, count / parts + usize::from(nth < count % parts))).collect())
    }

    /// Has all who are not connected ask one of the fronts and connect; returns how many addresses did not take the one who came.
    pub(crate) async fn connect(&mut self, fronts: &[String]) -> u32 {
        let begun = Instant::now();
        for part in &mut self.0 {
            writeln!(part.orders, "{}", fronts.join(" ")).unwrap();
        }
        let mut refusals = 0;
        for part in &mut self.0 {
            let mut said = part.said.take().unwrap();
            let (told, said) = tokio::task::spawn_blocking(move || {
                let told =
                    said.by_ref().lines().map_while(Result::ok).find_map(|line| {
                        line.split_once(CONNECTED).and_then(|(_, refusals)| refusals.parse::<u32>().ok())
                    });
                (told, said)
            })
            .await
            .unwrap();
            refusals += told.expect("a part of the people did not connect; what it said stands above");
            part.said = Some(said);
        }
        println!("connected after {:.1} s, {refusals} refusals on the way", begun.elapsed().as_secs_f64());
        refusals
    }
}

impl Drop for People {
    fn drop(&mut self) {
        for part in &mut self.0 {
            drop(part.child.kill());
            drop(part.child.wait());
        }
    }
}

/// This very program with one test of it, that makes the connections.
fn part(nth: usize, count: usize) -> Part {
    let own = std::env::current_exe().unwrap();
    let arguments = ["people::part_of_the_people", "--exact", "--ignored", "--nocapture"];
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -n {}; exec \"$0\" \"$@\"", count + OTHERS)])
        .arg(own)
        .args(arguments)
        .env(TASK, format!("{count} {}", nth + 1))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (orders, said) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    Part { child, orders, said: Some(BufReader::new(said)) }
}

#[test]
#[ignore = "other tests start it as a process"]
fn part_of_the_people() {
    let task = std::env::var(TASK).expect("a test that needs people starts this");
    let (count, network) = task.split_once(' ').unwrap();
    let (count, network): (usize, u8) = (count.parse().unwrap(), network.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut people: Vec<Option<Held>> = std::iter::repeat_with(|| None).take(count).collect();
    // Until whoever started this has gone.
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let fronts: Vec<&str> = line.split(' ').collect();
        let refusals = runtime.block_on(connect(&mut people, network, &fronts));
        println!("{CONNECTED}{refusals}");
    }
}

/// Connects all who are not, or no longer.
async fn connect(people: &mut [Option<Held>], network: u8, fronts: &[&str]) -> u32 {
    let mut gone = Vec::new();
    for (nth, person) in people.iter_mut().enumerate() {
        if person.as_ref().is_none_or(|stream| !is_open(stream)) {
            *person = None;
            gone.push(nth);
        }
    }
    let comers = gone.into_iter().map(async |nth| {
        let source = Ipv4Addr::new(127, 0, network, u8::try_from(nth / SHARE + 1).unwrap());
        let (stream, refusals) = come(source, fronts[nth % fronts.len()]).await;
        (nth, stream, refusals)
    });
    let mut coming = std::pin::pin!(stream::iter(comers).buffer_unordered(AT_ONCE));
    let mut all = 0;
    while let Some((nth, stream, refusals)) = coming.next().await {
        people[nth] = Some(stream.into_std().unwrap());
        all += refusals;
    }
    all
}

/// Whether the other side has not ended it. Nothing is said on these connections.
fn is_open(stream: &Held) -> bool {
    matches!(stream.peek(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Asks where to connect, and goes down the list, until somebody takes it.
async fn come(source: Ipv4Addr, front: &str) -> (TcpStream, u32) {
    let (begun, mut refusals) = (Instant::now(), 0);
    loop {
        for address in ask(source, front).await.unwrap_or_default() {
            match knock(source, &address).await {
                Some(stream) => return (stream, refusals),
                None => refusals += 1,
            }
        }
        assert!(begun.elapsed() < MINUTE, "nobody takes a client that asked {front}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn from(source: Ipv4Addr, at: &str) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    socket.connect(at.parse::<SocketAddr>().unwrap()).await
}

async fn ask(source: Ipv4Addr, front: &str) -> std::io::Result<Vec<String>> {
    let mut stream = from(source, front).await?;
    let request = format!("GET /v1/connect HTTP/1.1\r\nhost: {front}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let answer = Answer::read(&bytes);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let addresses = answer.json()["addresses"].as_array().unwrap().clone();
    Ok(addresses.iter().map(|address| address.as_str().unwrap().strip_prefix("ws://").unwrap().to_owned()).collect())
}

/// A WebSocket, if the gateway takes it.
async fn knock(source: Ipv4Addr, at: &str) -> Option<TcpStream> {
    let mut stream = from(source, at).await.ok()?;
    stream.write_all(upgrade(at, "/v1/ws", &[]).as_bytes()).await.ok()?;
    let (mut head, mut piece) = (Vec::new(), [0; 512]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut piece).await.ok()? {
            0 => return None,
            length => head.extend(&piece[..length]),
        }
    }
    (Answer::read(&head).status == 101).then_some(stream)
}
