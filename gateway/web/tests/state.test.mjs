import assert from "node:assert/strict";
import { test } from "node:test";
import { State } from "../dist/state.js";
import { at, edit, me, page, remove, room, text } from "./support/entries.mjs";

const member = (user, delivered_seq, read_seq, role = "member") => ({ user, name: user, display_name: user, role, delivered_seq, read_seq });
const summary = (fields) => ({ ...room, role: "member", members: 2, unread: 0, mentioned: 0, ...fields });
const newest = (seq, body) => ({ seq, sender: "you", sender_name: "You", body, at: at(seq), deleted: false });

test("a draft ends when its text arrives, as an event or in a page", () => {
  const state = new State(me);
  const entry = state.upsert(room);
  entry.drafts.push(...["m1", "m2", "m3"].map((messageId) => ({ messageId, body: "" })));
  state.add(text(1, { sender: "me" }));
  state.addPage(entry, page([text(2, { sender: "me" })], 2));
  assert.deepEqual(entry.drafts.map((draft) => draft.messageId), ["m3"]);
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
  const entry = state.summarize(summary({ last_seq: 9, read_seq: 4, unread: 3 }));
  assert.equal(entry.unread.count, 3);
  state.read(entry, 9);
  state.upsert({ ...room, last_seq: 7, read_seq: 4 });
  state.summarize(summary({ last_seq: 9, read_seq: 4, unread: 3 }));
  assert.deepEqual([entry.unread.count, entry.room.read_seq, entry.room.last_seq], [0, 9, 9]);
});

test("unread and mentioned go on from the summary", () => {
  const state = new State(me);
  const entry = state.summarize(summary({ last_seq: 5, read_seq: 2, unread: 2, mentioned: 1, muted_until: at(60) }));
  state.add(text(6, { mentions: ["me"] }));
  state.add(text(7, { kind: "unknown" }));
  assert.deepEqual([entry.unread.count, entry.unread.mentioned, entry.mutedUntil], [3, 2, Date.parse(at(60))]);
});

test("of muted rooms only mentions count among all that is unread", () => {
  const state = new State(me);
  state.summarize(summary({ id: "a", last_seq: 9, unread: 4, mentioned: 2, muted_until: "9999-01-01T00:00:00.000Z" }));
  state.summarize(summary({ id: "b", last_seq: 9, unread: 3, mentioned: 1 }));
  assert.equal(state.unread(), 5);
});

test("the newest text follows texts, edits and deletions of it, and nothing else", () => {
  const state = new State(me);
  const entry = state.summarize(summary({ last_seq: 4, newest: newest(4, "four") }));
  state.add(edit(5, 3, "another text"));
  assert.equal(entry.newest.body, "four");
  state.add(edit(6, 4, "four, edited"));
  assert.equal(entry.newest.body, "four, edited");
  state.add(edit(7, 4, "", { deleted: true }));
  assert.equal(entry.newest.body, "four, edited", "a superseded edit says nothing");
  state.add(remove(8, 4));
  assert.deepEqual([entry.newest.body, entry.newest.deleted], ["", true]);
  state.add(text(9, { body: "x".repeat(300) }));
  assert.deepEqual([entry.newest.seq, entry.newest.body.length], [9, 200]);
  state.summarize(summary({ last_seq: 4, newest: newest(4, "four") }));
  assert.equal(entry.newest.seq, 9, "an older answer does not undo it");
});

test("rooms are sorted by their newest text", () => {
  const state = new State(me);
  state.summarize(summary({ id: "a", newest: newest(1, "") }));
  state.summarize(summary({ id: "b", newest: newest(2, "") }));
  state.summarize(summary({ id: "c", created_at: at(0) }));
  assert.deepEqual(state.sorted().map((entry) => entry.room.id), ["b", "a", "c"]);
  state.add(text(3, { room: "c" }));
  assert.deepEqual(state.sorted().map((entry) => entry.room.id), ["c", "b", "a"]);
});

test("in a group owner and admins delete anybody's text, in a direct room nobody does", () => {
  const state = new State(me);
  const entry = state.summarize(summary({ role: "admin" }));
  assert.equal(state.mayDelete(entry, text(1)), true);
  entry.members.set("me", member("me", 0, 0, "member"));
  assert.equal(state.mayDelete(entry, text(1)), false);
  assert.equal(state.mayDelete(entry, text(1, { sender: "me" })), true);
  const direct = state.summarize(summary({ id: "d", kind: "direct", role: "owner" }));
  assert.equal(state.mayDelete(direct, text(1)), false);
});

test("only what came here may be marked as read", () => {
  const state = new State(me);
  const entry = state.upsert({ ...room, last_seq: 7 });
  assert.equal(entry.seen, 0);
  state.addPage(entry, page([text(5)], 6));
  state.add(text(7));
  assert.equal(entry.seen, 7);
});
