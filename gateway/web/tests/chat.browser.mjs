/**
 * Two people in two tabs of the real Chromium, each served by a gateway of its own: sign-up to read tick, then a lost connection.
 * CHAT_URLS: two addresses of gateways, separated by a comma. CHAT_ARTIFACTS: folder for the screenshots.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARTIFACTS = process.env.CHAT_ARTIFACTS ?? "artifacts";
const urls = (process.env.CHAT_URLS ?? "").split(",").filter(Boolean);

// Longer than any wait inside, so that a failure names what it waited for and keeps pictures of it.
test("two tabs on two gateways, from sign-up to the read tick", { timeout: 240_000 }, async () => {
  assert.equal(urls.length, 2, "CHAT_URLS must hold the addresses of two gateways; `cargo xtask test --only e2e` sets it");
  assert.ok(existsSync(CHROMIUM), `no browser at ${CHROMIUM}; get it with: apt-get install chromium`);
  mkdirSync(ARTIFACTS, { recursive: true });
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const suffix = Date.now().toString(36);
    const [ann, bob] = [`ann-${suffix}`, `bob-${suffix}`];
    // Contexts, not tabs of one: focus, and with it the read mark, is each one's own.
    const contextA = await browser.newContext({ viewport: { width: 1100, height: 720 } });
    const contextB = await browser.newContext({ viewport: { width: 1100, height: 720 } });
    const a = await contextA.newPage();
    const b = await contextB.newPage();
    const faults = [];
    // Ann's WebSockets pass through the test, so that it can cut one: going offline alone leaves an open one standing.
    const open = [];
    await contextA.routeWebSocket(/\/v1\/ws$/, (socket) => open.push({ socket, server: socket.connectToServer() }));
    for (const page of [a, b]) page.on("pageerror", (error) => faults.push(error.message));

    await signUp(b, urls[1], bob);
    await signUp(a, urls[0], ann);
    const served = [await gatewayOf(a), await gatewayOf(b)];
    if (new URL(urls[0]).host !== new URL(urls[1]).host) assert.notEqual(served[0], served[1], "both tabs are served by the same gateway");

    // Ann writes to Bob, with the keyboard alone.
    await a.locator("#new").focus();
    await a.keyboard.press("Enter");
    await a.keyboard.type(bob);
    await a.keyboard.press("Enter");
    await a.locator("#text:focus").waitFor();
    await a.locator("#who.online").waitFor();
    await typeUntilSeen(a, "Hello Bob, can you read this?", b.locator(".room-last", { hasText: "typing" }));
    await a.keyboard.press("Enter");
    await a.locator('.mine .tick[aria-label="delivered"]').waitFor();

    // Bob sees one unread message, opens it, and Ann's tick turns.
    await b.locator(".badge", { hasText: "1" }).waitFor();
    await b.locator("#rooms .room").click();
    await b.locator(".theirs .text", { hasText: "can you read this?" }).waitFor();
    await a.locator('.mine .tick[aria-label="read"]').waitFor();

    await b.locator("#text").focus();
    await typeUntilSeen(b, "Yes, loud and clear.", a.locator("#typing", { hasText: "is typing" }));
    await b.keyboard.press("Enter");
    await a.locator(".theirs .text", { hasText: "loud and clear" }).waitFor();
    await b.locator('.mine .tick[aria-label="read"]').waitFor();

    // A lost connection: what was written meanwhile arrives once, in order, on both sides.
    await contextA.setOffline(true);
    for (const { socket, server } of open.splice(0)) {
      await server.close();
      await socket.close({ code: 1012 });
    }
    await a.locator('#status:not([data-status="online"])').waitFor();
    await b.locator("#text").fill("Are you still there?");
    await b.keyboard.press("Enter");
    await contextA.setOffline(false);
    await a.locator(".theirs .text", { hasText: "still there" }).waitFor({ timeout: 30_000 });
    await a.reload();
    await a.locator("#rooms .room").click();
    await a.locator(".theirs .text", { hasText: "still there" }).waitFor();
    assert.deepEqual(await a.locator(".text").allTextContents(), ["Hello Bob, can you read this?", "Yes, loud and clear.", "Are you still there?"]);

    // A group, with an invitation.
    await b.locator("#new").click();
    await b.locator("#people").fill(ann);
    await b.locator("#room-title").fill("Weekend plans");
    await b.keyboard.press("Enter");
    await a.locator(".room-title", { hasText: "Weekend plans" }).waitFor();
    await a.locator(".room", { hasText: "Weekend plans" }).click();
    for (const [page, line] of [[b, "The lake on Saturday?"], [a, "I'll bring the tent."], [b, "Perfect. Leaving at nine."]]) {
      await page.locator("#text").fill(line);
      await page.locator("#text").press("Enter");
      await (page === a ? b : a).locator(".theirs .text", { hasText: line }).waitFor();
    }
    await a.locator('.mine .tick[aria-label="read"]').last().waitFor();
    await a.screenshot({ path: join(ARTIFACTS, "chat.png") });
    await b.screenshot({ path: join(ARTIFACTS, "chat-other.png") });
    assert.deepEqual(faults, [], "the page threw");
  } catch (error) {
    for (const [at, page] of browser.contexts().flatMap((context) => context.pages()).entries()) {
      await page.screenshot({ path: join(ARTIFACTS, `chat-failed-${at}.png`) }).catch(() => {});
      console.error(`tab ${at} at the failure:\n${await page.locator("body").innerText().catch(String)}`);
    }
    throw error;
  } finally {
    await browser.close();
  }
});

async function signUp(page, url, name) {
  await page.goto(url);
  await page.locator("#name").fill(name);
  await page.locator("#password").fill("correct horse battery");
  await page.locator('button[value="sign-up"]').click();
  await page.locator('#status[data-status="online"]').waitFor();
}

/** Types into the focused line and goes on, as a slow writer would, until the other side sees it: a typing notice is not repeated for who came late. */
async function typeUntilSeen(page, text, seen) {
  const [first, ...rest] = text.split(" ");
  await page.keyboard.type(first);
  const deadline = Date.now() + 30_000;
  while (!(await seen.isVisible())) {
    assert.ok(Date.now() < deadline, `nobody saw that "${text}" was being typed`);
    await page.keyboard.type(" ");
    await page.keyboard.press("Backspace");
    await page.waitForTimeout(250);
  }
  await page.keyboard.type([" ", rest.join(" ")].join(""));
}

function gatewayOf(page) {
  return page.locator("#gateway").textContent();
}
