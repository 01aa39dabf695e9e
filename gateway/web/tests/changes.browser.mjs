/** What becomes of a message after it was sent: replies, edits, reactions, deletions, mentions; and that text stays text. */
import assert from "node:assert/strict";
import { browserTest, choose, message, names, say, signUp, startRoom, urls } from "./support/browser.mjs";

browserTest("reply, react, edit and delete, seen on the other side", async ({ person }) => {
  const [ann, bob] = names("ann", "bob");
  const [a, b] = [await person(), await person()];
  await signUp(b, urls[1], bob);
  await signUp(a, urls[0], ann);
  await startRoom(a, bob);
  await say(a, "Shall we meet?");
  await b.locator("#rooms .room").click();

  // A reply shows what it answers.
  await choose(b, "Shall we meet?", "Reply");
  await b.locator("#mode", { hasText: `Replying to ${ann}` }).waitFor();
  await b.locator("#text:focus").waitFor();
  await b.keyboard.type("Yes, at ten.");
  await b.keyboard.press("Enter");
  await b.locator("#mode").waitFor({ state: "hidden" });
  await a.locator("#announce", { hasText: `${bob}: Yes, at ten.` }).waitFor({ state: "attached" });
  const reply = message(a, "Yes, at ten.");
  await reply.locator(".quote", { hasText: "Shall we meet?" }).waitFor();
  await reply.locator(".quote").click();
  await message(a, "Shall we meet?").locator('[data-act="menu"]:focus').waitFor();

  // A reaction of the other side is a button with a count; it adds up, and goes away again.
  await choose(b, "Shall we meet?", "🎉");
  const onA = message(a, "Shall we meet?").locator(".reaction");
  await onA.filter({ hasText: "1" }).waitFor();
  assert.equal(await onA.getAttribute("aria-pressed"), "false");
  await onA.click();
  const onB = message(b, "Shall we meet?").locator(".reaction");
  await onB.filter({ hasText: "2" }).waitFor();
  assert.equal(await onB.getAttribute("aria-pressed"), "true");
  await onB.press("Enter");
  await onA.filter({ hasText: "1" }).waitFor();
  assert.equal(await onA.getAttribute("aria-pressed"), "true");
  await choose(b, "Shall we meet?", "Other reaction…");
  await b.locator("#emoji").fill("two words");
  await b.keyboard.press("Enter");
  await b.locator("#react-error", { hasText: "without spaces" }).waitFor();
  await b.locator("#emoji").fill(":tada:");
  await b.keyboard.press("Enter");
  await onA.filter({ hasText: ":tada:" }).waitFor();

  // The arrow up in the empty line edits one's last message; Escape leaves, Enter sends.
  await b.locator("#text").focus();
  await b.keyboard.press("ArrowUp");
  await b.locator("#mode", { hasText: "Editing" }).waitFor();
  assert.equal(await b.locator("#text").inputValue(), "Yes, at ten.");
  await b.keyboard.press("Escape");
  await b.locator("#mode").waitFor({ state: "hidden" });
  assert.equal(await b.locator("#text").inputValue(), "");
  await b.keyboard.press("ArrowUp");
  await b.locator("#mode", { hasText: "Editing" }).waitFor();
  await b.keyboard.press("ControlOrMeta+A");
  await b.keyboard.type("Yes, at eleven.");
  await b.keyboard.press("Enter");
  await message(a, "Yes, at eleven.").locator(".edited").waitFor();
  assert.equal(await a.locator(".text", { hasText: "at ten" }).count(), 0);

  // Nobody edits or deletes what another one wrote in a direct room.
  await openMenu(a, "Yes, at eleven.");
  assert.deepEqual(await a.locator("#menu [role=menuitem]").allTextContents(), ["Reply", "Other reaction…"]);
  await a.keyboard.press("Escape");
  await message(a, "Yes, at eleven.").locator('[data-act="menu"]:focus').waitFor();

  // With the keyboard alone: into the messages, up to the first, its menu, its last item, and the question.
  await a.locator("#messages").focus();
  await pressUntil(a, "Tab", a.locator('#messages [data-act="menu"]:focus'));
  await pressUntil(a, "ArrowUp", message(a, "Shall we meet?").locator('[data-act="menu"]:focus'));
  await a.keyboard.press("Enter");
  await a.locator("#menu button:focus").waitFor();
  await a.keyboard.press("End");
  await a.keyboard.press("Enter");
  await a.locator("#confirm-text", { hasText: "for everyone" }).waitFor();
  await a.keyboard.press("Escape");
  await a.locator("#confirm").waitFor({ state: "hidden" });
  assert.equal(await a.locator(".tombstone").count(), 0, "deleted although it was not confirmed");
  await choose(a, "Shall we meet?", "Delete");
  await a.locator("#confirm-yes").click();
  await b.locator(".theirs .tombstone").waitFor();
  await message(b, "Yes, at eleven.").locator(".quote", { hasText: "Message deleted" }).waitFor();
  assert.equal(await b.locator(".reaction").count(), 0);

  // All of it is the same from the store.
  await a.reload();
  await a.locator("#rooms .room").click();
  await a.locator(".mine .tombstone").waitFor();
  await message(a, "Yes, at eleven.").locator(".edited").waitFor();
  assert.deepEqual(await a.locator(".text").allTextContents(), ["Yes, at eleven."]);
});

