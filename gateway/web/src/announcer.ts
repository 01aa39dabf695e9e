/** Tells screen readers of texts that came into the open conversation: one sentence a second, however many there are. */

import { byId } from "./dom.js";
import type { Message } from "./protocol.js";

const GATHER_MS = 1_000;
const BODY_CHARACTERS = 200;

let gathered: Message[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

export function announce(message: Message): void {
  gathered.push(message);
  timer ??= setTimeout(() => {
    timer = undefined;
    byId("announce").textContent = sentence(gathered);
    gathered = [];
  }, GATHER_MS);
}

function sentence(messages: Message[]): string {
  const [only] = messages;
  if (only && messages.length === 1) return `${only.sender_name}: ${only.body.slice(0, BODY_CHARACTERS)}`;
  return `${messages.length} new messages`;
}

const NOTICE_MS = 8_000;
let hiding: ReturnType<typeof setTimeout> | undefined;

/** Shows what went wrong, for a while. */
export function notice(text: string): void {
  const place = byId("notice");
  place.hidden = false;
  place.textContent = text;
  clearTimeout(hiding);
  hiding = setTimeout(() => {
    place.hidden = true;
    place.textContent = "";
  }, NOTICE_MS);
}
