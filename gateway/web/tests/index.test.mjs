import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as library from "../dist/index.js";

const dist = new URL("../dist/", import.meta.url);

/** A module and all that it imports. */
function modulesOf(name, found = new Map()) {
  if (found.has(name)) return found;
  const source = readFileSync(new URL(name, dist), "utf8");
  found.set(name, source);
  for (const [, next] of source.matchAll(/from "\.\/([^"]+)"/g)) modulesOf(next, found);
  return found;
}

test("one module gives everything that a client needs", () => {
  for (const name of ["ChatClient", "GatewayError", "State", "mentionsIn", "signIn", "signUp", "uuid7"]) assert.ok(library[name], name);
});

test("the client needs no page", () => {
  const modules = modulesOf("index.js");
  assert.ok(modules.size > 5, "the imports were not followed");
  for (const [name, source] of modules) {
    const code = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    assert.doesNotMatch(code, /\b(document|window|location|sessionStorage|localStorage|HTMLElement)\b/, name);
  }
});

test("the page puts text in as text only", () => {
  for (const [name, source] of modulesOf("main.js")) {
    assert.doesNotMatch(source, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, name);
  }
});
