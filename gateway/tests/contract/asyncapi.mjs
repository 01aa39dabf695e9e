/** Reads an AsyncAPI document with the official parser; prints what is in it, or what is wrong with it. */
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const [, , path] = process.argv;
const { document, diagnostics } = await new Parser().parse(readFileSync(path, "utf8"), { source: path });
const told = diagnostics.filter(({ severity }) => severity <= 1);
for (const { path: place, message, severity } of told) console.log(`${severity === 0 ? "error" : "warning"} at ${place.join(".")}: ${message}`);
if (!document || told.length > 0) process.exit(1);
const count = (list) => list.all().length;
console.log(`${count(document.operations())} operations, ${count(document.messages())} messages, ${count(document.schemas())} schemas`);
