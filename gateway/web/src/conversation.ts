/** The open conversation on the right: head, texts, typing line. */

import { action, byId, dayOf, make } from "./dom.js";
import { sync, type Item } from "./keyed.js";
import { draftNode, textNode, type Shown } from "./message.js";
import { byNameOf, piecesOf, type ByName } from "./mentions.js";
import { mutedNow, type RoomState, type State } from "./state.js";
import type { Text } from "./texts.js";

/** What was drawn last, to tell whether older texts came on top. */
let last = { room: "", first: 0, drafts: 0 };
const NEAR_END_PX = 80;
let observed: ResizeObserver | undefined;

export function drawConversation(state: State): void {
  const entry = state.open ? state.rooms.get(state.open) : undefined;
  byId("conversation").hidden = !entry;
  byId("nothing-open").hidden = Boolean(entry);
  document.body.classList.toggle("room-open", Boolean(entry));
  if (!entry) {
    last = { room: "", first: 0, drafts: 0 };
    return;
  }
  drawHead(state, entry);
  drawTexts(state, entry);
  const typing = typingLine(state.typists(entry));
  const place = byId("typing");
  if (place.textContent !== typing) place.textContent = typing;
}

function drawHead(state: State, entry: RoomState): void {
  byId("title").textContent = state.title(entry);
  const muted = mutedNow(entry);
  byId("mute").setAttribute("aria-pressed", String(muted));
  byId("mute").title = muted ? "Muted; choose to hear of this conversation again" : "Mute";
  const group = entry.room.kind === "group";
  byId("members").hidden = !group;
  const online = state.others(entry).filter((member) => state.online.get(member.user));
  const line = byId("who");
  line.classList.toggle("online", online.length > 0);
  if (group) line.textContent = `${Math.max(entry.memberCount, entry.members.size)} members, ${online.length + 1} online`;
  else line.textContent = online.length > 0 ? "online" : "offline";
}

function typingLine(names: string[]): string {
  return names.length === 0 ? "" : names.length === 1 ? `${names[0]} is typing…` : `${names.join(", ")} are typing…`;
}

function drawTexts(state: State, entry: RoomState): void {
  const log = byId("messages");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX;
  const fromEnd = log.scrollHeight - log.scrollTop;
  const first = entry.texts.list[0]?.seq ?? 0;
  const now = { room: entry.room.id, first, drafts: entry.drafts.length };
  sync(log, itemsOf(state, entry));
  followEnd(log);
  if (atEnd || now.room !== last.room || now.drafts > last.drafts) log.scrollTop = log.scrollHeight;
  else if (now.first < last.first) log.scrollTop = log.scrollHeight - fromEnd;
  last = now;
  rove(log);
}

/** Keeps the end in sight when the room for the texts shrinks: by a reply begun, or by a keyboard on the screen. */
function followEnd(log: HTMLElement): void {
  if (observed) return;
  let height = log.clientHeight;
  observed = new ResizeObserver(() => {
    const hidden = height - log.clientHeight;
    height = log.clientHeight;
    if (hidden > 0 && log.scrollHeight - log.scrollTop - log.clientHeight < hidden + NEAR_END_PX) log.scrollTop = log.scrollHeight;
  });
  observed.observe(log);
}

function itemsOf(state: State, entry: RoomState): Item[] {
  const { id } = entry.room;
  const items: Item[] = [];
  if (entry.more && entry.texts.list.length > 0) items.push({ key: `${id}/older`, signature: "", make: olderButton });
  const byName = byNameOf(entry.members.values());
  let previous: Text | undefined;
  for (const text of entry.texts.list) {
    const day = dayOf(text.at);
    const newDay = !previous || dayOf(previous.at) !== day;
    if (newDay) items.push({ key: `${id}/${day}`, signature: day, make: () => make("div", "day", day) });
    const shown = shownOf(state, entry, text, newDay || previous?.sender !== text.sender, byName);
    items.push({ key: `${id}/${text.seq}`, signature: JSON.stringify(shown), make: () => textNode(shown) });
    previous = text;
  }
  for (const draft of entry.drafts) {
    items.push({ key: `${id}/${draft.messageId}`, signature: JSON.stringify(draft), make: () => draftNode(draft) });
  }
  return items;
}

function shownOf(state: State, entry: RoomState, text: Text, first: boolean, byName: ByName): Shown {
  const mine = text.sender === state.me.id;
  const editing = entry.edits.get(text.seq);
  const { upTo: _, ...rest } = text;
  const body = editing === undefined || text.deleted ? text.body : editing;
  return {
    text: { ...rest, body },
    pieces: piecesOf(body, byName),
    me: state.me.id,
    mine,
    first,
    group: entry.room.kind === "group",
    ...(mine ? { tick: editing === undefined ? state.tick(entry, text.seq) : "waiting" } : {}),
    ...(text.reply_to === undefined || text.deleted ? {} : { quote: quoteOf(entry, text.reply_to) }),
  };
}

function quoteOf(entry: RoomState, seq: number): { seq: number; name: string; body: string } {
  const quoted = entry.texts.quote(seq);
  if (!quoted) return { seq, name: "", body: "An earlier message" };
  return { seq, name: quoted.sender_name, body: quoted.deleted ? "Message deleted" : quoted.body.replace(/\s+/g, " ").slice(0, 160) };
}

function olderButton(): HTMLElement {
  const button = action("older", "Show older messages", "older");
  button.textContent = "Show older messages";
  return button;
}

/** One of the message buttons is in the tab order, and the arrows go from one to the next: fifty stops before the composer would be too many. */
function rove(log: HTMLElement): void {
  const buttons = [...log.querySelectorAll<HTMLElement>('[data-act="menu"]')];
  const chosen = buttons.find((button) => button === document.activeElement) ?? buttons.at(-1);
  for (const button of buttons) button.tabIndex = button === chosen ? 0 : -1;
}

/** Arrow keys within the texts. */
export function wireRoving(): void {
  const log = byId("messages");
  log.onkeydown = (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
    const buttons = [...log.querySelectorAll<HTMLElement>('[data-act="menu"]')];
    const at = buttons.indexOf(document.activeElement as HTMLElement);
    if (step === undefined || at < 0 || event.altKey) return;
    event.preventDefault();
    const next = buttons[Math.max(0, Math.min(buttons.length - 1, at + step))];
    next?.focus();
    next?.closest(".message")?.scrollIntoView({ block: "nearest" });
    rove(log);
  };
}
