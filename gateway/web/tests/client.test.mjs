import assert from "node:assert/strict";
import { test } from "node:test";
import { connection, message, room, settle, start, until, welcome } from "./support/fake-gateway.mjs";

test("a room that a welcome leaves out is resumed where the client stood", async () => {
  const { client, seen } = start();
  const first = await connection(1);
  first.bring(welcome([room(5)]));
  first.bring(message(6));
  first.bring(message(6));
  first.onclose({ code: 1012, reason: "" });
  const second = await connection(2);
  assert.deepEqual(second.sent[0].resume, [{ room: "r", seq: 6 }]);
  second.bring(welcome([]));
  second.onclose({ code: 1012, reason: "" });
  const third = await connection(3);
  assert.deepEqual(third.sent[0].resume, [{ room: "r", seq: 6 }]);
  third.bring(welcome([]));
  third.bring({ type: "room_added", room: room(6) });
  third.bring(message(7));
  assert.deepEqual(seen, [6, 7]);
  client.stop();
});

test("what was said before a room came back is read from the log, in order", async () => {
  const { client, seen } = start();
  const socket = await connection(1);
  socket.bring(welcome([room(2)]));
  socket.bring({ type: "room_added", room: room(4) });
  socket.bring(message(5));
  const [asked] = socket.of("history");
  assert.deepEqual({ room: asked.room, after: asked.after, view: asked.view }, { room: "r", after: 2, view: "log" });
  socket.bring({ type: "history", re: asked.id, room: "r", messages: [message(3).message, message(4).message], more: false, last_seq: 5 });
  await settle();
  assert.deepEqual(seen, [3, 4, 5]);
  client.stop();
});

test("a gap is filled although the store is away at first and the connection breaks meanwhile", async () => {
  const { client, seen } = start();
  const first = await connection(1);
  first.bring(welcome([room(1)]));
  first.bring({ type: "room_added", room: room(3) });
  const [refused] = first.of("history");
  first.bring({ type: "error", re: refused.id, code: "unavailable", message: "away", retry_after_ms: 1 });
  await until(() => first.of("history").length === 2, "the history was not asked for again");
  first.bring(message(4));
  first.onclose({ code: 1006, reason: "" });
  const second = await connection(2);
  assert.deepEqual(second.sent[0].resume, [{ room: "r", seq: 1 }]);
  second.bring(welcome([room(5)], [{ room: "r", from: 1, to: 5, recovered: false }]));
  second.bring(message(6));
  const page = (frame, seqs) => ({ type: "history", re: frame.id, room: "r", messages: seqs.map((seq) => message(seq).message), more: false, last_seq: 6 });
  await until(() => second.of("history").length === 1, "the history was not asked for on the new connection");
  second.bring(page(second.of("history")[0], [2, 3]));
  await until(() => second.of("history").length === 2, "what the second gap has more was not asked for");
  second.bring(page(second.of("history")[1], [4, 5]));
  await settle();
  assert.deepEqual(seen, [2, 3, 4, 5, 6]);
  client.stop();
});

test("a page that cannot be had holds back what came behind it, until it can", async () => {
  const { client, seen } = start();
  const first = await connection(1);
  first.bring(welcome([room(1)]));
  first.bring({ type: "room_added", room: room(3) });
  first.bring(message(4));
  // None of these is a refusal for the moment: too long an answer, a request that is not understood, a page with nothing on it.
  const refusals = [
    { type: "error", code: "limit", message: "over 512 KiB" },
    { type: "error", code: "bad_request", message: "what?" },
    { type: "history", room: "r", messages: [], more: false, last_seq: 3 },
  ];
  for (const [at, refusal] of refusals.entries()) {
    await until(() => first.of("history").length === at + 1, "the history was not asked for again");
    first.bring({ ...refusal, re: first.of("history")[at].id });
    await settle();
    assert.deepEqual(seen, [], "nothing is handed on past the gap");
  }
  first.onclose({ code: 1006, reason: "" });
  const second = await connection(2);
  assert.deepEqual(second.sent[0].resume, [{ room: "r", seq: 1 }], "the place is kept");
  second.bring(welcome([room(4)], [{ room: "r", from: 1, to: 4, recovered: true }]));
  for (const seq of [2, 3, 4, 5]) second.bring(message(seq));
  await until(() => second.of("history").length === 1, "the history was not asked for on the new connection");
  const [asked] = second.of("history");
  assert.equal(asked.after, 1);
  second.bring({ type: "history", re: asked.id, room: "r", messages: [2, 3].map((seq) => message(seq).message), more: false, last_seq: 5 });
  await settle();
  assert.deepEqual(seen, [2, 3, 4, 5]);
  client.stop();
});

