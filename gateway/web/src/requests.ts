/**
 * The requests of the protocol as methods. What changes a room is kept in memory until it is acknowledged: it waits while there is no
 * connection, goes out in the order in which it was asked for, room by room, and is repeated under the same message or request id until
 * the gateway has answered. What waits is gone when the program ends.
 */

import { GatewayError, type History, type Member, type Role, type Room, type Sent, type Summary } from "./protocol.js";
import { uuid7 } from "./uuid.js";

export interface SendOptions {
  /** The seq of the text that this one answers. */
  replyTo?: number;
  /** User ids; who is no member is left out by the gateway. */
  mentions?: string[];
  /** A UUIDv7, when the caller wants to recognise the message in the events; made here when absent. */
  messageId?: string;
}

export interface HistoryOptions {
  /** Entries before this seq, or after it; with neither, the newest. */
  before?: number;
  after?: number;
  /** 1 to 100; 50 when absent. */
  limit?: number;
  /** `texts` (when absent) are texts as they are now, `log` is every entry. */
  view?: "texts" | "log";
}

export type NewRoom =
  | { kind: "direct"; members: [string] }
  | { kind: "group"; members: string[]; title?: string; roomKey?: string };

/** More writes than this do not wait in one client; the next one is refused with the code `limit`. */
export const WAITING_MAX = 1_000;
/** When a refusal names no time. */
const RETRY_MS = 500;
const MEMBERS_PAGE = 1_000;

export abstract class Requests {
  /** The last write of each room that is not answered yet. */
  readonly #tails = new Map<string, Promise<unknown>>();
  #waiting = 0;

  /** Sends a request and waits for its answer, over reconnects if need be. */
  abstract request<T = Record<string, unknown>>(type: string, fields?: Record<string, unknown>): Promise<T>;

  /** Whether the client has ended for good, so that nothing is worth repeating. */
  protected abstract get ended(): boolean;

  /** The user is in this room from its `last_seq` on. */
  protected abstract joined(room: Room): void;

  /** How many writes are not acknowledged yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Sends a text; resolves once it is committed. */
  send(room: string, body: string, options: SendOptions = {}): Promise<Sent> {
    const { replyTo, mentions, messageId } = options;
    const fields = {
      body,
      ...(replyTo === undefined ? {} : { reply_to: replyTo }),
      ...(mentions?.length ? { mentions } : {}),
    };
    return this.#write("send", room, fields, messageId);
  }

  /** Gives one's own text another body. */
  edit(room: string, target: number, body: string, messageId?: string): Promise<Sent> {
    return this.#write("edit", room, { target, body }, messageId);
  }

  /** Deletes a text: one's own, or as owner or admin of a group anybody's. */
  delete(room: string, target: number, messageId?: string): Promise<Sent> {
    return this.#write("delete", room, { target }, messageId);
  }

  /** Reacts to a text; `emoji` has 1 to 64 bytes and no spaces. */
  react(room: string, target: number, emoji: string, messageId?: string): Promise<Sent> {
    return this.#write("react", room, { target, emoji }, messageId);
  }

  /** Takes a reaction back. */
  unreact(room: string, target: number, emoji: string, messageId?: string): Promise<Sent> {
    return this.#write("unreact", room, { target, emoji }, messageId);
  }

  history(room: string, options: HistoryOptions = {}): Promise<History> {
    return this.request<History>("history", { room, ...options });
  }

  /** All rooms of the user, newest id first; `incomplete` when some are left out because their shard is away. */
  async rooms(): Promise<{ rooms: Summary[]; incomplete: boolean }> {
    const rooms: Summary[] = [];
    let incomplete = false;
    for (let after: string | undefined; ; ) {
      const page = await this.request<{ rooms: Summary[]; incomplete: boolean; next?: string }>("rooms", after === undefined ? {} : { after });
      rooms.push(...page.rooms);
      incomplete ||= page.incomplete;
      if (page.next === undefined) return { rooms, incomplete };
      after = page.next;
    }
  }

