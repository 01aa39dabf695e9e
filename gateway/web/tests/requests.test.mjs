import assert from "node:assert/strict";
import { test } from "node:test";
import { WAITING_MAX } from "../dist/index.js";
import { connection, room, sent, settle, start, until, welcome } from "./support/fake-gateway.mjs";

const other = { ...room(0), id: "q" };
const writes = ["send", "edit", "delete", "react", "unreact"];

/** Answers each write as it comes, and says in which order they came. */
async function answerAll(socket, count) {
  const seen = [];
  for (let seq = 1; seq <= count; seq++) {
    await until(() => socket.of(...writes).length >= seq, `write ${seq} did not come`);
    const frame = socket.of(...writes)[seq - 1];
    seen.push(frame);
    socket.bring(sent(frame, seq));
  }
  return seen;
}

test("each write carries the fields of the protocol and an id of its own", async () => {
  const { client } = start();
  const socket = await connection(1);
  socket.bring(welcome([room(3)]));
  const asked = [
    client.send("r", "hi", { replyTo: 2, mentions: ["a", "b"] }),
    client.send("r", "plain"),
    client.edit("r", 1, "better"),
    client.delete("r", 2),
    client.react("r", 1, "👍"),
    client.unreact("r", 1, "👍"),
  ];
  assert.equal(client.waiting, 6);
  const frames = await answerAll(socket, 6);
  await Promise.all(asked);
  assert.equal(client.waiting, 0);
  assert.equal(new Set(frames.map((frame) => frame.message_id)).size, 6);
  for (const frame of frames) assert.match(frame.message_id, /^[0-9a-f-]{36}$/);
  assert.deepEqual(
    frames.map(({ id, message_id, ...fields }) => fields),
    [
      { type: "send", room: "r", body: "hi", reply_to: 2, mentions: ["a", "b"] },
      { type: "send", room: "r", body: "plain" },
      { type: "edit", room: "r", target: 1, body: "better" },
      { type: "delete", room: "r", target: 2 },
      { type: "react", room: "r", target: 1, emoji: "👍" },
      { type: "unreact", room: "r", target: 1, emoji: "👍" },
    ],
  );
  client.stop();
});

test("what is written offline goes out in order on the next connection, edits too", async () => {
  const { client } = start();
  const first = await connection(1);
  first.bring(welcome([room(0)]));
  first.onclose({ code: 1006, reason: "" });
  const asked = [client.send("r", "one"), client.edit("r", 1, "two"), client.react("r", 1, "x"), client.send("r", "three")];
  const second = await connection(2);
  assert.deepEqual(second.of(...writes), []);
  second.bring(welcome([room(0)]));
  const frames = await answerAll(second, 4);
  assert.deepEqual(frames.map((frame) => frame.body ?? frame.emoji), ["one", "two", "x", "three"]);
  assert.deepEqual((await Promise.all(asked)).map(({ seq }) => seq), [1, 2, 3, 4]);
  client.stop();
});

test("a refusal for the moment is repeated under the same id, and what was written later waits behind it", async () => {
  const { client } = start();
  const socket = await connection(1);
  socket.bring(welcome([room(0), other]));
  const asked = [client.send("r", "one"), client.send("r", "two")];
  const elsewhere = client.send("q", "other room");
  const [one, apart] = socket.of("send");
  assert.deepEqual([one.body, apart.body], ["one", "other room"], "another room does not wait");
  socket.bring(sent(apart, 1));
  await elsewhere;
  socket.bring({ type: "error", re: one.id, code: "rate_limited", message: "slower", retry_after_ms: 1 });
  await until(() => socket.of("send").length === 3, "the refused message was not repeated");
  const repeat = socket.of("send")[2];
  assert.deepEqual([repeat.body, repeat.message_id], ["one", one.message_id]);
  socket.bring(sent(repeat, 1));
  await until(() => socket.of("send").length === 4, "the second message did not follow");
  socket.bring(sent(socket.of("send")[3], 2));
  assert.deepEqual((await Promise.all(asked)).map(({ seq }) => seq), [1, 2]);
  client.stop();
});

test("a refusal for good fails that write alone", async () => {
  const { client } = start();
  const socket = await connection(1);
  socket.bring(welcome([room(0)]));
  const refused = client.edit("r", 1, "not mine");
  const after = client.send("r", "after");
  socket.bring({ type: "error", re: socket.of("edit")[0].id, code: "forbidden", message: "not yours", field: "target" });
  await assert.rejects(refused, { code: "forbidden", field: "target" });
  await until(() => socket.of("send").length === 1, "the next write did not go out");
  socket.bring(sent(socket.of("send")[0], 1));
  assert.equal((await after).seq, 1);
  client.stop();
});

test("what waits is bounded, and fails when the client is stopped", async () => {
  const { client } = start();
  await connection(1);
  const asked = Array.from({ length: WAITING_MAX }, (_, n) => client.send("r", String(n)));
  await assert.rejects(client.send("r", "too many"), { code: "limit" });
  client.stop();
  const results = await Promise.allSettled(asked);
  assert.deepEqual(new Set(results.map((result) => result.reason?.code)), new Set(["unavailable"]));
  await assert.rejects(client.history("r"), { code: "unavailable" });
});

