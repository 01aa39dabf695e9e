import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceOf } from "../dist/devices.js";

test("a device is called by its browser and its system", () => {
  const mozilla = "Mozilla/5.0";
  const known = [
    [`${mozilla} (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0`, "Firefox on Linux"],
    [`${mozilla} (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0`, "Edge on Windows"],
    [`${mozilla} (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36`, "Chrome on Windows"],
    [`${mozilla} (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1`, "Safari on iPhone"],
    [`${mozilla} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15`, "Safari on Mac"],
    [`${mozilla} (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36`, "Chrome on Android"],
  ];
  for (const [agent, name] of known) assert.equal(deviceOf(agent), name);
});

test("what is no browser keeps the name it gives itself, and no more than fits a line", () => {
  assert.equal(deviceOf("our-bot/1.0"), "our-bot/1.0");
  assert.equal(deviceOf("  "), "Unknown device");
  assert.equal(deviceOf("x".repeat(200)).length, 60);
});