browserTest("unread, mentioned and muted in the list of conversations", async ({ person }) => {
  const [ann, bob] = names("ann", "bob");
  const [a, b] = [await person(), await person()];
  await signUp(b, urls[1], bob);
  await signUp(a, urls[0], ann);
  await startRoom(a, bob, "Harbour");
  await startRoom(a, bob, "Mountain");
  const rooms = (page) => page.locator(".room-title").allTextContents();
  await b.locator(".room", { hasText: "Harbour" }).waitFor();
  await a.locator(".room", { hasText: "Harbour" }).click();
  await say(a, "Low tide at six.");
  const harbour = b.locator(".room", { hasText: "Harbour" });
  await harbour.locator(".badge", { hasText: /^1$/ }).waitFor();
  assert.deepEqual(await rooms(b), ["Harbour", "Mountain"], "the newest comes first");
  assert.equal(await harbour.locator(".mentioned").count(), 0);

  await a.locator("#text").fill(`@${bob.slice(0, 6)}`);
  await a.locator("#completions [role=option]", { hasText: bob }).waitFor();
  await a.keyboard.press("Tab");
  await a.locator("#hint", { hasText: bob }).waitFor();
  await a.keyboard.type("bring boots.");
  await a.keyboard.press("Enter");
  await harbour.locator(".badge", { hasText: /^2$/ }).waitFor();
  await harbour.locator(".mentioned").waitFor();
  // The counts are the gateway's: another page, loaded now, says the same.
  await b.reload();
  await harbour.locator(".badge", { hasText: /^2$/ }).waitFor();
  await harbour.locator(".mentioned").waitFor();

  await harbour.click();
  await message(b, "bring boots.").locator(".mention.me", { hasText: `@${bob}` }).waitFor();
  await message(a, "bring boots.").locator(".mention:not(.me)").waitFor();
  await harbour.locator(".badge").waitFor({ state: "detached" });
  await b.locator("#mute").click();
  await b.locator('#mute[aria-pressed="true"]').waitFor();
  await harbour.locator(".muted").waitFor();
  await b.locator("#mute").click();
  await harbour.locator(".muted").waitFor({ state: "detached" });

  await a.locator(".room", { hasText: "Mountain" }).click();
  await say(a, "Snow above two thousand.");
  await b.locator(".room", { hasText: "Mountain" }).locator(".badge", { hasText: /^1$/ }).waitFor();
  assert.deepEqual(await rooms(b), ["Mountain", "Harbour"]);
});

browserTest("the owner names an admin, hands over, and the new owner removes", async ({ person }) => {
  const [ann, bob] = names("ann", "bob");
  const [a, b] = [await person(), await person()];
  await signUp(b, urls[1], bob);
  await signUp(a, urls[0], ann);
  await startRoom(a, bob, "Committee");
  await say(a, "Welcome.");
  await b.locator("#rooms .room").click();
  await a.locator("#members").click();
  const choice = a.getByLabel(`Role of ${bob}`);
  await choice.selectOption("admin");
  await b.locator("#members").click();
  const role = (page, name) => page.locator(".member", { hasText: `@${name}` });
  await role(b, bob).locator(".role.admin").waitFor();

  await choice.selectOption("owner");
  await a.locator("#confirm-yes").click();
  await role(a, bob).locator(".role.owner").waitFor();
  await role(a, ann).locator(".role.admin").waitFor();
  await b.getByLabel(`Remove ${ann}`).click();
  await b.locator("#confirm-yes").click();
  await a.locator("#nothing-open").waitFor();
  assert.equal(await a.locator(".room").count(), 0);
  await role(b, ann).waitFor({ state: "detached" });
  await b.locator("#invitees").fill(ann);
  await b.keyboard.press("Enter");
  await a.locator(".room", { hasText: "Committee" }).waitFor();
});

browserTest("markup in a message, a name or a title is shown as text and never runs", async ({ person }) => {
  const [ann, bob] = names("ann", "bob");
  const [a, b] = [await person(), await person()];
  await signUp(b, urls[1], bob);
  await signUp(a, urls[0], ann);
  const image = '<img src=x onerror="window.broken = 1">';
  const script = "<script>window.broken = 2</script><svg/onload=window.broken=3>";
  await startRoom(a, bob, image);
  await say(a, image);
  await say(a, `${script} @${bob}`);
  await b.locator(".room-title", { hasText: image }).waitFor();
  await b.locator("#rooms .room").click();
  await message(b, script).locator(".mention").waitFor();
  await choose(b, image, "Reply");
  await b.locator("#mode-text", { hasText: image }).waitFor();
  await b.keyboard.type(script);
  await b.keyboard.press("Enter");
  await message(a, script).locator(".quote", { hasText: image }).waitFor();
  await choose(b, image, "Other reaction…");
  await b.locator("#emoji").fill("<img/src=x>");
  await b.keyboard.press("Enter");
  await a.locator(".reaction", { hasText: "<img/src=x>" }).waitFor();
  for (const page of [a, b]) {
    assert.equal(await page.evaluate(() => globalThis.broken), undefined);
    assert.equal(await page.locator("#chat img, #chat script").count(), 0);
    assert.deepEqual((await page.locator(".text").allTextContents()).slice(0, 2), [image, `${script} @${bob}`]);
  }
});

async function openMenu(page, text) {
  const row = message(page, text);
  await row.hover();
  await row.locator('[data-act="menu"]').click();
  await page.locator("#menu").waitFor();
}

/** Presses a key until something is there; fails when it never comes. */
async function pressUntil(page, key, wanted) {
  for (let presses = 0; (await wanted.count()) === 0; presses++) {
    assert.ok(presses < 20, `${presses} times ${key} did not lead there`);
    await page.keyboard.press(key);
  }
}
