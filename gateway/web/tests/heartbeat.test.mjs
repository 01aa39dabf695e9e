import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Heartbeat } from "../dist/heartbeat.js";
import { connection, room, start, welcome } from "./support/fake-gateway.mjs";

/** Counts what a heartbeat does while the test moves the clock. */
function beating(run) {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const did = { asked: 0, dead: 0 };
    const heartbeat = new Heartbeat(
      () => (did.asked += 1),
      () => {
        did.dead += 1;
        heartbeat.stop();
      },
    );
    // Second by second: a timer that a timer sets counts from the end of the step.
    run(heartbeat, did, (seconds) => {
      for (let passed = 0; passed < seconds; passed++) mock.timers.tick(1_000);
    });
  } finally {
    mock.timers.reset();
  }
}

test("a connection that speaks is never asked", () => {
  beating((heartbeat, did, pass) => {
    heartbeat.online(25);
    for (let turn = 0; turn < 10; turn++) {
      pass(25);
      heartbeat.heard();
    }
    assert.deepEqual(did, { asked: 0, dead: 0 });
  });
});

test("a quiet connection that answers stays, one that does not is given up", () => {
  beating((heartbeat, did, pass) => {
    heartbeat.online(25);
    pass(50);
    assert.deepEqual(did, { asked: 1, dead: 0 });
    heartbeat.heard();
    pass(50);
    assert.deepEqual(did, { asked: 2, dead: 0 });
    pass(25);
    assert.deepEqual(did, { asked: 2, dead: 1 });
    pass(500);
    assert.deepEqual(did, { asked: 2, dead: 1 });
  });
});

test("a connection that nobody welcomes is given up", () => {
  beating((heartbeat, did, pass) => {
    heartbeat.connecting();
    pass(19);
    assert.equal(did.dead, 0);
    pass(1);
    assert.equal(did.dead, 1);
  });
});

test("the client leaves a silent connection and repeats what was not answered on the next", async () => {
  const { client } = start();
  const first = await connection(1);
  first.bring({ ...welcome([room(0)]), ping_seconds: 0.02 });
  const sending = client.send("r", "hello");
  const second = await connection(2);
  assert.equal(first.of("ping").length, 1, "the silent connection was not asked");
  second.bring(welcome([room(0)]));
  const [repeat] = second.of("send");
  assert.equal(repeat.message_id, first.of("send")[0].message_id);
  second.bring({ type: "sent", re: repeat.id, room: "r", message_id: repeat.message_id, seq: 1, at: "", duplicate: false });
  await sending;
  client.stop();
});
