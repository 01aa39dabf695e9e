/** The page for everyone: axe in light and dark, and a narrow screen. */
import assert from "node:assert/strict";
import { accessible, browserTest, choose, message, names, say, signUp, startRoom, urls } from "./support/browser.mjs";

browserTest("axe finds nothing on any view, in the light and in the dark", async ({ person }) => {
  const [ann, bob] = names("ann", "bob");
  const [a, b] = [await person(), await person()];
  await signUp(b, urls[1], bob);
  await a.goto(urls[0]);
  await a.locator("#sign-in-form").waitFor();
  await accessible(a, "sign-in");
  await signUp(a, urls[0], ann);
  await accessible(a, "no conversations");

  await startRoom(b, ann, "Garden");
  await say(b, `@${ann} the roses are in bloom`);
  const list = a.locator(".room", { hasText: "Garden" });
  await list.locator(".mentioned").waitFor();
  await accessible(a, "list with unread");
  await list.click();
  await choose(a, "the roses", "Reply");
  await a.keyboard.type("So are the tulips");
  await a.keyboard.press("Enter");
  await choose(a, "the roses", "👍");
  await message(a, "the roses").locator(".reaction").waitFor();
  await say(a, "Wrong window");
  await choose(a, "Wrong window", "Delete");
  await a.locator("#confirm-yes").waitFor();
  await accessible(a, "question");
  await a.locator("#confirm-yes").click();
  await a.locator(".tombstone").waitFor();
  await a.locator("#text").focus();
  await a.keyboard.press("ArrowUp");
  await a.locator("#mode").waitFor();
  await a.keyboard.type("!");
  await accessible(a, "conversation with a reply, a mention, a reaction, a tombstone and an edit begun");
  await a.keyboard.press("Enter");
  await message(a, "So are the tulips!").locator(".edited").waitFor();
  await a.locator("#mute").click();
  await list.locator(".muted").waitFor();
  await a.locator("#text").fill("@b");
  await a.locator("#completions [role=option]").waitFor();
  await accessible(a, "members offered, muted, edited");
  await a.locator("#text").fill("");

  await message(a, "the roses").hover();
  await message(a, "the roses").locator('[data-act="menu"]').click();
  await a.locator("#menu").waitFor();
  await accessible(a, "menu of a message");
  await a.keyboard.press("Escape");
  await b.locator("#members").click();
  await b.locator(".member select").waitFor();
  await accessible(b, "members, as the owner");
  await a.locator("#new").click();
  await accessible(a, "new conversation");
  await a.keyboard.press("Escape");
  await choose(a, "the roses", "Other reaction…");
  await accessible(a, "other reaction");
});