test("who is no member any more hears so, and of nothing that came behind the gap", async () => {
  const told = [];
  const { client } = start(undefined, { event: (event) => told.push(event.type === "message" ? event.message.seq : event.type) });
  const socket = await connection(1);
  socket.bring(welcome([room(1)]));
  socket.bring({ type: "room_added", room: room(3) });
  socket.bring(message(4));
  socket.bring({ type: "error", re: socket.of("history")[0].id, code: "not_found", message: "no such room" });
  await settle();
  assert.deepEqual(told, ["room_added", "room_removed"]);
  // And back again.
  socket.bring({ type: "room_added", room: room(9) });
  socket.bring(message(10));
  await settle();
  assert.equal(socket.of("history").length, 1, "what was said meanwhile is no gap");
  assert.deepEqual(told, ["room_added", "room_removed", "room_added", 10]);
  client.stop();
});

test("pages are handed on as they come, so a second gap begins where they ended", async () => {
  const { client, seen } = start();
  const socket = await connection(1);
  socket.bring(welcome([room(1)]));
  socket.bring({ type: "room_added", room: room(5) });
  const [first] = socket.of("history");
  socket.bring({ type: "history", re: first.id, room: "r", messages: [2, 3].map((seq) => message(seq).message), more: true, last_seq: 5 });
  await settle();
  assert.deepEqual(seen, [2, 3]);
  assert.equal(socket.of("history")[1].after, 3);
  socket.bring({ type: "room_removed", room: "r" });
  socket.bring({ type: "history", re: socket.of("history")[1].id, room: "r", messages: [4, 5].map((seq) => message(seq).message), more: false, last_seq: 5 });
  await settle();
  assert.deepEqual(seen, [2, 3], "nothing comes after the end of the membership");
  client.stop();
});

test("a gateway that knows JSON only is spoken to in JSON, whatever was offered", async () => {
  const { client, seen } = start(undefined, {}, { encoding: "cbor" });
  const socket = await connection(1);
  assert.deepEqual(socket.offered, ["chat.v1.cbor", "chat.v1"]);
  socket.bring(welcome([room(0)]));
  socket.bring(message(1));
  assert.deepEqual([socket.sent[0].type, seen], ["hello", [1]]);
  client.stop();
  start();
  assert.deepEqual((await connection(1)).offered, ["chat.v1"]);
});

test("an unanswered send is repeated on the next connection under the same id", async () => {
  const { client } = start();
  const first = await connection(1);
  first.bring(welcome([room(0)]));
  const sending = client.send("r", "hello", { messageId: "id-1" });
  assert.equal(first.sent[1].message_id, "id-1");
  first.onclose({ code: 1006, reason: "" });
  const second = await connection(2);
  second.bring(welcome([room(0)]));
  const [repeat] = second.of("send");
  assert.equal(repeat.message_id, "id-1");
  second.bring({ type: "sent", re: repeat.id, room: "r", message_id: "id-1", seq: 1, at: "", duplicate: true });
  assert.equal((await sending).seq, 1);
  client.stop();
});

test("a room that was just made is resumed from its beginning, even before anything was said", async () => {
  const { client } = start();
  const first = await connection(1);
  first.bring(welcome([]));
  const making = client.createRoom({ kind: "direct", members: ["bob"] });
  first.bring({ type: "room", re: first.of("create_room")[0].id, room: room(0), created: true });
  assert.equal((await making).id, "r");
  first.onclose({ code: 1006, reason: "" });
  const second = await connection(2);
  assert.deepEqual(second.sent[0].resume, [{ room: "r", seq: 0 }]);
  client.stop();
});
