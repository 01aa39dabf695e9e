/** Keeps the state up: takes in what the gateway tells, and asks for what is missing. No DOM here. */

import type { ChatClient } from "./client.js";
import { GatewayError, type Event, type Message, type Welcome } from "./protocol.js";
import { TYPING_LAPSE_MS, type RoomState, type State } from "./state.js";

export interface FollowHooks {
  /** Something that is shown changed. */
  changed(): void;
  /** Somebody else's text came in live. */
  arrived(message: Message): void;
}

const PAGE = 50;
/** How far back a quotation is looked for. */
const JUMP_PAGES = 20;
const PRESENCE_MAX = 200;
/** First wait before the gateway is asked again who is there; each further one is twice as long, up to a minute. */
const PRESENCE_MS = 2_000;
const PRESENCE_PAUSE_MS = 60_000;
/** Cumulative, so one receipt a fifth of a second says as much as one a message. */
const RECEIPT_MS = 200;
/** Several changes of members in a row are one question. */
const MEMBERS_MS = 300;

export class Follow {
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #asked = new Set<string>();
  /** Rooms of whose members some may be online although they are not shown so. */
  readonly #unknown = new Set<string>();
  /** Rooms from before the connection broke, until the list says which of them the user is still in. */
  #kept: Set<string> = new Set();
  #listing = false;

  constructor(
    private readonly client: ChatClient,
    private readonly state: State,
    private readonly hooks: FollowHooks,
  ) {}

  welcome(hello: Welcome): void {
    this.#kept = new Set(this.state.rooms.keys());
    for (const room of hello.rooms) this.state.upsert(room);
    // What events did not bring while there was no connection: marks, roles, who is online.
    for (const entry of this.state.rooms.values()) if (entry.members.size > 0) this.#soon(`members ${entry.room.id}`, MEMBERS_MS, () => this.learnMembers(entry.room.id));
    void this.list();
    this.hooks.changed();
  }

  event(happened: Event): void {
    const entry = this.state.rooms.get(roomOf(happened));
    switch (happened.type) {
      case "message":
        this.#message(happened.message);
        break;
      case "receipt": {
        const member = entry?.members.get(happened.user);
        if (member) Object.assign(member, { delivered_seq: happened.delivered_seq, read_seq: happened.read_seq });
        if (entry && happened.user === this.state.me.id) this.state.read(entry, happened.read_seq);
        break;
      }
      case "typing":
        if (happened.state === "start") {
          entry?.typing.set(happened.user, { name: happened.name, until: Date.now() + TYPING_LAPSE_MS });
          setTimeout(() => this.hooks.changed(), TYPING_LAPSE_MS + 50);
        } else entry?.typing.delete(happened.user);
        break;
      case "presence":
        this.state.online.set(happened.user, happened.state === "online");
        break;
      case "room_added":
        this.state.upsert(happened.room);
        this.#soon("rooms", RECEIPT_MS, () => this.list());
        break;
      case "room_removed":
        this.forget(happened.room);
        break;
      case "role_changed":
        if (entry && happened.user === this.state.me.id) entry.role = happened.role;
        this.#membersChanged(happened.room);
        break;
      case "member_added":
      case "member_removed":
        if (entry) entry.memberCount += happened.type === "member_added" ? 1 : -1;
        this.#membersChanged(happened.room);
        break;
      case "muted":
        if (entry) entry.mutedUntil = happened.until === undefined ? 0 : Date.parse(happened.until);
        break;
    }
    if (entry?.unread.stale) this.#soon("rooms", RECEIPT_MS, () => this.list());
    this.hooks.changed();
  }

