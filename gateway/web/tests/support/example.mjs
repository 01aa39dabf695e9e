/** The example of the how-to page, with its import led to a module. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const PAGE = new URL("../../../../docs/how-to/use-the-typescript-client.md", import.meta.url);

export function example(module) {
  const [, code] = /```js\n([\s\S]*?)```/.exec(readFileSync(PAGE, "utf8")) ?? [];
  assert.ok(code?.includes('from "chatcluster-web"'), `${PAGE.pathname} has no example that imports the client`);
  return code.replace('"chatcluster-web"', JSON.stringify(String(module)));
}