browserTest("people see where they are signed in, sign out elsewhere and change their password", async ({ person }) => {
  const [ann] = names("ann");
  const pages = [await person(), await person(), await person()];
  const [here, there, third] = pages;
  await signUp(here, urls[0], ann);
  const enter = async (page, password) => {
    await page.locator("#name").fill(ann);
    await page.locator("#password").fill(password);
    await page.locator('button[value="sign-in"]').click();
  };
  const online = (page) => page.locator('#status[data-status="online"]').waitFor();
  for (const page of [there, third]) {
    await page.goto(urls[1]);
    await enter(page, "correct horse battery");
    await online(page);
  }
  // With the keyboard alone.
  await here.locator("#account").focus();
  await here.keyboard.press("Enter");
  const rows = here.locator("#sign-in-list .sign-in");
  await rows.nth(2).waitFor();
  assert.equal(await rows.count(), 3);
  assert.match(await rows.last().innerText(), /Chrome on .*this one/s);
  assert.equal(await here.locator("#handle").innerText(), ann);
  await accessible(here, "account");
  // The newest comes first: the third page.
  await rows.first().locator("button").focus();
  await here.keyboard.press("Enter");
  await here.locator("#account-said", { hasText: "signed out" }).waitFor();
  await third.locator("#sign-in-error", { hasText: "session has ended" }).waitFor();
  // The list is read anew after the word of it.
  await rows.nth(2).waitFor({ state: "detached" });
  assert.equal(await rows.count(), 2);
  assert.ok(await here.evaluate(() => document.activeElement?.id === "sign-in-list"), "the focus stays in the dialog");

  await here.locator("#old-password").fill("not the password");
  await here.locator("#new-password").fill("another horse battery");
  await here.keyboard.press("Enter");
  await here.locator("#account-error", { hasText: "old password" }).waitFor();
  assert.ok(await here.evaluate(() => document.activeElement?.id === "old-password"));
  await accessible(here, "account, with a wrong password");
  await here.locator("#old-password").fill("correct horse battery");
  await here.keyboard.press("Enter");
  await here.locator("#account-said", { hasText: "password is changed" }).waitFor();
  await there.locator("#sign-in-error", { hasText: "session has ended" }).waitFor();
  await rows.nth(1).waitFor({ state: "detached" });
  assert.equal(await rows.count(), 1);
  await here.keyboard.press("Escape");
  await enter(there, "correct horse battery");
  await there.locator("#sign-in-error", { hasText: "wrong" }).waitFor();
  await enter(there, "another horse battery");
  await online(there);

  await here.locator("#account").click();
  await here.locator("#everywhere").click();
  await accessible(here, "question about signing out everywhere");
  await here.locator("#confirm-yes").click();
  await here.locator("#sign-in-error", { hasText: "signed out everywhere" }).waitFor();
  await there.locator("#sign-in-error", { hasText: "session has ended" }).waitFor();
  await here.reload();
  await here.locator("#sign-in-form").waitFor();
});

browserTest("a screen of 360 by 740 has one column and nothing to scroll sideways", async ({ person }) => {
  const [ann, bob] = names("ann", "bob");
  const [a, b] = [await person({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }), await person()];
  await a.goto(urls[0]);
  await fits(a, "sign-in");
  await signUp(b, urls[1], bob);
  await signUp(a, urls[0], ann);
  await fits(a, "no conversations");
  await startRoom(b, ann, "A group with a title that is much too long for a narrow screen");
  await say(b, "x".repeat(300));
  await say(b, "https://example.org/" + "a-long-path/".repeat(20));
  await a.locator(".badge", { hasText: "2" }).waitFor();
  await fits(a, "list");
  await a.locator("#rooms .room").tap();
  await message(a, "https://example.org").waitFor();
  await a.locator("aside").waitFor({ state: "hidden" });
  await fits(a, "conversation");
  await message(a, "https://example.org").locator('[data-act="menu"]').tap();
  await a.locator("#menu").waitFor();
  await fits(a, "menu");
  await a.locator("#menu").getByText("Reply", { exact: true }).tap();
  await a.locator("#mode").waitFor();
  await fits(a, "reply begun");
  await a.locator("#text").fill("Fine.");
  await a.locator("#text").press("Enter");
  await b.locator(".theirs .quote").waitFor();
  await fits(a, "reply");
  await a.locator("#members").tap();
  await a.locator(".member").first().waitFor();
  await fits(a, "members");
  await a.keyboard.press("Escape");
  await a.locator("#back").tap();
  await a.locator("#rooms .room").waitFor();
  await fits(a, "list again");
  await a.locator("#account").tap();
  await a.locator("#sign-in-list .sign-in").waitFor();
  await fits(a, "account");
});

/** Neither the page nor anything in it that scrolls is wider than the screen. */
async function fits(page, what) {
  const wide = await page.evaluate(() => {
    const clipped = (element) => getComputedStyle(element).overflowX === "hidden" || element.closest("[hidden], .unseen, svg, dialog:not([open])");
    return [...document.querySelectorAll("html, body, body *")]
      .filter((element) => element.getClientRects().length > 0 && !clipped(element))
      .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5 || (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX !== "visible"))
      .map((element) => element.outerHTML.slice(0, 120));
  });
  assert.deepEqual(wide, [], what);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), what);
}
