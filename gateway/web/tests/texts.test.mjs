import assert from "node:assert/strict";
import { test } from "node:test";
import { Texts } from "../dist/texts.js";
import { at, edit, page, react, remove, text, unreact } from "./support/entries.mjs";

function texts(...entries) {
  const all = new Texts("me");
  for (const entry of entries) all.add(entry);
  return all;
}

test("a text is shown once and in seq order, whatever the order of arrival", () => {
  const all = texts(text(2), text(1), text(3), text(2));
  assert.deepEqual(all.list.map(({ seq }) => seq), [1, 2, 3]);
  assert.equal(all.add(text(3)), false);
});

test("an edit gives the text its body and its time; a superseded one is skipped", () => {
  const all = texts(text(1), edit(2, 1, "", { deleted: true }), edit(3, 1, "newest"));
  assert.deepEqual([all.get(1).body, all.get(1).edited_at], ["newest", at(3)]);
});

test("an edit that comes again changes nothing, not even after a later one", () => {
  const all = texts(text(1), edit(2, 1, "older"), edit(3, 1, "newer"));
  assert.equal(all.add(edit(2, 1, "older")), false);
  assert.equal(all.get(1).body, "newer");
});

test("a deletion leaves a tombstone, which nothing changes any more", () => {
  const all = texts(text(1), react(2, 1, "👍"), remove(3, 1), edit(4, 1, "back"), react(5, 1, "👍"));
  const { deleted, body, reactions, edited_at } = all.get(1);
  assert.deepEqual({ deleted, body, reactions, edited_at }, { deleted: true, body: "", reactions: [], edited_at: undefined });
});

test("reactions count members, know one's own, and go when the last one goes", () => {
  const all = texts(text(1), react(2, 1, "👍", "you"), react(3, 1, "👍", "me"), react(4, 1, "🎉", "me"));
  assert.deepEqual(all.get(1).reactions, [{ emoji: "👍", count: 2, mine: true }, { emoji: "🎉", count: 1, mine: true }]);
  all.add(unreact(5, 1, "👍", "me"));
  all.add(unreact(6, 1, "🎉", "me"));
  assert.deepEqual(all.get(1).reactions, [{ emoji: "👍", count: 1, mine: false }]);
  all.add(react(3, 1, "👍", "me"));
  all.add(unreact(7, 1, "nothing of that kind"));
  assert.deepEqual(all.get(1).reactions, [{ emoji: "👍", count: 1, mine: false }], "a repeat and a stranger change nothing");
  all.add(unreact(8, 1, "👍", "you"));
  assert.deepEqual(all.get(1).reactions, []);
});

test("what a page has in it already is not applied again", () => {
  const all = new Texts("me");
  all.addPage(page([text(1, { body: "edited", edited_at: at(2), reactions: [{ emoji: "👍", count: 1, mine: false }] })], 3));
  for (const entry of [text(1), edit(2, 1, "edited"), react(3, 1, "👍")]) assert.equal(all.add(entry), false);
  assert.deepEqual(all.get(1).reactions, [{ emoji: "👍", count: 1, mine: false }]);
  all.add(react(4, 1, "👍", "me"));
  assert.deepEqual(all.get(1).reactions, [{ emoji: "👍", count: 2, mine: true }]);
});

test("a change to a text that is not loaded counts when a page from before it comes", () => {
  const all = texts(text(10), edit(11, 2, "new body"), react(12, 2, "👍", "me"), remove(13, 3));
  assert.deepEqual(all.list.map(({ seq }) => seq), [10], "an entry is no text");
  all.addPage(page([text(2, { body: "old body" }), text(3)], 10));
  assert.deepEqual([all.get(2).body, all.get(2).reactions, all.get(3).deleted], ["new body", [{ emoji: "👍", count: 1, mine: true }], true]);
});

test("a page from after the change brings the change, and it is not counted twice", () => {
  const all = texts(text(10), react(12, 2, "👍", "me"));
  all.addPage(page([text(2, { reactions: [{ emoji: "👍", count: 1, mine: true }] })], 12));
  assert.deepEqual(all.get(2).reactions, [{ emoji: "👍", count: 1, mine: true }]);
});

test("an older page does not undo what came later", () => {
  const all = texts(text(1), edit(5, 1, "new"));
  all.addPage(page([text(1, { body: "old" })], 4));
  assert.equal(all.get(1).body, "new");
  all.addPage(page([text(1, { body: "", deleted: true })], 9));
  assert.equal(all.get(1).deleted, true);
});

test("a quotation from outside of the list is kept up and is no part of the list", () => {
  const all = texts(text(50, { reply_to: 3 }));
  assert.equal(all.quote(3), undefined);
  all.addQuoted(text(3), 50);
  all.add(edit(51, 3, "edited"));
  assert.deepEqual([all.quote(3).body, all.get(3), all.list.length], ["edited", undefined, 1]);
});

test("kinds that are not known are skipped", () => {
  const all = texts(text(1), text(2, { kind: "unknown", target: 1, body: "?" }), text(3, { kind: "pin" }));
  assert.deepEqual(all.list.map(({ seq, body }) => [seq, body]), [[1, "text 1"]]);
});
