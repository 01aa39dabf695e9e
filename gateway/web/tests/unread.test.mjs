import assert from "node:assert/strict";
import { test } from "node:test";
import { Unread } from "../dist/unread.js";
import { edit, react, remove, text } from "./support/entries.mjs";

function counting(summary = { last_seq: 0, read_seq: 0, unread: 0, mentioned: 0 }) {
  const unread = new Unread("me");
  unread.summary(summary);
  return unread;
}
const counts = (unread) => [unread.count, unread.mentioned, unread.stale];

test("texts of others count, one's own and other entries do not", () => {
  const unread = counting();
  for (const entry of [text(1), text(2, { sender: "me" }), edit(3, 1, "x"), react(4, 1, "x"), text(5, { mentions: ["me", "you"] })]) unread.entry(entry);
  assert.deepEqual(counts(unread), [2, 1, false]);
});

test("events go on where the summary ends, and reading takes both away", () => {
  const unread = counting({ last_seq: 20, read_seq: 10, unread: 4, mentioned: 1 });
  for (const entry of [text(19), text(20), text(21), text(22)]) unread.entry(entry);
  assert.deepEqual(counts(unread), [6, 1, false]);
  unread.read(21);
  assert.deepEqual(counts(unread), [1, 0, false]);
  unread.read(22);
  unread.read(3);
  assert.deepEqual(counts(unread), [0, 0, false]);
});

test("a newer summary replaces what was counted, an older one does not", () => {
  const unread = counting();
  for (const seq of [1, 2, 3]) unread.entry(text(seq));
  unread.summary({ last_seq: 2, read_seq: 0, unread: 2, mentioned: 2 });
  assert.deepEqual(counts(unread), [3, 2, false]);
  unread.summary({ last_seq: 1, read_seq: 0, unread: 1, mentioned: 0 });
  assert.deepEqual(counts(unread), [3, 2, false]);
});

test("what was read here stays read when a summary from before says otherwise", () => {
  const unread = counting();
  for (const seq of [1, 2]) unread.entry(text(seq));
  unread.read(2);
  unread.summary({ last_seq: 2, read_seq: 0, unread: 2, mentioned: 0 });
  assert.deepEqual(counts(unread), [0, 0, false]);
});

test("a deleted text is no longer unread; among those the gateway counted it has to be asked", () => {
  const unread = counting({ last_seq: 5, read_seq: 1, unread: 3, mentioned: 0 });
  unread.entry(text(6));
  unread.entry(remove(7, 6));
  assert.deepEqual(counts(unread), [3, 0, false]);
  unread.entry(remove(8, 1));
  assert.deepEqual(counts(unread), [3, 0, false], "that one was read");
  unread.entry(remove(9, 4));
  assert.deepEqual(counts(unread), [3, 0, true]);
  unread.summary({ last_seq: 9, read_seq: 1, unread: 2, mentioned: 0 });
  assert.deepEqual(counts(unread), [2, 0, false]);
});

test("a read mark within what the gateway counted has to be asked for", () => {
  const unread = counting({ last_seq: 9, read_seq: 1, unread: 6, mentioned: 0 });
  unread.read(5);
  assert.equal(unread.stale, true);
});
