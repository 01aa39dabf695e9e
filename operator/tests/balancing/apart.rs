//! Parts of a test as processes of their own, since the limit on open files is a process's. A part is this very program with one test of it, which reads orders and
//! answers each with a line.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// What a part is to be, for itself.
const TASK: &str = "CHATCLUSTER_TEST_PART";
/// Begin of an answer, among what a test program prints besides.
const SAYS: &str = "part says: ";

/// A part; it is killed when it is dropped.
pub(crate) struct Apart {
    child: Child,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Apart {
    /// Starts the test of this name, which is one that is ignored otherwise.
    pub(crate) fn start(test: &str, task: &str) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut child = Command::new(own)
            .args([test, "--exact", "--ignored", "--nocapture"])
            .env(TASK, task)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, said) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, orders, said }
    }

    /// Gives an order without waiting for its answer.
    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// The next answer: numbers.
    pub(crate) fn answer(&mut self) -> Vec<u64> {
        loop {
            let mut line = String::new();
            let length = tokio::task::block_in_place(|| self.said.read_line(&mut line)).unwrap();
            assert!(length > 0, "a part of the test has ended; what it said stands above");
            if let Some((_, numbers)) = line.split_once(SAYS) {
                return numbers.split_whitespace().map(|number| number.parse().unwrap()).collect();
            }
        }
    }

    /// Gives an order and waits for its answer.
    pub(crate) fn ask(&mut self, order: &str) -> Vec<u64> {
        self.order(order);
        self.answer()
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Within a part: what it is to be.
pub(crate) fn task() -> String {
    std::env::var(TASK).unwrap_or_else(|_| panic!("another test starts this"))
}

/// Within a part: carries out orders until whoever started it has gone. The words of an order come apart.
pub(crate) async fn obey(mut carry_out: impl AsyncFnMut(&[&str]) -> Vec<u64>) {
    let (orders, mut given) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        std::io::stdin()
            .lines()
            .map_while(Result::ok)
            .take_while(|line| orders.send(line.clone()).is_ok())
            .for_each(drop);
    });
    while let Some(line) = given.recv().await {
        let words: Vec<&str> = line.split(' ').collect();
        let numbers: Vec<String> = carry_out(&words).await.iter().map(ToString::to_string).collect();
        println!("{SAYS}{}", numbers.join(" "));
    }
}
