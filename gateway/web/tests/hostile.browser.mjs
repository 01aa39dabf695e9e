/** Somebody whose names, titles, texts and reactions are markup and scripts: the page shows them as the text they are, and nothing of it runs. */
import assert from "node:assert/strict";
import { browserTest, names, say, signUp, urls } from "./support/browser.mjs";

/** Each sets `hacked` in its own way, or asks another host. At most 64 bytes, to fit a reaction once the spaces are out. */
const PAYLOADS = [
  "<script>hacked=1</script>",
  "</script><script>hacked=1</script>",
  "<img src=x onerror=hacked=1>",
  "<img/src='x'/onerror=hacked=1>",
  "<svg/onload=hacked=1>",
  "<svg><script href=data:,hacked=1 />",
  "<iframe srcdoc='<script>parent.hacked=1</script>'>",
  "<iframe src=javascript:parent.hacked=1>",
  "<a href=javascript:hacked=1>press me</a>",
  "<body onpageshow=hacked=1>",
  "<input autofocus onfocus=hacked=1>",
  "<details open ontoggle=hacked=1>",
  "<math><mi xlink:href=javascript:hacked=1>x",
  "<style>@import '//evil.example/x'</style>",
  "<link rel=stylesheet href=//evil.example>",
  "<meta http-equiv=refresh content=0;//evil.example>",
  "<base href=//evil.example/>",
  "<form action=//evil.example><button>press me",
  "\"><img src=x onerror=hacked=1>",
  "' autofocus onfocus='hacked=1",
  "javascript:hacked=1",
  "{{constructor.constructor('hacked=1')()}}",
  "${hacked=1}",
  "<!--><img src=x onerror=hacked=1>-->",
  "&lt;img src=x onerror=hacked=1&gt;",
  "<template shadowrootmode=open><b id=menu>",
  "<div id=text name=rooms class=badge>clobbered",
];

/** Runs in a page of the gateway: an account for each payload, which puts it wherever a person can put text. */
async function plant({ victim, attacker, payloads }) {
  for (const [at, payload] of payloads.entries()) {
    const account = { name: `${attacker}-${at}`, password: "correct horse battery", display_name: payload };
    const answer = await fetch("/v1/sign-up", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(account) });
    if (!answer.ok) throw new Error(`${payload}: ${await answer.text()}`);
    const { token } = await answer.json();
    const socket = new WebSocket(`ws://${location.host}/v1/ws`);
    const waiting = new Map();
    let last = 0;
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      waiting.get(frame.re)?.(frame);
    };
    await new Promise((open, failed) => Object.assign(socket, { onopen: open, onerror: failed }));
    const ask = async (request) => {
      const id = ++last;
      const done = new Promise((resolve) => waiting.set(id, resolve));
      socket.send(JSON.stringify({ ...request, id }));
      const frame = await done;
      if (frame.type === "error") throw new Error(`${JSON.stringify(request)}: ${JSON.stringify(frame)}`);
      return frame;
    };
    // A UUIDv7 is a time and random digits. Pages over plain HTTP on another host have no `crypto.randomUUID`.
    const messageId = () => {
      const hex = Date.now().toString(16).padStart(12, "0");
      const bytes = crypto.getRandomValues(new Uint8Array(9));
      const random = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
      return `${hex.slice(0, 8)}-${hex.slice(8)}-7${random.slice(0, 3)}-8${random.slice(3, 6)}-${random.slice(6)}`;
    };
    await ask({ type: "hello", token });
    const { room } = await ask({ type: "create_room", kind: "group", title: payload, members: [victim] });
    const entry = (fields) => ask({ room: room.id, message_id: messageId(), ...fields });
    const first = await entry({ type: "send", body: payload });
    await entry({ type: "react", target: first.seq, emoji: payload.replaceAll(/\s/g, "") });
    await entry({ type: "send", body: "a reply", reply_to: first.seq });
    const changed = await entry({ type: "send", body: "to be edited" });
    await entry({ type: "edit", target: changed.seq, body: `edited ${payload}` });
    await ask({ type: "typing_start", room: room.id });
    socket.close();
  }
}

browserTest("markup and scripts in every text stay text", async ({ person }) => {
  const [victim, attacker] = names("vic", "mal");
  const [page, other] = [await person(), await person()];
  const origin = new URL(urls[0]).origin;
  const strayed = [];
  page.on("dialog", (dialog) => strayed.push(`a dialog: ${dialog.message()}`) && dialog.dismiss());
  page.on("request", (request) => request.url().startsWith(origin) || strayed.push(request.url()));
  page.on("framenavigated", (frame) => frame.url().startsWith(origin) || strayed.push(frame.url()));
  await signUp(page, urls[0], victim);
  await other.goto(urls[0]);
  await other.evaluate(plant, { victim, attacker, payloads: PAYLOADS });

  for (const payload of PAYLOADS) {
    const title = page.locator(".room-title").getByText(payload, { exact: true });
    await title.click();
    const texts = page.locator(".message .text");
    await page.locator(".message .text").getByText(`edited ${payload}`, { exact: true }).waitFor();
    // What comes live may be there before what was said earlier.
    await texts.nth(2).waitFor();
    const shown = await texts.allTextContents();
    assert.deepEqual(shown.slice(0, 3), [payload, "a reply", `edited ${payload}`]);
    assert.equal(await page.locator(".sender").first().textContent(), payload);
    assert.equal(await page.locator(".reaction .emoji").first().textContent(), payload.replaceAll(/\s/g, ""));
    const quote = await page.locator(".quote").first().textContent();
    assert.ok(quote.includes(payload), quote);
  }
  // One's own text, typed by hand, and the list of members with its names.
  for (const payload of PAYLOADS.slice(0, 3)) await say(page, payload);
  await page.locator("#members").click();
  await page.locator("#member-list").getByText(PAYLOADS.at(-1), { exact: true }).waitFor();
  await page.keyboard.press("Escape");

  const found = await page.evaluate(() => ({
    hacked: globalThis.hacked,
    scripts: [...document.scripts].map((script) => script.getAttribute("src")),
    strange: [...document.querySelectorAll("#chat :is(img, iframe, script, a, form form, object, embed, math, template, style, link, base, meta)")].map((element) => element.outerHTML),
    handlers: [...document.querySelectorAll("*")].flatMap((element) => [...element.attributes]).filter(({ name }) => name.startsWith("on")).map(({ name }) => name),
    ids: [...document.querySelectorAll("[id]")].map(({ id }) => id),
    width: document.documentElement.scrollWidth <= innerWidth,
  }));
  assert.equal(found.hacked, undefined, "a script ran");
  assert.deepEqual(found.scripts, ["main.js"]);
  assert.deepEqual(found.strange, []);
  assert.deepEqual(found.handlers, []);
  assert.equal(new Set(found.ids).size, found.ids.length, "an id is there twice");
  assert.ok(found.width, "a text pushes the page apart");

  // What stands in the address is an attacker's to choose, too.
  for (const query of ["?error=<img src=x onerror=hacked=1>&error_description=<script>hacked=1</script>&state=x", "#<img src=x onerror=hacked=1>", "?code=<svg/onload=hacked=1>&state=javascript:hacked=1"]) {
    await page.goto(`${urls[0]}/${query}`);
    await page.locator('#status[data-status="online"], #sign-in:not([hidden])').first().waitFor({ state: "attached" });
    assert.equal(await page.evaluate(() => globalThis.hacked), undefined, query);
  }
  assert.deepEqual(strayed, [], "the page went elsewhere");
});