  /** Reads the list of rooms, and who is in those that have no title of their own. */
  async list(): Promise<void> {
    if (this.#listing) {
      this.#soon("rooms", RECEIPT_MS, () => this.list());
      return;
    }
    this.#listing = true;
    const kept = this.#kept;
    try {
      const { rooms, incomplete } = await this.client.rooms();
      for (const summary of rooms) this.state.summarize(summary);
      const listed = new Set(rooms.map((room) => room.id));
      // Only those: the list may be a moment behind a room that was just made, and `room_removed` tells of all others.
      if (!incomplete) {
        for (const id of kept) if (!listed.has(id)) this.forget(id);
        if (this.#kept === kept) this.#kept = new Set();
      }
      this.hooks.changed();
      // The list says what is new in each room, so all of it has reached this device.
      for (const room of rooms) if (room.last_seq > room.delivered_seq) this.#deliver(room.id);
      for (const room of rooms) {
        const unknown = this.state.rooms.get(room.id)?.members.size === 0;
        if (unknown && room.title === "") await this.learnMembers(room.id);
      }
    } catch (error) {
      if (error instanceof GatewayError && error.temporary) this.#soon("rooms", error.retryAfterMs ?? 2_000, () => this.list());
    } finally {
      this.#listing = false;
    }
  }

  async learnMembers(room: string): Promise<void> {
    const members = await this.client.members(room).catch(() => []);
    const entry = this.state.rooms.get(room);
    if (!entry || members.length === 0) return;
    entry.members = new Map(members.map((member) => [member.user, member]));
    entry.memberCount = members.length;
    this.hooks.changed();
    await this.#learnPresence(room);
  }

  /** Brings what a conversation needs when it is opened. */
  async open(room: string): Promise<void> {
    const entry = this.state.rooms.get(room);
    if (!entry) return;
    const people = entry.members.size === 0 ? this.learnMembers(room) : this.#unknown.has(room) ? this.#learnPresence(room) : undefined;
    await Promise.all([people, entry.loaded ? undefined : this.#load(entry)]);
  }

  async older(entry: RoomState): Promise<void> {
    const first = entry.texts.list[0];
    if (first && entry.more) await this.#load(entry, first.seq);
  }

  /** Loads older texts until this one is among them; false when it is not to be had. */
  async reach(entry: RoomState, seq: number): Promise<boolean> {
    for (let pages = 0; pages < JUMP_PAGES && entry.more && (entry.texts.list[0]?.seq ?? 0) > seq; pages++) await this.older(entry);
    return entry.texts.get(seq) !== undefined;
  }

  /** Looks up the texts that are quoted and not loaded, each once. */
  quotes(entry: RoomState): void {
    const { id } = entry.room;
    for (const { reply_to } of entry.texts.list) {
      const key = `${id}/${reply_to}`;
      if (reply_to === undefined || entry.texts.quote(reply_to) || this.#asked.has(key)) continue;
      this.#asked.add(key);
      void this.client
        .history(id, { before: reply_to + 1, limit: 1 })
        .then(({ messages: [found], last_seq }) => {
          if (found?.seq === reply_to) entry.texts.addQuoted(found, last_seq);
          this.hooks.changed();
        })
        .catch(() => this.#asked.delete(key));
    }
  }

  /** Marks what has been seen of a room as read. */
  read(entry: RoomState): void {
    if (!entry.loaded || entry.seen <= entry.room.read_seq) return;
    this.state.read(entry, entry.seen);
    void this.client.read(entry.room.id, entry.seen).catch(() => {});
  }

  forget(room: string): void {
    this.state.rooms.delete(room);
    if (this.state.open === room) this.state.open = undefined;
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  /** Asks who is there. Where the gateway cannot tell of somebody, it is asked again, as long as the conversation is open. */
  async #learnPresence(room: string, pause = PRESENCE_MS): Promise<void> {
    const entry = this.state.rooms.get(room);
    const ask = entry ? this.state.others(entry).map((member) => member.user).slice(0, PRESENCE_MAX) : [];
    if (ask.length === 0) return;
    const present = await this.client.presence(ask).catch(() => undefined);
    // With the connection back, all is asked for anew.
    if (!present) return;
    for (const [user, online] of present) this.state.online.set(user, online);
    this.hooks.changed();
    if (present.size === ask.length) {
      this.#unknown.delete(room);
      return;
    }
    this.#unknown.add(room);
    this.#soon(`presence ${room}`, pause, async () => {
      if (this.state.open === room) await this.#learnPresence(room, Math.min(2 * pause, PRESENCE_PAUSE_MS));
    });
  }

  async #load(entry: RoomState, before?: number): Promise<void> {
    const page = await this.client.history(entry.room.id, { limit: PAGE, ...(before === undefined ? {} : { before }) }).catch(() => undefined);
    if (!page) return;
    this.state.addPage(entry, page);
    entry.more = page.more;
    entry.loaded = true;
    this.hooks.changed();
  }

  #message(entry: Message): void {
    if (!this.state.rooms.has(entry.room)) this.#soon("rooms", RECEIPT_MS, () => this.list());
    const fresh = this.state.add(entry);
    if (entry.sender === this.state.me.id) return;
    if (fresh) this.hooks.arrived(entry);
    this.#deliver(entry.room);
  }

  #deliver(room: string): void {
    this.#soon(`delivered ${room}`, RECEIPT_MS, async () => {
      const entry = this.state.rooms.get(room);
      if (entry) await this.client.delivered(room, entry.room.last_seq).catch(() => {});
    });
  }

  #membersChanged(room: string): void {
    if (this.state.rooms.get(room)?.members.size) this.#soon(`members ${room}`, MEMBERS_MS, () => this.learnMembers(room));
  }

  /** Runs a task once after a while, however often it was asked for meanwhile. */
  #soon(key: string, ms: number, task: () => Promise<void>): void {
    if (this.#timers.has(key)) return;
    this.#timers.set(
      key,
      setTimeout(() => {
        this.#timers.delete(key);
        void task();
      }, ms),
    );
  }
}

function roomOf(event: Event): string {
  if (event.type === "message") return event.message.room;
  return "room" in event && typeof event.room === "string" ? event.room : "";
}
