import assert from "node:assert/strict";
import { test } from "node:test";
import { State } from "../dist/state.js";

const me = { id: "me", name: "me", display_name: "Me" };
const room = { id: "r", kind: "group", title: "T", last_seq: 0, read_seq: 0, delivered_seq: 0, created_at: "2026-01-01T00:00:00Z" };
const message = (seq, sender = "you") => ({ room: "r", seq, message_id: `m${seq}`, sender, sender_name: sender, body: "", at: "2026-01-01T00:00:00Z" });
const member = (user, delivered_seq, read_seq) => ({ user, name: user, display_name: user, role: "member", delivered_seq, read_seq });

test("a message is shown once and in seq order, whatever the order of arrival", () => {
  const state = new State(me);
  state.upsert(room);
  for (const seq of [2, 1, 3, 2]) state.add(message(seq));
  assert.deepEqual(state.rooms.get("r").messages.map((m) => m.seq), [1, 2, 3]);
});

test("a draft ends when its message arrives", () => {
  const state = new State(me);
  state.upsert(room).drafts.push({ messageId: "m1", body: "" }, { messageId: "m2", body: "" });
  state.add(message(1, "me"));
  assert.deepEqual(state.rooms.get("r").drafts.map((d) => d.messageId), ["m2"]);
});

test("a tick follows the slowest of the others, and never oneself", () => {
  const state = new State(me);
  const entry = state.upsert(room);
  entry.members = new Map([["me", member("me", 0, 0)], ["a", member("a", 5, 5)], ["b", member("b", 5, 3)]]);
  assert.equal(state.tick(entry, 3), "read");
  assert.equal(state.tick(entry, 4), "delivered");
  assert.equal(state.tick(entry, 6), "sent");
});

test("what was read stays read when an older view of the room comes in", () => {
  const state = new State(me);
  state.upsert({ ...room, last_seq: 9, read_seq: 9 });
  state.upsert({ ...room, last_seq: 7, read_seq: 4 });
  assert.equal(state.unread(state.rooms.get("r")), 0);
});
