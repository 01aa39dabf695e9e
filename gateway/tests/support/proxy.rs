//! A way to a server that tests make bad: connections that break off inside a frame, and bytes that come slowly or not at all.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::sleep,
};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the gateways to the server.
    ToServer,
    /// From the server to the gateways.
    ToGateway,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rules {
    /// Bytes a second of each connection, to the server and to the gateway; 0 holds everything up.
    paces: [Option<u64>; 2],
    /// Rises with each order to cut: the connections of before pass so many bytes more that way, and are reset.
    cut: u64,
    way: Option<Way>,
    remaining: usize,
}

/// See the module's documentation. It ends with the value.
pub struct Proxy {
    port: u16,
    rules: watch::Sender<Rules>,
    cuts: Arc<Mutex<usize>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Listens on `port` of loopback (0: any that is free), and passes everything to `target`.
    pub async fn start(port: u16, target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let rules = watch::Sender::new(Rules::default());
        let cuts = Arc::<Mutex<usize>>::default();
        let accepting = tokio::spawn({
            let (rules, cuts) = (rules.clone(), Arc::clone(&cuts));
            async move {
                loop {
                    let Ok((client, _)) = listener.accept().await else { continue };
                    tokio::spawn(connect(client, target, rules.subscribe(), Arc::clone(&cuts)));
                }
            }
        });
        Self { port, rules, cuts, accepting }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets each connection that is open pass so many bytes more, one way, and resets it then. New ones are left alone.
    pub fn cut_after(&self, way: Way, bytes: usize) {
        self.rules.send_modify(|rules| {
            rules.cut += 1;
            (rules.way, rules.remaining) = (Some(way), bytes);
        });
    }

    /// How many connections were reset so.
    pub fn cuts(&self) -> usize {
        *self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Slows every connection down to so many bytes a second, one way; 0 holds everything up, `None` nothing.
    pub fn pace(&self, way: Way, bytes_per_second: Option<u64>) {
        self.rules.send_modify(|rules| rules.paces[way as usize] = bytes_per_second);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connect(client: TcpStream, target: u16, rules: watch::Receiver<Rules>, cuts: Arc<Mutex<usize>>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    for end in [&client, &server] {
        drop(end.set_nodelay(true));
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let mut up = Pipe { from: from_client, to: to_server, way: Way::ToServer, rules: rules.clone() };
    let mut down = Pipe { from: from_server, to: to_client, way: Way::ToGateway, rules };
    let is_cut = tokio::select! {
        is_cut = up.run() => is_cut,
        is_cut = down.run() => is_cut,
    };
    if is_cut {
        *cuts.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        for end in [up.from.reunite(down.to), down.from.reunite(up.to)].into_iter().flatten() {
            // No time to linger means a reset.
            drop(end.set_zero_linger());
        }
    }
}

struct Pipe {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    way: Way,
    rules: watch::Receiver<Rules>,
}

impl Pipe {
    /// Passes bytes on until either end closes (false), or it was cut (true).
    async fn run(&mut self) -> bool {
        let begun = self.rules.borrow().cut;
        let mut passed_since_order = 0;
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let rules = *self.rules.borrow_and_update();
            let is_ordered = rules.cut > begun && rules.way == Some(self.way);
            let room = if is_ordered { rules.remaining.saturating_sub(passed_since_order) } else { buffer.len() };
            if is_ordered && room == 0 {
                return true;
            }
            let pace = rules.paces[self.way as usize];
            let room = match pace {
                Some(0) => {
                    if self.rules.changed().await.is_err() {
                        return false;
                    }
                    continue;
                }
                // A tenth of a second's share.
                Some(pace) => room.min(usize::try_from(pace / 10).unwrap().max(1)),
                None => room,
            };
            let room = room.min(buffer.len());
            let read = tokio::select! {
                read = self.from.read(&mut buffer[..room]) => read,
                changed = self.rules.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return false,
                },
            };
            let Ok(count @ 1..) = read else { return false };
            if self.to.write_all(&buffer[..count]).await.is_err() {
                return false;
            }
            if is_ordered {
                passed_since_order += count;
            }
            if pace.is_some() {
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