test("lists are read page by page", async () => {
  const { client } = start();
  const socket = await connection(1);
  socket.bring(welcome([]));
  const rooms = client.rooms();
  const answer = (type, fields) => {
    const frame = socket.of(type).at(-1);
    socket.bring({ type, re: frame.id, ...fields });
    return frame;
  };
  assert.equal(answer("rooms", { rooms: [{ id: "b" }], incomplete: true, next: "b" }).after, undefined);
  await settle();
  assert.equal(answer("rooms", { rooms: [{ id: "a" }], incomplete: false }).after, "b");
  assert.deepEqual(await rooms, { rooms: [{ id: "b" }, { id: "a" }], incomplete: true });

  const members = client.members("r");
  answer("members", { room: "r", members: [{ user: "1" }], next: 7 });
  await settle();
  assert.equal(answer("members", { room: "r", members: [{ user: "2" }] }).after, 7);
  assert.deepEqual((await members).map(({ user }) => user), ["1", "2"]);
  client.stop();
});

test("of whom the gateway cannot tell is left out", async () => {
  const { client } = start();
  const socket = await connection(1);
  socket.bring(welcome([]));
  const ask = async (fields) => {
    const answered = client.presence(["1", "2"]);
    await until(() => socket.of("presence").length > 0, "nobody asked");
    const users = [{ user: "1", state: "online" }, { user: "2", state: "offline" }];
    socket.bring({ type: "presence_list", re: socket.of("presence").at(-1).id, users, ...fields });
    return [...(await answered)];
  };
  const known = [["1", true], ["2", false]];
  assert.deepEqual(await ask({ incomplete: false }), known);
  assert.deepEqual(await ask({ incomplete: true }), [["1", true]]);
  assert.deepEqual(await ask({}), known, "a gateway of before does not say");
  client.stop();
});

test("a mute names its end only when it has one, and a role goes to one member", async () => {
  const { client } = start();
  const socket = await connection(1);
  socket.bring(welcome([]));
  const asked = [client.mute("r"), client.mute("r", new Date(0)), client.unmute("r"), client.setRole("r", "bob", "admin")];
  const frames = await answerChanges(socket, 4);
  await Promise.all(asked);
  assert.deepEqual(frames.map(({ id, request_id, ...fields }) => fields), [
    { type: "mute", room: "r" },
    { type: "mute", room: "r", until: "1970-01-01T00:00:00.000Z" },
    { type: "unmute", room: "r" },
    { type: "set_role", room: "r", member: "bob", role: "admin" },
  ]);
  client.stop();
});

const changes = ["create_room", "add_member", "remove_member", "set_role", "mute", "unmute"];

/** Answers the changes of one room as they come, one after the other. */
async function answerChanges(socket, count) {
  for (let nth = 1; nth <= count; nth++) {
    await until(() => socket.of(...changes).length >= nth, `change ${nth} did not come`);
    socket.bring({ type: "ok", re: socket.of(...changes)[nth - 1].id });
  }
  return socket.of(...changes);
}

test("each change has an id of its own, and a repeat after a lost connection has the same", async () => {
  const { client } = start();
  const first = await connection(1);
  first.bring(welcome([room(0)]));
  const asked = [
    client.createRoom({ kind: "group", members: ["bob"], title: "t" }),
    client.addMember("r", "bob"),
    client.removeMember("q", "bob"),
    client.setRole("p", "bob", "owner"),
    client.mute("o"),
    client.unmute("n"),
  ];
  await until(() => first.of(...changes).length === 6, "the changes did not go out");
  first.onclose({ code: 1006, reason: "" });
  const second = await connection(2);
  second.bring(welcome([room(0)]));
  await until(() => second.of(...changes).length === 6, "the changes were not repeated");
  const ids = (socket) => socket.of(...changes).map(({ type, request_id }) => [type, request_id]);
  assert.deepEqual(ids(second), ids(first));
  assert.equal(new Set(ids(first).map(([, id]) => id)).size, 6);
  for (const [, id] of ids(first)) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
  for (const frame of second.of(...changes)) {
    second.bring(frame.type === "create_room" ? { type: "room", re: frame.id, room: room(0), created: true } : { type: "ok", re: frame.id });
  }
  await Promise.all(asked);
  client.stop();
});

test("a change that is over the rate is asked again under its id, and what comes after it waits", async () => {
  const { client } = start();
  const socket = await connection(1);
  socket.bring(welcome([room(0)]));
  const asked = [client.addMember("r", "bob"), client.removeMember("r", "bob")];
  await until(() => socket.of("add_member").length === 1, "nothing went out");
  assert.equal(socket.of("remove_member").length, 0);
  const [refused] = socket.of("add_member");
  socket.bring({ type: "error", re: refused.id, code: "rate_limited", message: "", retry_after_ms: 1 });
  await until(() => socket.of("add_member").length === 2, "it was not asked again");
  const [, again] = socket.of("add_member");
  assert.equal(again.request_id, refused.request_id);
  socket.bring({ type: "ok", re: again.id });
  await until(() => socket.of("remove_member").length === 1, "what came after it was forgotten");
  socket.bring({ type: "ok", re: socket.of("remove_member")[0].id });
  await Promise.all(asked);
  client.stop();
});
