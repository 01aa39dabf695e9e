import assert from "node:assert/strict";
import { test } from "node:test";
import { byNameOf, mentionsIn, piecesOf } from "../dist/mentions.js";

const members = [{ user: "1", name: "bob" }, { user: "2", name: "bob.miller" }, { user: "3", name: "carol" }];

test("members are found by their names, in either case, each once", () => {
  assert.deepEqual(mentionsIn("@bob and @Carol, @BOB: hello", members), ["1", "3"]);
});

test("the longest name counts, and a full stop may end the sentence", () => {
  assert.deepEqual(mentionsIn("ask @bob.miller.", members), ["2"]);
  assert.deepEqual(mentionsIn("ask @bob.", members), ["1"]);
});

test("a stranger, an address and a bare sign address nobody", () => {
  assert.deepEqual(mentionsIn("@dave x@bob @ @bobby éa@carol", members), []);
});

test("the pieces are the whole body", () => {
  const body = "hi @bob, <b>@carol</b>";
  const pieces = piecesOf(body, byNameOf(members));
  assert.equal(pieces.map((piece) => piece.text).join(""), body);
  assert.deepEqual(pieces.filter((piece) => piece.user), [{ text: "@bob", user: "1" }, { text: "@carol", user: "3" }]);
});

test("no more are sent than the gateway takes", () => {
  const many = Array.from({ length: 60 }, (_, n) => ({ user: String(n), name: `member${n}` }));
  assert.equal(mentionsIn(many.map(({ name }) => `@${name}`).join(" "), many).length, 50);
});
