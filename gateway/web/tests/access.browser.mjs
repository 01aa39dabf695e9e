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
