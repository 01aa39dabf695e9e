/** The example of the documentation, against a real gateway. */
import { browserTest, message, names, say, signUp, startRoom, urls } from "./support/browser.mjs";
import { example } from "./support/example.mjs";

browserTest("the example of the documentation answers on a real gateway", async ({ person }) => {
  const [ann, bot] = names("ann", "bot");
  const [a, b] = [await person(), await person()];
  await signUp(b, urls[1], bot);
  await b.route("**/example.js", (route) => route.fulfill({ contentType: "text/javascript", body: example("/index.js") }));
  await b.locator("#sign-out").click();
  await b.evaluate(async (name) => {
    const { startBot } = await import("/example.js");
    await startBot(location.origin, name, "correct horse battery");
  }, bot);
  await signUp(a, urls[0], ann);
  await startRoom(a, bot, "Desk");
  await say(a, "Nobody is meant");
  await say(a, `@${bot} are you there?`);
  await message(a, "are you there?").locator(".reaction").waitFor();
  await message(a, `What can I do for you, ${ann}?`).locator(".quote", { hasText: "are you there?" }).waitFor();
});
