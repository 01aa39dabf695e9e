/** The binary encoding of the client: the standard's own examples, every shape of a frame, and what is no frame. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { TIMES, decode, encode } from "../dist/cbor.js";

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
const ID = "01890a5d-ac96-774b-bcce-b302099a8057";
const AT = "2026-11-24T18:00:00.123Z";

test("the examples of RFC 8949, appendix A, are read", () => {
  for (const [hex, value] of [
    ["00", 0],
    ["17", 23],
    ["1818", 24],
    ["1903e8", 1000],
    ["1a000f4240", 1000000],
    ["1b000000e8d4a51000", 1000000000000],
    ["20", -1],
    ["3903e7", -1000],
    ["fa47c35000", 100000.0],
    ["fb3ff199999999999a", 1.1],
    ["f4", false],
    ["f5", true],
    ["f6", null],
    ["60", ""],
    ["6449455446", "IETF"],
    ["62c3bc", "ü"],
    ["64f0908591", "\u{10151}"],
    ["80", []],
    ["83010203", [1, 2, 3]],
    ["9f018202039f0405ffff", [1, [2, 3], [4, 5]]],
    ["a26161016162820203", { a: 1, b: [2, 3] }],
    ["bf61610161629f0203ffff", { a: 1, b: [2, 3] }],
    ["c11a514b67b0", 1363896240],
  ]) {
    assert.deepEqual(decode(bytes(hex)), value, hex);
  }
});

test("a frame comes back as it was written, and is shorter than in JSON", () => {
  const frame = {
    id: 17,
    type: "send",
    room: ID,
    message_id: ID,
    body: ID,
    mentions: [ID, ID],
    members: ["ann", ID],
    until: AT,
    resume: [{ room: ID, seq: 4294967296 }],
    title: "ü".repeat(300),
    numbers: [0, 23, 24, 255, 256, 65535, 65536, 4294967295, 4294967296, Number.MAX_SAFE_INTEGER, -1, -4294967297, 1.5],
    more: { yes: true, no: false, nothing: null },
  };
  const written = encode({ ...frame, left_out: undefined });
  assert.deepEqual(decode(written), frame);
  assert.ok(written.length < new TextEncoder().encode(JSON.stringify(frame)).length);
  const body = new TextEncoder().encode(ID);
  assert.ok(Buffer.from(written).includes(body), "a body that looks like an id stays a text");
  assert.equal(decode(encode({ body: "\ufeffx" })).body, "\ufeffx");
});


test("an id is 16 bytes and a time a number", () => {
  const time = Date.parse(AT);
  const frame = bytes(`a2626174${`1b${time.toString(16).padStart(16, "0")}`}64726f6f6d50${ID.replaceAll("-", "")}`);
  assert.deepEqual(decode(frame), { at: AT, room: ID });
  assert.equal(encode({ at: AT, room: ID }).length, frame.length);
});

test("what is no frame is an error, and never a long wait", () => {
  for (const hex of ["", "ff", "a1", "a101", "6261", "9bffffffffffffffff", "5bffffffffffffffff", "bbffffffffffffffff", "0000", "1c", "4101", "62c328", "f8ff"]) {
    assert.throws(() => decode(bytes(hex)), undefined, hex);
  }
  for (let round = 0; round < 20_000; round++) {
    const noise = Uint8Array.from({ length: round % 40 }, () => Math.floor(Math.random() * 256));
    try {
      decode(noise);
    } catch (error) {
      assert.ok(error instanceof Error);
    }
  }
});

test("a field that cannot be sent is named", () => {
  assert.throws(() => encode({ body: () => 1 }), /body/);
});

test("the times are those of the protocol's document", () => {
  const document = readFileSync(new URL("../../../docs/reference/asyncapi.yaml", import.meta.url), "utf8");
  const found = new Set();
  const lines = document.split("\n");
  lines.forEach((line, at) => {
    const format = /^( +)format: date-time$/.exec(line);
    if (!format) return;
    // The property stands above, less indented.
    for (let above = at - 1; ; above--) {
      const name = /^( *)(\w+):$/.exec(lines[above]);
      if (name && name[1].length < format[1].length) return found.add(name[2]);
    }
  });
  assert.deepEqual([...found].sort(), [...TIMES].sort());
});
