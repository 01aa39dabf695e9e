//! What clients do over time: read, keep to a timetable, come back after the server went.

use std::time::Duration;

use anyhow::Result;
use memchr::memmem;

use super::{
    Fleet,
    link::State,
    timetable::Timetable,
    websocket::{self, Frame},
};

/// Most of an upgrade's answer.
const LONGEST_ANSWER: usize = 8 * 1024;
/// Waits between attempts to come back, drawn from 0 to this: a crowd must not come as one.
const RETRY: Duration = Duration::from_millis(500);

impl Fleet<'_> {
    /// Keeps to the timetable until this moment of the run.
    ///
    /// # Errors
    /// As [`Fleet::turn`].
    pub(crate) fn drive(&mut self, timetable: &mut Timetable, until: Duration) -> Result<()> {
        loop {
            let mut now = self.now();
            while timetable.due() <= now && timetable.due() < until {
                let due = timetable.due();
                let (user, room) = timetable.take(self.layout);
                self.publish(user, room, due);
                now = self.now();
            }
            if now >= until {
                return Ok(());
            }
            self.come_back(now)?;
            self.turn(timetable.due().min(until).saturating_sub(now))?;
        }
    }

    /// Only reads, for so long.
    ///
    /// # Errors
    /// As [`Fleet::turn`].
    pub(crate) fn idle(&mut self, time: Duration) -> Result<()> {
        let until = self.now() + time;
        while self.now() < until {
            self.turn(until.saturating_sub(self.now()).min(Duration::from_millis(100)))?;
        }
        Ok(())
    }

    /// Only reads until nothing has come for a second, at most so long.
    ///
    /// # Errors
    /// As [`Fleet::turn`].
    pub(crate) fn settle(&mut self, limit: Duration) -> Result<()> {
        let until = self.now() + limit;
        let mut quiet = 0;
        while self.now() < until && quiet < 20 {
            let before = self.ledger.deliveries();
            self.come_back(self.now())?;
            self.turn(Duration::from_millis(50))?;
            quiet = if self.ledger.deliveries() == before { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    /// Has every client keep `window` messages under way until this moment.
    ///
    /// # Errors
    /// As [`Fleet::turn`].
    pub(crate) fn saturate(&mut self, window: usize, until: Duration) -> Result<()> {
        if self.window == 0 {
            self.window = window;
            for user in 0..self.links.len() {
                (0..window).for_each(|_| self.go_on(user));
            }
        }
        while self.now() < until {
            self.turn(Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// In a closed loop: the next message of a client whose last one was answered.
    pub(super) fn go_on(&mut self, user: usize) {
        if self.window > 0 {
            let rooms = self.layout.rooms_of(user);
            self.next_room = self.next_room.wrapping_add(1);
            let room = rooms[self.next_room % rooms.len()];
            self.publish(user, room, self.now());
        }
    }

    /// Has clients whose server went try again, each at a moment of its own.
    fn come_back(&mut self, now: Duration) -> Result<()> {
        if !self.watching || self.ready + self.opening == self.links.len() {
            return Ok(());
        }
        for user in 0..self.links.len() {
            if self.opening >= super::AT_ONCE {
                break;
            }
            let link = &mut self.links[user];
            match (link.state, link.retry) {
                (State::Closed, Some(Duration::ZERO)) => link.retry = Some(now + wait(user, now)),
                (State::Closed, Some(at)) if at <= now => self.open(user)?,
                (State::Upgrading | State::Greeting, _) if link.patience < now => self.lose(user, "no answer"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads what a client has got.
    pub(super) fn read(&mut self, user: usize) -> Result<()> {
        if self.links[user].deaf {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.links[user].read(&mut buffer) {
                Ok(None) => break,
                Ok(Some(0)) => {
                    self.lose(user, "the server closed");
                    break;
                }
                Ok(Some(read)) => {
                    self.take_in(user, &buffer[..read])?;
                    // Less than there was room for: nothing is left, and the next byte brings another event.
                    if read < buffer.len() {
                        break;
                    }
                }
                Err(error) => {
                    self.lose(user, &error.to_string());
                    break;
                }
            }
        }
        self.buffer = buffer;
        Ok(())
    }

    fn take_in(&mut self, user: usize, bytes: &[u8]) -> Result<()> {
        let mut inbox = std::mem::take(&mut self.links[user].inbox);
        if inbox.is_empty() {
            let used = self.consume(user, bytes)?;
            if self.links[user].state != State::Closed {
                self.links[user].inbox = bytes[used..].to_vec();
            }
            return Ok(());
        }
        inbox.extend(bytes);
        let used = self.consume(user, &inbox)?;
        if self.links[user].state != State::Closed {
            inbox.drain(..used);
            self.links[user].inbox = if inbox.is_empty() { Vec::new() } else { inbox };
        }
        Ok(())
    }

    /// Deals with all that is complete; returns how many bytes that was.
    fn consume(&mut self, user: usize, bytes: &[u8]) -> Result<usize> {
        let mut used = 0;
        if self.links[user].state == State::Upgrading {
            match self.upgraded(user, bytes) {
                Some(length) => used = length,
                None => return Ok(0),
            }
        }
        let now = self.now();
        while self.links[user].state != State::Closed
            && let Some(Frame { opcode, payload, length }) = websocket::read(&bytes[used..])?
        {
            used += length;
            match opcode {
                websocket::TEXT => {
                    let peer = self.peer;
                    peer.understand(payload, &mut |word| self.hear(user, word, now));
                }
                websocket::PING => {
                    let mut pong = Vec::new();
                    websocket::write(&mut pong, websocket::PONG, payload);
                    self.send_raw(user, &pong);
                }
                websocket::CLOSE => {
                    let code = payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
                    self.lose(user, &format!("the server closed with code {code}"));
                }
                _ => {}
            }
        }
        Ok(used)
    }

    /// Reads the answer to the upgrade request and greets.
    fn upgraded(&mut self, user: usize, bytes: &[u8]) -> Option<usize> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
            if bytes.len() > LONGEST_ANSWER {
                self.lose(user, "an endless answer to the upgrade");
            }
            return None;
        };
        if !bytes.starts_with(b"HTTP/1.1 101") {
            let answer = String::from_utf8_lossy(&bytes[..end.min(100)]).into_owned();
            self.lose(user, &answer);
            return None;
        }
        self.links[user].state = State::Greeting;
        let resume: Vec<(u32, u64)> = self
            .layout
            .rooms_of(user)
            .iter()
            .zip(&self.positions[user])
            .filter(|_| self.watching)
            .map(|(room, seq)| (*room, *seq))
            .collect();
        let greeting = self.peer.greeting(user, self.layout, &resume);
        self.send_text(user, greeting.as_bytes());
        Some(end + 4)
    }
}

/// Spread by user and moment, the same in every run but for the moment.
fn wait(user: usize, now: Duration) -> Duration {
    let mixed = (user as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(now.subsec_nanos());
    RETRY.mul_f64(f64::from(u32::try_from(mixed >> 40).unwrap_or(0)) / f64::from(1_u32 << 24))
}
