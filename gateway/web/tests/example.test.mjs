import assert from "node:assert/strict";
import { test } from "node:test";
import { example } from "./support/example.mjs";
import { connection, room, sent, start, until, user, welcome } from "./support/fake-gateway.mjs";

test("the example of the documentation answers who mentions it", async () => {
  start().client.stop();
  globalThis.fetch = async () => Response.json({ token: "t", expires_in_seconds: 3600, user });
  const { startBot } = await import(`data:text/javascript,${encodeURIComponent(example(new URL("../dist/index.js", import.meta.url)))}`);
  const bot = await startBot("http://localhost", "ann", "a password");
  const socket = await connection(2);
  socket.bring(welcome([room(0)]));
  const text = { room: "r", message_id: "m", sender: "x", sender_name: "Xenia", body: "", at: "" };
  socket.bring({ type: "message", message: { ...text, seq: 1 } });
  socket.bring({ type: "message", message: { ...text, seq: 2, kind: "unknown", mentions: ["u"] } });
  socket.bring({ type: "message", message: { ...text, seq: 3, mentions: ["u"] } });
  await until(() => socket.of("react").length === 1, "no reaction");
  socket.bring(sent(socket.of("react")[0], 4));
  await until(() => socket.of("send").length === 1, "no answer");
  const { target } = socket.of("react")[0];
  const { body, reply_to, mentions } = socket.of("send")[0];
  assert.deepEqual({ target, body, reply_to, mentions }, { target: 3, body: "What can I do for you, Xenia?", reply_to: 3, mentions: ["x"] });
  socket.bring(sent(socket.of("send")[0], 5));
  bot.stop();
});
