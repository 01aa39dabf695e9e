/** A client that may choose asks where to connect, and goes down the list. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connection, connections, room, settle, start, until, welcome } from "./support/fake-gateway.mjs";

/** Answers of `/v1/connect`, in order: addresses, a status for a refusal, or nothing for no answer. Returns how many were asked for. */
function advice(...answers) {
  const asked = { times: 0 };
  globalThis.fetch = async (url) => {
    assert.equal(String(url), "http://localhost/v1/connect");
    asked.times++;
    const answer = answers.shift();
    if (answer === undefined) throw new TypeError("no connection");
    if (typeof answer === "number") return Response.json({ error: { code: "not_found", message: "no" } }, { status: answer });
    return Response.json({ addresses: answer, good_for_seconds: 10 });
  };
  return asked;
}

const hints = () => start(undefined, {}, { hints: true });
const broken = { code: 1006, reason: "" };

test("the gateway that is named first is tried first, the others at once after it, and the base at last", async () => {
  const asked = advice(["ws://a:8080", "ws://b/to/b/", "ws://localhost"], ["ws://c"]);
  const { client } = hints();
  const tried = [];
  for (const number of [1, 2, 3]) {
    const begun = Date.now();
    const socket = await connection(number);
    tried.push(socket.url);
    assert.ok(Date.now() - begun < 200, "there is no pause between two addresses");
    socket.onclose(broken);
  }
  assert.deepEqual(tried, ["ws://a:8080/v1/ws", "ws://b/to/b/v1/ws", "ws://localhost/v1/ws"]);
  assert.equal(asked.times, 1);
  const next = await connection(4);
  assert.deepEqual([next.url, asked.times], ["ws://c/v1/ws", 2]);
  client.stop();
});

test("each new connection asks anew, also when the one before had gone well", async () => {
  const asked = advice(["ws://a", "ws://b"], ["ws://b", "ws://a"]);
  const { client } = hints();
  const first = await connection(1);
  first.bring(welcome([room(3)]));
  first.bring({ type: "reconnect", after_ms: 0, reason: "drain" });
  const second = await connection(2);
  assert.deepEqual([first.url, second.url, asked.times], ["ws://a/v1/ws", "ws://b/v1/ws", 2]);
  assert.deepEqual(second.sent[0].resume, [{ room: "r", seq: 3 }]);
  client.stop();
});

test("requests go on over the old connection while the client asks where to go", async () => {
  let answer;
  globalThis.fetch = () => new Promise((resolve) => (answer = resolve));
  const { client } = hints();
  await until(() => answer, "the client did not ask");
  answer(Response.json({ addresses: ["ws://a"], good_for_seconds: 10 }));
  const first = await connection(1);
  first.bring(welcome([room(0)]));
  answer = undefined;
  first.bring({ type: "reconnect", after_ms: 0, reason: "drain" });
  await until(() => answer, "the client did not ask again");
  client.send("r", "hello").catch(() => {});
  assert.equal(first.of("send").length, 1);
  client.stop();
  answer(Response.json({ addresses: ["ws://b"], good_for_seconds: 10 }));
  await settle();
  assert.equal(connections(), 1, "who was stopped meanwhile does not connect");
});

test("a gateway that has no advice, or is too old for it, is connected to itself", async () => {
  const strange = [{ addresses: 7 }, { addresses: [7, "", "http://a", "ws://"] }, null];
  for (const answer of [undefined, 404, 429, ...strange]) {
    if (strange.includes(answer)) globalThis.fetch = async () => Response.json(answer);
    else advice(answer);
    const { client } = hints();
    assert.equal((await connection(1)).url, "ws://localhost/v1/ws", JSON.stringify(answer));
    client.stop();
  }
});

test("a token that came by TLS is not sent without", async () => {
  const { Route } = await import("../dist/route.js");
  globalThis.fetch = async () => Response.json({ addresses: ["ws://a", "wss://b"], good_for_seconds: 10 });
  const route = new Route("https://chat.example.com", true);
  await route.ask();
  assert.deepEqual([route.next()?.href, route.next()?.href], ["wss://b/v1/ws", "wss://chat.example.com/v1/ws"]);
  assert.equal(route.next(), undefined);
});

test("nobody is asked without the option", async () => {
  const asked = advice(["ws://a"]);
  const { client } = start();
  assert.equal((await connection(1)).url, "ws://localhost/v1/ws");
  assert.equal(asked.times, 0);
  client.stop();
});