  /** All members of a room, in the order of joining. */
  async members(room: string): Promise<Member[]> {
    const members: Member[] = [];
    for (let after: number | undefined; ; ) {
      const fields = { room, limit: MEMBERS_PAGE, ...(after === undefined ? {} : { after }) };
      const page = await this.request<{ members: Member[]; next?: number }>("members", fields);
      members.push(...page.members);
      if (page.next === undefined) return members;
      after = page.next;
    }
  }

  /** Makes a room, or finds it: the direct room of a pair, or the group that was made under the same `roomKey`. */
  async createRoom(wanted: NewRoom): Promise<Room> {
    const { kind, members } = wanted;
    const group = wanted.kind === "group" ? { title: wanted.title ?? "", ...(wanted.roomKey ? { room_key: wanted.roomKey } : {}) } : {};
    const fields = { kind, members, request_id: uuid7(), ...group };
    const { room } = await this.persist(() => this.request<{ room: Room }>("create_room", fields));
    this.joined(room);
    return room;
  }

  /** Adds a member to a group; a name or a user id. */
  addMember(room: string, member: string): Promise<void> {
    return this.#change("add_member", room, { member });
  }

  /** Removes a member of a group, or oneself. */
  removeMember(room: string, member: string): Promise<void> {
    return this.#change("remove_member", room, { member });
  }

  /** Gives a member of a group another role; who makes somebody owner becomes admin. */
  setRole(room: string, member: string, role: Role): Promise<void> {
    return this.#change("set_role", room, { member, role });
  }

  /** Notes that notifications of a room are not wanted, until then or for ever. */
  mute(room: string, until?: Date): Promise<void> {
    return this.#change("mute", room, until ? { until: until.toISOString() } : {});
  }

  unmute(room: string): Promise<void> {
    return this.#change("unmute", room, {});
  }

  /** Confirms all up to `seq`; cumulative, so a lower one changes nothing. */
  async delivered(room: string, seq: number): Promise<void> {
    await this.request("delivered", { room, seq });
  }

  /** Marks all up to `seq` as read. */
  async read(room: string, seq: number): Promise<void> {
    await this.request("read", { room, seq });
  }

  /** Which of these users (at most 200) are online. Those of whom the gateway cannot tell at the moment are left out. */
  async presence(users: string[]): Promise<Map<string, boolean>> {
    const answer = await this.request<{ users: { user: string; state: string }[]; incomplete?: boolean }>("presence", { users });
    const known = answer.users.filter(({ state }) => state === "online" || !answer.incomplete);
    return new Map(known.map(({ user, state }) => [user, state === "online"]));
  }

  /** Puts an entry into a room's log. */
  #write(type: string, room: string, fields: Record<string, unknown>, messageId: string = uuid7()): Promise<Sent> {
    return this.#inTurn(room, () => this.request<Sent>(type, { room, message_id: messageId, ...fields }));
  }

  /** Changes who is in a room, as what, or whether its user wants to hear of it. */
  async #change(type: string, room: string, fields: Record<string, unknown>): Promise<void> {
    const all = { room, request_id: uuid7(), ...fields };
    await this.#inTurn(room, () => this.request(type, all));
  }

  /** One write of a room after the other: what is repeated after a refusal must not be overtaken by what was asked for later. */
  #inTurn<T>(room: string, attempt: () => Promise<T>): Promise<T> {
    if (this.#waiting >= WAITING_MAX) {
      return Promise.reject(new GatewayError("limit", `${WAITING_MAX} messages wait for the gateway; try again when it has answered`));
    }
    this.#waiting += 1;
    const issue = (): Promise<T> => this.persist(attempt);
    const before = this.#tails.get(room);
    const done = (before ? before.then(issue) : issue()).finally(() => (this.#waiting -= 1));
    const tail = done.then(noop, noop).then(() => {
      if (this.#tails.get(room) === tail) this.#tails.delete(room);
    });
    this.#tails.set(room, tail);
    return done;
  }

  /** Repeats what was refused for the moment only, after the time that the gateway names. */
  protected async persist<T>(attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof GatewayError) || !error.temporary || this.ended) throw error;
        const least = error.retryAfterMs ?? RETRY_MS;
        await new Promise((wake) => setTimeout(wake, least + Math.random() * (least / 4)));
        if (this.ended) throw error;
      }
    }
  }
}

function noop(): void {}
