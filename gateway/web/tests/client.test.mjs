import assert from "node:assert/strict";
import { test } from "node:test";
import { ChatClient } from "../dist/client.js";

/** A WebSocket that the test drives. */
class FakeSocket {
  static OPEN = 1;
  static all = [];
  readyState = 1;
  sent = [];
  constructor() {
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
}

const user = { id: "u", name: "ann", display_name: "Ann" };
const room = (last_seq) => ({ id: "r", kind: "group", title: "", last_seq, read_seq: 0, delivered_seq: 0, created_at: "" });
const message = (seq) => ({ type: "message", message: { room: "r", seq, message_id: `m${seq}`, sender: "x", sender_name: "x", body: "", at: "" } });
const welcome = (rooms) => ({ type: "welcome", re: 0, session: "s", user, gateway: "g", ping_seconds: 25, limits: {}, rooms, resumed: [] });

const session = (refresh_token, life = 3600) => ({
  token: `token of ${refresh_token}`,
  expires_in_seconds: life,
  refresh_token,
  refresh_expires_in_seconds: 86400,
  session: "s1",
  user,
  expires_at: Date.now() + life * 1000,
});

async function next(count, most = 200) {
  for (let tries = 0; FakeSocket.all.length < count || FakeSocket.all[count - 1].sent.length === 0; tries++) {
    assert.ok(tries < most, "the client did not connect again");
    await new Promise((wake) => setTimeout(wake, 10));
  }
  return FakeSocket.all[count - 1];
}

function start(first = session("r1"), more = {}) {
  FakeSocket.all = [];
  globalThis.WebSocket = FakeSocket;
  const seen = [];
  const handlers = { status() {}, welcome() {}, renewed() {}, event: (event) => event.type === "message" && seen.push(event.message.seq) };
  const client = new ChatClient("http://localhost", first, { ...handlers, ...more });
  client.start();
  return { client, seen };
}

test("a room that a welcome leaves out is resumed where the client stood", async () => {
  const { client, seen } = start();
  const first = await next(1);
  first.bring(welcome([room(5)]));
  first.bring(message(6));
  first.bring(message(6));
  first.onclose({ code: 1012, reason: "" });
  const second = await next(2);
  assert.deepEqual(second.sent[0].resume, [{ room: "r", seq: 6 }]);
  second.bring(welcome([]));
  second.onclose({ code: 1012, reason: "" });
  const third = await next(3);
  assert.deepEqual(third.sent[0].resume, [{ room: "r", seq: 6 }]);
  third.bring(welcome([]));
  third.bring({ type: "room_added", room: room(6) });
  third.bring(message(7));
  assert.deepEqual(seen, [6, 7]);
  client.stop();
});

test("what was said before a room came back is read from the history, in order", async () => {
  const { client, seen } = start();
  const socket = await next(1);
  socket.bring(welcome([room(2)]));
  socket.bring({ type: "room_added", room: room(4) });
  socket.bring(message(5));
  const asked = socket.sent.find((frame) => frame.type === "history");
  assert.deepEqual({ room: asked.room, after: asked.after }, { room: "r", after: 2 });
  socket.bring({ type: "history", re: asked.id, room: "r", messages: [message(3).message, message(4).message], more: false });
  await new Promise((wake) => setTimeout(wake, 10));
  assert.deepEqual(seen, [3, 4, 5]);
  client.stop();
});

test("an unanswered send is repeated on the next connection under the same id", async () => {
  const { client } = start();
  const first = await next(1);
  first.bring(welcome([room(0)]));
  const sending = client.send("r", "hello", "id-1");
  assert.equal(first.sent[1].message_id, "id-1");
  first.onclose({ code: 1006, reason: "" });
  const second = await next(2);
  second.bring(welcome([room(0)]));
  const repeat = second.sent.find((frame) => frame.type === "send");
  assert.equal(repeat.message_id, "id-1");
  second.bring({ type: "sent", re: repeat.id, room: "r", message_id: "id-1", seq: 1, at: "", duplicate: true });
  assert.equal((await sending).seq, 1);
  client.stop();
});

/** Answers of `/v1/refresh`, in order; a status stands for a refusal. */
function refreshes(...answers) {
  const asked = [];
  globalThis.fetch = async (url, request) => {
    assert.equal(new URL(url).pathname, "/v1/refresh");
    asked.push(JSON.parse(request.body).refresh_token);
    const answer = answers.shift();
    if (answer === undefined) throw new TypeError("no connection");
    if (answer === 401) return Response.json({ error: { code: "unauthenticated", message: "no" } }, { status: 401 });
    return Response.json(answer);
  };
  return asked;
}

test("a token that ran out is exchanged, and the connection goes on with the fresh one", async () => {
  const asked = refreshes(session("r2"));
  const kept = [];
  const { client } = start(session("r1"), { renewed: (fresh) => kept.push(fresh.refresh_token) });
  const first = await next(1);
  first.bring(welcome([room(3)]));
  first.onclose({ code: 4401, reason: "" });
  const second = await next(2);
  assert.deepEqual([second.sent[0].token, second.sent[0].resume], ["token of r2", [{ room: "r", seq: 3 }]]);
  assert.deepEqual([asked, kept, client.current.refresh_token], [["r1"], ["r2"], "r2"]);
  client.stop();
});

test("a fresh token comes before the old one ends, with a new connection before the old one closes", async () => {
  refreshes(session("r2"));
  const { client } = start(session("r1", 0.4));
  const first = await next(1);
  first.bring(welcome([room(3)]));
  let closed = 0;
  first.close = () => closed++;
  const second = await next(2);
  assert.equal(second.sent[0].token, "token of r2");
  assert.equal(closed, 0);
  second.bring(welcome([room(3)]));
  assert.equal(closed, 1);
  client.stop();
});

test("a session that was ended signs out, whether the gateway says so or the refresh token is refused", async () => {
  for (const [code, answers] of [
    [4410, []],
    [4401, [401]],
  ]) {
    const asked = refreshes(...answers);
    const told = [];
    const { client } = start(session("r1"), { status: (status, detail) => told.push([status, detail]) });
    const first = await next(1);
    first.bring(welcome([]));
    first.onclose({ code, reason: "" });
    for (let tries = 0; told.at(-1)[0] !== "signed-out"; tries++) {
      assert.ok(tries < 200, JSON.stringify(told));
      await new Promise((wake) => setTimeout(wake, 10));
    }
    assert.match(told.at(-1)[1], /sign in again/);
    assert.equal(asked.length, answers.length);
    assert.equal(FakeSocket.all.length, 1, "it does not connect again");
    client.stop();
  }
});

test("a refresh that gets no answer is tried again with the same token", async () => {
  const asked = refreshes(undefined, session("r2"));
  const { client } = start();
  const first = await next(1);
  first.bring(welcome([]));
  first.onclose({ code: 4401, reason: "" });
  const second = await next(2);
  second.bring({ type: "error", re: 0, code: "token_expired", message: "" });
  const third = await next(3);
  assert.equal(third.sent[0].token, "token of r2");
  assert.deepEqual(asked, ["r1", "r1"]);
  client.stop();
});

test("an exchange whose answer was lost is repeated soon, with the same token", async () => {
  const asked = refreshes(undefined, session("r2"));
  const { client } = start(session("r1", 0.2));
  const first = await next(1);
  first.bring(welcome([]));
  const begin = Date.now();
  const second = await next(2, 500);
  assert.equal(second.sent[0].token, "token of r2");
  assert.deepEqual(asked, ["r1", "r1"]);
  assert.ok(Date.now() - begin < 9_000, "later than the gateway repeats its answer");
  client.stop();
});
