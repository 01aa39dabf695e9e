/** A gateway that the test plays: it sees the frames of the client and answers them by hand. */
import assert from "node:assert/strict";
import { afterEach } from "node:test";
import { ChatClient } from "../../dist/index.js";

class FakeSocket {
  static OPEN = 1;
  static all = [];
  readyState = 1;
  sent = [];
  constructor(url, offered) {
    this.url = String(url);
    this.offered = offered;
    FakeSocket.all.push(this);
    queueMicrotask(() => this.onopen?.());
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {}
  bring(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  /** Frames of these types, in the order of sending. */
  of(...types) {
    return this.sent.filter((frame) => types.includes(frame.type));
  }
}

export const user = { id: "u", name: "ann", display_name: "Ann" };
export const room = (last_seq) => ({ id: "r", kind: "group", title: "", last_seq, read_seq: 0, delivered_seq: 0, created_at: "" });
export const message = (seq) => ({ type: "message", message: { room: "r", seq, message_id: `m${seq}`, sender: "x", sender_name: "x", body: "", at: "" } });
export const welcome = (rooms, resumed = []) => ({ type: "welcome", re: 0, session: "s", user, gateway: "g", ping_seconds: 25, limits: {}, rooms, resumed });
export const sent = (frame, seq) => ({ type: "sent", re: frame.id, room: frame.room, message_id: frame.message_id, seq, at: "", duplicate: false });

/** The client's connection of this number, once it has said hello. */
export async function connection(number) {
  await until(() => FakeSocket.all[number - 1]?.sent.length > 0, "the client did not connect");
  return FakeSocket.all[number - 1];
}

export async function until(condition, failure) {
  for (const deadline = Date.now() + 30_000; !condition(); ) {
    assert.ok(Date.now() < deadline, failure);
    await new Promise((wake) => setTimeout(wake, 5));
  }
}

/** Lets everything that is ready run: promises, and timers of no time. */
export function settle() {
  return new Promise((wake) => setTimeout(wake, 10));
}

/** A client that a failed test leaves behind would keep the run from ending. */
const running = [];
afterEach(() => {
  for (const client of running.splice(0)) client.stop();
});

/** A sign-in whose access token lives for so many seconds. */
export const session = (refresh_token, life = 3600) => ({
  token: `token of ${refresh_token}`,
  expires_in_seconds: life,
  refresh_token,
  refresh_expires_in_seconds: 86400,
  session: "s1",
  user,
  expires_at: Date.now() + life * 1000,
});

/** How many connections the client has made. */
export const connections = () => FakeSocket.all.length;

/** `more` replaces handlers. */
export function start(first = session("r1"), more = {}, options = {}) {
  FakeSocket.all = [];
  globalThis.WebSocket = FakeSocket;
  const seen = [];
  const handlers = { status() {}, welcome() {}, renewed() {}, event: (event) => event.type === "message" && seen.push(event.message.seq) };
  const client = new ChatClient("http://localhost", first, { ...handlers, ...more }, options);
  client.start();
  running.push(client);
  return { client, seen };
}
