/**
 * The client against a real gateway, in JSON and in CBOR beside each other.
 * CHAT_URL: address of a gateway; `cargo test --test binary_client` sets it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ChatClient, signUp } from "../dist/index.js";

const url = process.env.CHAT_URL ?? "";
const PATIENCE_MS = 60_000;

/** Counts what a connection carries, and in which kind of frame. */
const sockets = [];
const Real = globalThis.WebSocket;
class Counted extends Real {
  kinds = new Set();
  received = 0;
  constructor(...parts) {
    super(...parts);
    sockets.push(this);
    this.addEventListener("message", ({ data }) => {
      this.kinds.add(typeof data);
      this.received += typeof data === "string" ? Buffer.byteLength(data) : data.byteLength;
    });
  }
}

async function until(condition, failure) {
  for (const deadline = Date.now() + PATIENCE_MS; !condition(); ) {
    assert.ok(Date.now() < deadline, failure);
    await new Promise((wake) => setTimeout(wake, 10));
  }
}

function start(session, options) {
  const seen = { events: [], welcomes: [] };
  const handlers = { status() {}, renewed() {}, welcome: (welcome) => seen.welcomes.push(welcome), event: (event) => seen.events.push(event) };
  const client = new ChatClient(url, session, handlers, options);
  client.start();
  return { client, seen, messages: () => seen.events.filter(({ type }) => type === "message").map(({ message }) => message) };
}

test("both encodings carry the same chat", { timeout: 3 * PATIENCE_MS }, async () => {
  assert.ok(url, "CHAT_URL must hold the address of a gateway; `cargo test --test binary_client` sets it");
  assert.ok(Real, "this Node.js has no WebSocket; use 22 or newer, or --experimental-websocket");
  globalThis.WebSocket = Counted;
  const name = `t${Date.now().toString(36)}`;
  const [ann, bob] = await Promise.all(["a", "b"].map((letter) => signUp(url, name + letter, "a good password")));
  const plain = start(ann);
  const compact = start(ann, { encoding: "cbor" });
  const other = start(bob, { encoding: "cbor" });
  try {
    await until(() => [plain, compact, other].every(({ seen }) => seen.welcomes.length > 0), "no welcome");
    assert.deepEqual(sockets.map(({ protocol }) => protocol).sort(), ["chat.v1", "chat.v1.cbor", "chat.v1.cbor"]);
    const room = await other.client.createRoom({ kind: "group", title: "Ünïcödé 🎉", members: [ann.user.name] });
    // What is said before a connection follows the room is history to it, and no event.
    const follows = ({ seen }) => seen.events.some((event) => event.type === "room_added" && event.room.id === room.id);
    await until(() => [plain, compact].every(follows), "the room did not come");
    const sent = await other.client.send(room.id, "who is there? 👋", { mentions: [ann.user.id] });
    await compact.client.send(room.id, ann.user.id, { replyTo: sent.seq });
    await plain.client.react(room.id, sent.seq, "👀");
    await other.client.edit(room.id, sent.seq, "is anybody there?");
    for (let number = 0; number < 20; number++) {
      await other.client.send(room.id, `text ${number}`);
    }
    await until(() => [plain, compact, other].every(({ messages }) => messages().length === 24), "messages are missing");
    assert.deepEqual(plain.messages(), compact.messages(), "an event says the same in both encodings");
    assert.deepEqual(other.messages(), compact.messages());
    assert.deepEqual(compact.messages()[0].mentions, [ann.user.id]);
    assert.equal(compact.messages()[1].body, ann.user.id);
    const [history, compactHistory] = await Promise.all([plain, compact].map(({ client }) => client.history(room.id, { view: "texts" })));
    assert.deepEqual({ ...compactHistory, re: 0 }, { ...history, re: 0 });
    assert.deepEqual(await compact.client.rooms(), await plain.client.rooms());
    assert.deepEqual(await compact.client.members(room.id), await plain.client.members(room.id));
    assert.deepEqual([...(await compact.client.presence([bob.user.id]))], [[bob.user.id, true]]);
    await compact.client.mute(room.id, new Date("2030-01-31T18:00:00.000Z"));
    await until(() => plain.seen.events.some(({ type, until: time }) => type === "muted" && time === "2030-01-31T18:00:00.000Z"), "the mute did not come");
    await assert.rejects(compact.client.send(ann.user.id, "nowhere"), { code: "not_found", field: "room" });

    // A connection that breaks goes on where it was, in the same encoding.
    const last = sockets.filter(({ protocol }) => protocol === "chat.v1.cbor").find((socket) => socket.received > 0 && socket.readyState === Real.OPEN);
    last.close();
    await other.client.send(room.id, "after the break");
    await until(() => [compact, other].every(({ messages }) => messages().length === 25), "the resume brought nothing");

    for (const socket of sockets) assert.deepEqual([...socket.kinds], [socket.protocol === "chat.v1" ? "string" : "object"], socket.protocol);
    const bytes = (wanted) => sockets.filter(({ protocol }) => protocol === wanted).reduce((sum, { received }) => Math.max(sum, received), 0);
    console.log(`received by one connection: ${bytes("chat.v1")} bytes of JSON, ${bytes("chat.v1.cbor")} of CBOR at most`);
    assert.ok(bytes("chat.v1.cbor") < 0.75 * bytes("chat.v1"));
  } finally {
    for (const { client } of [plain, compact, other]) client.stop();
  }
});
