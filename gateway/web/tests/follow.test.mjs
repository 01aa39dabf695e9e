import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Follow } from "../dist/follow.js";
import { State } from "../dist/state.js";
import { me, page, room, text } from "./support/entries.mjs";

/** A follower whose gateway lists these rooms at the moment. */
function following({ members = [], presence = async (users) => new Map(users.map((user) => [user, false])) } = {}) {
  const listed = [];
  let asked = 0;
  const client = {
    rooms: async () => {
      asked++;
      return { rooms: listed.map((one) => ({ ...one, role: "member", members: 2, unread: 0, mentioned: 0 })), incomplete: false };
    },
    members: async () => members,
    presence,
    history: async () => page([], 0),
    delivered: async () => {},
  };
  const state = new State(me);
  const follow = new Follow(client, state, { changed() {}, arrived() {} });
  return { follow, state, listed, asked: () => asked };
}

async function until(holds) {
  for (const end = Date.now() + 30_000; !holds(); ) {
    assert.ok(Date.now() < end, `${holds}`);
    await new Promise((go) => setTimeout(go, 10));
  }
}

test("a list that is behind a room which was just made does not take it away", async () => {
  const { follow, state, listed, asked } = following();
  follow.welcome({ rooms: [] });
  await until(() => asked() === 1);
  follow.event({ type: "room_added", room });
  await until(() => asked() === 2);
  assert.ok(state.rooms.has("r"));
  listed.push(room);
  follow.event({ type: "room_removed", room: "r" });
  assert.ok(!state.rooms.has("r"), "this takes it away");
  follow.stop();
});

test("a room that was left while there was no connection is gone after it", async () => {
  const { follow, state, asked } = following();
  follow.welcome({ rooms: [room] });
  await until(() => asked() === 1);
  await follow.list();
  assert.ok(state.rooms.has("r"), "it came with this connection");
  follow.welcome({ rooms: [] });
  await until(() => asked() === 3 && !state.rooms.has("r"));
  follow.stop();
});

test("a message in a room that is not known asks for the list", async () => {
  const { follow, state, listed, asked } = following();
  listed.push(room);
  follow.event({ type: "message", message: text(1) });
  await until(() => asked() === 1 && state.rooms.has("r"));
  follow.stop();
});

test("of whom the gateway cannot tell it is asked again, while the conversation is open", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let questions = 0;
  let answer = new Map();
  const presence = async () => {
    questions++;
    return answer;
  };
  const { follow, state } = following({ members: [{ user: "you", delivered_seq: 0, read_seq: 0 }], presence });
  const passes = async (ms) => {
    mock.timers.tick(ms);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  try {
    state.upsert(room);
    state.open = "r";
    await follow.open("r");
    assert.equal(questions, 1);
    assert.equal(state.online.get("you"), undefined);
    for (const [ms, asked] of [[1_999, 1], [1, 2], [3_999, 2], [1, 3]]) {
      await passes(ms);
      assert.equal(questions, asked);
    }
    state.open = undefined;
    await passes(600_000);
    assert.equal(questions, 3, "nobody looks");
    answer = new Map([["you", true]]);
    state.open = "r";
    await follow.open("r");
    assert.equal(questions, 4);
    assert.equal(state.online.get("you"), true);
    await passes(600_000);
    await follow.open("r");
    assert.equal(questions, 4, "it is known");
  } finally {
    follow.stop();
    mock.timers.reset();
  }
});
