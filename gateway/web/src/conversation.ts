/** The open conversation on the right: head, messages, typing line. */

import { avatar, byId, dayOf, hueOf, make, timeOf } from "./dom.js";
import type { Message } from "./protocol.js";
import type { Draft, RoomState, State, Tick } from "./state.js";

const TICKS: Record<Tick | "waiting", [mark: string, word: string]> = {
  waiting: ["○", "waiting"],
  sent: ["✓", "sent"],
  delivered: ["✓✓", "delivered"],
  read: ["✓✓", "read"],
};

export function drawConversation(state: State): void {
  const entry = state.open ? state.rooms.get(state.open) : undefined;
  byId("conversation").hidden = !entry;
  byId("nothing-open").hidden = Boolean(entry);
  document.body.classList.toggle("room-open", Boolean(entry));
  if (!entry) return;
  drawHead(state, entry);
  drawMessages(state, entry);
  drawTyping(state, entry);
}

function drawHead(state: State, entry: RoomState): void {
  byId("title").textContent = state.title(entry);
  byId("invite").hidden = entry.room.kind !== "group";
  const others = [...entry.members.values()].filter((member) => member.user !== state.me.id);
  const online = others.filter((member) => state.online.get(member.user));
  const line = byId("who");
  line.classList.toggle("online", online.length > 0);
  if (entry.room.kind === "direct") line.textContent = online.length > 0 ? "online" : "offline";
  else line.textContent = `${entry.members.size} members, ${online.length + 1} online`;
}

export function drawTyping(state: State, entry: RoomState): void {
  const names = state.typists(entry);
  const line = names.length === 0 ? "" : names.length === 1 ? `${names[0]} is typing…` : `${names.join(", ")} are typing…`;
  const place = byId("typing");
  if (place.textContent !== line) place.textContent = line;
}

function drawMessages(state: State, entry: RoomState): void {
  const log = byId("messages");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const held = log.scrollHeight - log.scrollTop;
  const nodes: HTMLElement[] = [];
  if (entry.more && entry.messages.length > 0) {
    const button = make("button", "older", "Show older messages");
    button.id = "older";
    nodes.push(button);
  }
  let previous: Message | undefined;
  for (const message of entry.messages) {
    if (!previous || dayOf(previous.at) !== dayOf(message.at)) nodes.push(make("div", "day", dayOf(message.at)));
    nodes.push(bubble(state, entry, message, previous));
    previous = message;
  }
  for (const draft of entry.drafts) nodes.push(draftBubble(draft));
  log.replaceChildren(...nodes);
  log.scrollTop = atEnd ? log.scrollHeight : log.scrollHeight - held;
}

function bubble(state: State, entry: RoomState, message: Message, previous?: Message): HTMLElement {
  const mine = message.sender === state.me.id;
  const row = make("div", `message ${mine ? "mine" : "theirs"}`);
  row.dataset["seq"] = String(message.seq);
  const fresh = !previous || previous.sender !== message.sender || dayOf(previous.at) !== dayOf(message.at);
  if (fresh) row.classList.add("first");
  const body = make("div", "bubble");
  if (!mine && entry.room.kind === "group") {
    row.append(fresh ? avatar(message.sender_name) : make("span", "avatar-space"));
    if (fresh) body.append(make("div", `sender ${hueOf(message.sender_name)}`, message.sender_name));
  }
  body.append(make("span", "text", message.body));
  const foot = make("span", "foot");
  const time = make("time", "", timeOf(message.at));
  time.setAttribute("datetime", message.at);
  foot.append(time);
  if (mine) foot.append(tick(state.tick(entry, message.seq)));
  body.append(foot);
  row.append(body);
  return row;
}

function draftBubble(draft: Draft): HTMLElement {
  const row = make("div", "message mine first");
  const body = make("div", "bubble");
  body.append(make("span", "text", draft.body));
  const foot = make("span", "foot");
  if (draft.failed) foot.append(make("span", "failed", draft.failed));
  else foot.append(tick("waiting"));
  body.append(foot);
  row.append(body);
  return row;
}

function tick(state: Tick | "waiting"): HTMLElement {
  const [mark, word] = TICKS[state];
  const element = make("span", `tick ${state}`, mark);
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", word);
  element.title = word;
  return element;
}
