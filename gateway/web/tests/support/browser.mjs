/**
 * What the browser tests share: people in contexts of their own in the real Chromium, pictures of a failure, and axe.
 * CHAT_URLS: two addresses of gateways, separated by a comma. CHAT_ARTIFACTS: folder for the screenshots.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
export const ARTIFACTS = process.env.CHAT_ARTIFACTS ?? "artifacts";
export const urls = (process.env.CHAT_URLS ?? "").split(",").filter(Boolean);
/** Longer than any wait inside, so that a failure names what it waited for and keeps pictures of it. */
const TEST_MS = 240_000;
const WAIT_MS = 30_000;
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A test with a browser of its own; `person` opens a page that keeps what it threw. */
export function browserTest(name, run) {
  test(name, { timeout: TEST_MS }, async () => {
    assert.equal(urls.length, 2, "CHAT_URLS must hold the addresses of two gateways; `cargo xtask test --only e2e` sets it");
    assert.ok(existsSync(CHROMIUM), `no browser at ${CHROMIUM}; get it with: apt-get install chromium`);
    mkdirSync(ARTIFACTS, { recursive: true });
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
    const faults = [];
    const person = async (options = {}) => {
      // Contexts, not tabs of one: focus, and with it the read mark, is each one's own.
      const context = await browser.newContext({ viewport: { width: 1100, height: 720 }, ...options });
      context.setDefaultTimeout(WAIT_MS);
      const page = await context.newPage();
      page.on("pageerror", (error) => faults.push(error.message));
      page.on("console", (line) => /Content Security Policy/.test(line.text()) && faults.push(line.text()));
      return page;
    };
    try {
      await run({ person });
      assert.deepEqual(faults, [], "the page threw, or broke its own content security policy");
    } catch (error) {
      await keepPictures(browser, name);
      throw error;
    } finally {
      await browser.close();
    }
  });
}

async function keepPictures(browser, name) {
  const slug = name.replace(/[^a-z]+/gi, "-").slice(0, 40);
  for (const [at, page] of browser.contexts().flatMap((context) => context.pages()).entries()) {
    await page.screenshot({ path: join(ARTIFACTS, `chat-failed-${slug}-${at}.png`) }).catch(() => {});
    console.error(`tab ${at} at the failure:\n${await page.locator("body").innerText().catch(String)}`);
  }
}

/** Names that no earlier run has used. */
export function names(...stems) {
  const suffix = `${Date.now().toString(36)}${process.pid.toString(36)}`;
  return stems.map((stem) => `${stem}-${suffix}`);
}

export async function signUp(page, url, name) {
  await page.goto(url);
  await page.locator("#name").fill(name);
  await page.locator("#password").fill("correct horse battery");
  await page.locator('button[value="sign-up"]').click();
  await page.locator('#status[data-status="online"]').waitFor();
}

/** Starts a conversation: with one person, or with a title a group. */
export async function startRoom(page, people, title = "") {
  await page.locator("#new").click();
  await page.locator("#people").fill(people);
  await page.locator("#room-title").fill(title);
  await page.keyboard.press("Enter");
  await page.locator("#text:focus").waitFor();
}

/** Writes and sends, and waits until the gateway has it. */
export async function say(page, text) {
  await page.locator("#text").fill(text);
  await page.locator("#text").press("Enter");
  await page.locator(".mine", { has: page.locator(".tick:not(.waiting)") }).filter({ hasText: text }).last().waitFor();
}

/** The message with this text. */
export function message(page, text) {
  return page.locator(".message", { has: page.locator(".text", { hasText: text }) }).last();
}

/** Chooses in the menu of a message. */
export async function choose(page, text, item) {
  const row = message(page, text);
  await row.hover();
  await row.locator('[data-act="menu"]').click();
  await page.locator("#menu").getByText(item, { exact: true }).click();
}

/** Types into the focused line and goes on, as a slow writer would, until the other side sees it: a typing notice is not repeated for who came late. */
export async function typeUntilSeen(page, text, seen) {
  const [first, ...rest] = text.split(" ");
  await page.keyboard.type(first);
  const deadline = Date.now() + WAIT_MS;
  while (!(await seen.isVisible())) {
    assert.ok(Date.now() < deadline, `nobody saw that "${text}" was being typed`);
    await page.keyboard.type(" ");
    await page.keyboard.press("Backspace");
    await page.waitForTimeout(250);
  }
  await page.keyboard.type([" ", rest.join(" ")].join(""));
}

/** Axe finds nothing to complain of, in the light and in the dark. */
export async function accessible(page, what) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    // Evaluated, not added as a script: the page's policy lets no other script in.
    await page.evaluate(axeSource);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const found = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 200)}\n    ${node.failureSummary}`));
    assert.deepEqual(found, [], `${what} (${colorScheme})`);
  }
  await page.emulateMedia({ colorScheme: null });
}
