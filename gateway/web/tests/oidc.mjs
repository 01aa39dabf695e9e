/**
 * A sign-in at a genuine OpenID Connect provider in the real Chromium: authorization code with PKCE, then chat, a reload, a sign-out.
 * CHAT_URL: address of a gateway that believes the provider.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { chromium } from "playwright-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const url = process.env.CHAT_URL ?? "";

test("from the issuer's sign-in to chat and out again", { timeout: 120_000 }, async () => {
  assert.ok(url, "CHAT_URL must hold the address of a gateway; `cargo test --test oidc_provider` sets it");
  assert.ok(existsSync(CHROMIUM), `no browser at ${CHROMIUM}; get it with: apt-get install chromium`);
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const context = await browser.newContext();
    const page = await context.newPage();
    const faults = [];
    page.on("pageerror", (error) => faults.push(error.message));
    await page.goto(url);
    await page.locator("#issuers button", { hasText: "Sign in with" }).click();
    await page.locator('input[name="login"]').fill("grace");
    await page.locator('input[name="password"]').fill("anything");
    await page.locator('button[type="submit"]').click();
    await page.locator('button[type="submit"]', { hasText: "Continue" }).click();
    await page.locator('#status[data-status="online"]').waitFor();
    assert.equal(await page.locator("#me").textContent(), "grace Example");
    assert.equal(new URL(page.url()).search, "", "the code stays in the address");

    // The session is the cluster's own: a reload goes on with it, without the issuer.
    await page.reload();
    await page.locator('#status[data-status="online"]').waitFor();
    assert.equal(await page.locator("#me").textContent(), "grace Example");
    const kept = JSON.parse(await page.evaluate(() => sessionStorage.getItem("chatcluster.session")));
    assert.match(kept.refresh_token, /^ccr_/);

    // A second tab with a copy of the session must not use the same refresh token.
    const copy = await context.newPage();
    await copy.addInitScript((text) => sessionStorage.setItem("chatcluster.session", text), JSON.stringify(kept));
    await copy.goto(url);
    await copy.locator("#sign-in:not([hidden])").waitFor();
    await copy.close();

    await page.locator("#sign-out").click();
    await page.locator("#sign-in:not([hidden])").waitFor();
    for (let tries = 0; ; tries++) {
      const answer = await fetch(new URL("/v1/sessions", url), { headers: { authorization: `Bearer ${kept.token}` } });
      if (answer.status === 401) break;
      assert.ok(tries < 100, `the session goes on after the sign-out: ${answer.status}`);
      await new Promise((wake) => setTimeout(wake, 100));
    }

    // An answer that nobody asked for here, as an attacker would have a victim follow, signs nobody in.
    await page.goto(`${url}/?code=stolen&state=unknown`);
    await page.locator("#sign-in-error", { hasText: "not begun here" }).waitFor();
    assert.deepEqual(faults, [], "the page threw");
  } finally {
    await browser.close();
  }
});
