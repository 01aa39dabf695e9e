import assert from "node:assert/strict";
import { test } from "node:test";
import { uuid7 } from "../dist/uuid.js";

test("a message id is a UUIDv7 with the time in its first 48 bits", () => {
  const now = 1_790_000_000_123;
  const id = uuid7(now);
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(parseInt(id.replaceAll("-", "").slice(0, 12), 16), now);
});

test("ids differ", () => {
  assert.equal(new Set(Array.from({ length: 1000 }, () => uuid7())).size, 1000);
});
