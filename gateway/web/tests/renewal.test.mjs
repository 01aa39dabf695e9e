/** Tokens are exchanged in time, and a session that was ended ends the client. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connection, connections, room, session, start, welcome } from "./support/fake-gateway.mjs";

/** Answers of `/v1/refresh`, in order; a status stands for a refusal. */
function refreshes(...answers) {
  const asked = [];
  globalThis.fetch = async (url, request) => {
    assert.equal(new URL(url).pathname, "/v1/refresh");
    asked.push(JSON.parse(request.body).refresh_token);
    const answer = answers.shift();
    if (answer === undefined) throw new TypeError("no connection");
    if (answer === 401) return Response.json({ error: { code: "unauthenticated", message: "no" } }, { status: 401 });
    return Response.json(answer);
  };
  return asked;
}

test("a token that ran out is exchanged, and the connection goes on with the fresh one", async () => {
  const asked = refreshes(session("r2"));
  const kept = [];
  const { client } = start(session("r1"), { renewed: (fresh) => kept.push(fresh.refresh_token) });
  const first = await connection(1);
  first.bring(welcome([room(3)]));
  first.onclose({ code: 4401, reason: "" });
  const second = await connection(2);
  assert.deepEqual([second.sent[0].token, second.sent[0].resume], ["token of r2", [{ room: "r", seq: 3 }]]);
  assert.deepEqual([asked, kept, client.current.refresh_token], [["r1"], ["r2"], "r2"]);
  client.stop();
});

test("a fresh token comes before the old one ends, with a new connection before the old one closes", async () => {
  refreshes(session("r2"));
  const { client } = start(session("r1", 0.4));
  const first = await connection(1);
  first.bring(welcome([room(3)]));
  let closed = 0;
  first.close = () => closed++;
  const second = await connection(2);
  assert.equal(second.sent[0].token, "token of r2");
  assert.equal(closed, 0);
  second.bring(welcome([room(3)]));
  assert.equal(closed, 1);
  client.stop();
});

test("a session that was ended signs out, whether the gateway says so or the refresh token is refused", async () => {
  for (const [code, answers] of [
    [4410, []],
    [4401, [401]],
  ]) {
    const asked = refreshes(...answers);
    const told = [];
    const { client } = start(session("r1"), { status: (status, detail) => told.push([status, detail]) });
    const first = await connection(1);
    first.bring(welcome([]));
    first.onclose({ code, reason: "" });
    for (let tries = 0; told.at(-1)[0] !== "signed-out"; tries++) {
      assert.ok(tries < 200, JSON.stringify(told));
      await new Promise((wake) => setTimeout(wake, 10));
    }
    assert.match(told.at(-1)[1], /sign in again/);
    assert.equal(asked.length, answers.length);
    assert.equal(connections(), 1, "it does not connect again");
    client.stop();
  }
});

test("a refresh that gets no answer is tried again with the same token", async () => {
  const asked = refreshes(undefined, session("r2"));
  const { client } = start();
  const first = await connection(1);
  first.bring(welcome([]));
  first.onclose({ code: 4401, reason: "" });
  const second = await connection(2);
  second.bring({ type: "error", re: 0, code: "token_expired", message: "" });
  const third = await connection(3);
  assert.equal(third.sent[0].token, "token of r2");
  assert.deepEqual(asked, ["r1", "r1"]);
  client.stop();
});

test("an exchange whose answer was lost is repeated soon, with the same token", async () => {
  const asked = refreshes(undefined, session("r2"));
  const { client } = start(session("r1", 0.2));
  const first = await connection(1);
  first.bring(welcome([]));
  const begin = Date.now();
  const second = await connection(2);
  assert.equal(second.sent[0].token, "token of r2");
  assert.deepEqual(asked, ["r1", "r1"]);
  assert.ok(Date.now() - begin < 9_000, "later than the gateway repeats its answer");
  client.stop();
});
