// One client of a running gateway through the real Centrifuge SDK; gateway/tests/centrifuge_sdks.rs says what happens around it.
// Arguments: json or protobuf, the gateway's URL, a token, a channel of the user's, a channel of somebody else's.
// It prints `live` when it stands at offset 20, then takes the offset to reach from standard input, and prints `done` there.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import WebSocket from "ws";

const [mode, url, token, channel, foreign] = process.argv.slice(2);
const binary = mode === "protobuf";
const { Centrifuge } = await import(binary ? "centrifuge/build/protobuf" : "centrifuge");

const write = (value) => (binary ? new TextEncoder().encode(JSON.stringify(value)) : value);
const read = (data) => (binary ? JSON.parse(new TextDecoder().decode(data)) : data);
const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));
const options = { websocket: WebSocket, minReconnectDelay: 50, maxReconnectDelay: 250 };

const refused = new Centrifuge(url, { ...options, token: "no token" });
const ended = once(refused, "disconnected");
refused.connect();
assert.equal((await ended).code, 3500, "a false token");

// As docs/reference/centrifuge.md has it; of the addresses that are named, the first is gone.
const { addresses } = await (await fetch(new URL("/v1/connect", url.replace("ws", "http")))).json();
assert.deepEqual(addresses, [new URL(url).origin], "a gateway without an operator");
const transports = ["ws://127.0.0.1:9", ...addresses].map((address) => ({ transport: "websocket", endpoint: `${address}/connection/websocket` }));
const chooser = new Centrifuge(transports, { ...options, token });
const taken = once(chooser, "connected");
chooser.connect();
assert.match((await taken).client, /^[0-9a-f-]{36}$/);
chooser.disconnect();

const client = new Centrifuge(url, { ...options, token });
client.on("error", () => {});
const connected = once(client, "connected");
client.connect();
assert.match((await connected).client, /^[0-9a-f-]{36}$/);
assert.equal(typeof read((await connected).data).user.name, "string");

const other = client.newSubscription(foreign);
const unsubscribed = once(other, "unsubscribed");
other.subscribe();
assert.equal((await unsubscribed).code, 103, "somebody else's room");

const seen = [];
const waiting = [];
const reach = (offset) =>
  seen.length >= offset ? Promise.resolve() : new Promise((resolve) => waiting.push({ offset, resolve }));
const subscriptions = [];
const subscription = client.newSubscription(channel);
subscription.on("subscribed", (context) => subscriptions.push(context));
subscription.on("publication", ({ offset, data }) => {
  const message = read(data);
  seen.push(message.body);
  if (offset !== seen.length || message.seq !== offset) {
    console.error(`publication ${seen.length} has offset ${offset} and seq ${message.seq}`);
    process.exit(1);
  }
  for (const { resolve } of waiting.filter((entry) => entry.offset === offset)) resolve();
});
subscription.subscribe();
await subscription.ready();
assert.ok(subscriptions[0].recoverable && subscriptions[0].positioned);
assert.deepEqual(subscriptions[0].streamPosition, { offset: 0, epoch: "log" });

for (let nth = 1; nth <= 20; nth += 1) await subscription.publish(write({ body: `own ${nth}` }));
await reach(20);
assert.deepEqual(seen, Array.from({ length: 20 }, (_, at) => `own ${at + 1}`));
const refusal = await subscription.publish(write({ text: "no body" })).catch((error) => error);
assert.equal(refusal.code, 107);

const offsets = async (wanted) => {
  const history = await subscription.history(wanted);
  assert.deepEqual([history.offset, history.epoch], [20, "log"]);
  return history.publications.map((publication) => publication.offset);
};
assert.deepEqual(await offsets({ limit: 3 }), [1, 2, 3]);
assert.deepEqual(await offsets({ limit: 2, since: { offset: 7, epoch: "log" } }), [8, 9]);
assert.deepEqual(await offsets({ limit: 2, reverse: true }), [20, 19]);
assert.deepEqual(await offsets({ limit: 0 }), []);

const { clients } = await subscription.presence();
assert.ok(Object.values(clients).some((info) => read(info.connInfo).name === `js-${mode}`));
assert.ok((await subscription.presenceStats()).numUsers >= 1);
const rooms = read((await client.rpc("rooms", write({}))).data);
assert.equal(`room:${rooms.rooms[0].id}`, channel);

console.log("live");
const lines = createInterface({ input: process.stdin });
const until = Number(await once(lines, "line"));
await reach(until);
assert.equal(subscriptions.length, 2, "subscribed again once");
assert.ok(subscriptions[1].wasRecovering && subscriptions[1].recovered, JSON.stringify(subscriptions[1]));
console.log("done");
client.disconnect();
process.exit(0);
