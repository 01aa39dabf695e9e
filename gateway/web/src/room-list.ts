/** The list of conversations on the left. */

import { avatar, byId, make, timeOf } from "./dom.js";
import type { State } from "./state.js";

export function drawRooms(state: State, choose: (room: string) => void): void {
  const list = byId("rooms");
  const focused = (document.activeElement as HTMLElement | null)?.dataset["room"];
  const rooms = [...state.rooms.values()].sort((a, b) => stamp(b).localeCompare(stamp(a)));
  list.replaceChildren(
    ...rooms.map((entry) => {
      const title = state.title(entry);
      const unread = state.unread(entry);
      const button = make("button", "room");
      button.dataset["room"] = entry.room.id;
      button.setAttribute("aria-current", String(entry.room.id === state.open));
      const last = entry.messages[entry.messages.length - 1];
      const others = [...entry.members.keys()].filter((id) => id !== state.me.id);
      const icon = avatar(title);
      if (entry.room.kind === "direct" && others.some((id) => state.online.get(id))) icon.classList.add("online");
      const text = make("span", "room-text");
      text.append(make("span", "room-title", title));
      const typists = state.typists(entry);
      text.append(make("span", "room-last", typists.length > 0 ? "typing…" : last ? preview(last.sender === state.me.id, last.sender_name, last.body, entry.room.kind) : ""));
      const side = make("span", "room-side");
      if (last) side.append(make("span", "room-time", timeOf(last.at)));
      if (unread > 0 && entry.room.id !== state.open) {
        const badge = make("span", "badge", unread > 99 ? "99+" : String(unread));
        badge.setAttribute("aria-label", `${unread} unread`);
        side.append(badge);
      }
      button.append(icon, text, side);
      button.onclick = () => choose(entry.room.id);
      const item = make("li");
      item.append(button);
      return item;
    }),
  );
  byId("no-rooms").hidden = rooms.length > 0;
  if (focused) list.querySelector<HTMLElement>(`[data-room="${focused}"]`)?.focus();
}

function stamp(entry: { messages: { at: string }[]; room: { created_at: string } }): string {
  return entry.messages[entry.messages.length - 1]?.at ?? entry.room.created_at;
}

function preview(mine: boolean, sender: string, body: string, kind: string): string {
  const line = body.replace(/\s+/g, " ").slice(0, 80);
  return mine ? `You: ${line}` : kind === "group" ? `${sender}: ${line}` : line;
}
