/** Two people in two tabs, each served by a gateway of its own: sign-up to read tick, then a lost connection. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ARTIFACTS, browserTest, choose, message, names, signUp, startRoom, typeUntilSeen, urls } from "./support/browser.mjs";

browserTest("two tabs on two gateways, from sign-up to the read tick", async ({ person }) => {
  const [ann, bob] = names("ann", "bob");
  const [a, b] = [await person(), await person()];
  // Ann's WebSockets pass through the test, so that it can cut one: going offline alone leaves an open one standing.
  const open = [];
  let cut = false;
  await a.context().routeWebSocket(/\/v1\/ws$/, async (socket) => {
    if (cut) await socket.close({ code: 1012 });
    else open.push({ socket, server: socket.connectToServer() });
  });

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
  await b.locator(".badge").waitFor({ state: "detached" });

  await b.locator("#text").focus();
  await typeUntilSeen(b, "Yes, loud and clear.", a.locator("#typing", { hasText: "is typing" }));
  await b.keyboard.press("Enter");
  await a.locator(".theirs .text", { hasText: "loud and clear" }).waitFor();
  await b.locator('.mine .tick[aria-label="read"]').waitFor();

  // A lost connection: what was written meanwhile, on either side, arrives once, in order, on both.
  cut = true;
  await a.context().setOffline(true);
  for (const { socket, server } of open.splice(0)) {
    await server.close();
    await socket.close({ code: 1012 });
  }
  await a.locator('#status:not([data-status="online"])').waitFor();
  await b.locator("#text").fill("Are you still there?");
  await b.keyboard.press("Enter");
  await b.locator(".mine", { hasText: "still there" }).locator('.tick[aria-label="sent"]').waitFor();
  for (const line of ["I was in", "a tunnel."]) {
    await a.locator("#text").fill(line);
    await a.locator("#text").press("Enter");
    await a.locator(".mine", { hasText: line }).locator('.tick[aria-label="waiting"]').waitFor();
  }
  cut = false;
  await a.context().setOffline(false);
  await a.locator(".theirs .text", { hasText: "still there" }).waitFor();
  await b.locator(".theirs .text", { hasText: "a tunnel." }).waitFor();
  await a.reload();
  await a.locator("#rooms .room").click();
  const lines = ["Hello Bob, can you read this?", "Yes, loud and clear.", "Are you still there?", "I was in", "a tunnel."];
  for (const page of [a, b]) {
    await page.locator(".text", { hasText: "a tunnel." }).waitFor();
    assert.deepEqual(await page.locator(".text").allTextContents(), lines);
  }

  // A group.
  await startRoom(b, ann, "Weekend plans");
  await a.locator(".room-title", { hasText: "Weekend plans" }).waitFor();
  await a.locator(".room", { hasText: "Weekend plans" }).click();
  for (const [page, line] of [[b, "The lake on Saturday?"], [a, "I'll bring the tent."], [b, "Perfect. Leaving at nine."]]) {
    await page.locator("#text").fill(line);
    await page.locator("#text").press("Enter");
    await (page === a ? b : a).locator(".theirs .text", { hasText: line }).waitFor();
  }
  await choose(a, "Leaving at nine", "Reply");
  await a.locator("#text").fill("Nine it is!");
  await a.locator("#text").press("Enter");
  await b.locator(".theirs", { hasText: "Nine it is!" }).locator(".quote", { hasText: "Leaving at nine" }).waitFor();
  await choose(b, "I'll bring the tent", "👍");
  await message(a, "I'll bring the tent").locator(".reaction", { hasText: "👍" }).waitFor();
  await a.locator('.mine .tick[aria-label="read"]').last().waitFor();
  await a.screenshot({ path: join(ARTIFACTS, "chat.png") });
  await b.screenshot({ path: join(ARTIFACTS, "chat-other.png") });
});

function gatewayOf(page) {
  return page.locator("#gateway").textContent();
}
