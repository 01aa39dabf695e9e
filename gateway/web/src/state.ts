/** What the page knows of rooms and people. No DOM here: the views draw it. */

import type { Member, Message, Room, User } from "./protocol.js";

/** A message on its way, not yet acknowledged. */
export interface Draft {
  messageId: string;
  body: string;
  failed?: string;
}

export interface RoomState {
  room: Room;
  messages: Message[];
  drafts: Draft[];
  members: Map<string, Member>;
  typing: Map<string, { name: string; until: number }>;
  /** Whether older messages may exist at the store. */
  more: boolean;
  loaded: boolean;
}

export type Tick = "sent" | "delivered" | "read";

/** A typing notice without renewal lapses after this time. */
export const TYPING_LAPSE_MS = 6_000;

export class State {
  rooms = new Map<string, RoomState>();
  online = new Map<string, boolean>();
  open: string | undefined;

  constructor(readonly me: User) {}

  upsert(room: Room): RoomState {
    const known = this.rooms.get(room.id);
    if (known) {
      known.room = { ...room, last_seq: Math.max(room.last_seq, known.room.last_seq), read_seq: Math.max(room.read_seq, known.room.read_seq) };
      return known;
    }
    const state: RoomState = { room, messages: [], drafts: [], members: new Map(), typing: new Map(), more: true, loaded: false };
    this.rooms.set(room.id, state);
    return state;
  }

  /** Takes a message in; true if it is new here. */
  add(message: Message): boolean {
    const state = this.rooms.get(message.room);
    if (!state) return false;
    state.room.last_seq = Math.max(state.room.last_seq, message.seq);
    state.drafts = state.drafts.filter((draft) => draft.messageId !== message.message_id);
    state.typing.delete(message.sender);
    if (state.messages.some((known) => known.seq === message.seq)) return false;
    state.messages.push(message);
    state.messages.sort((a, b) => a.seq - b.seq);
    return true;
  }

  title(state: RoomState): string {
    if (state.room.title) return state.room.title;
    const others = [...state.members.values()].filter((member) => member.user !== this.me.id);
    return others.length > 0 ? others.map((member) => member.display_name).join(", ") : "Conversation";
  }

  unread(state: RoomState): number {
    return Math.max(0, state.room.last_seq - state.room.read_seq);
  }

  /** A tick says what all other members have done. */
  tick(state: RoomState, seq: number): Tick {
    const others = [...state.members.values()].filter((member) => member.user !== this.me.id);
    if (others.length === 0) return "sent";
    if (others.every((member) => member.read_seq >= seq)) return "read";
    return others.every((member) => member.delivered_seq >= seq) ? "delivered" : "sent";
  }

  typists(state: RoomState, now: number = Date.now()): string[] {
    return [...state.typing.values()].filter((entry) => entry.until > now).map((entry) => entry.name);
  }
}
