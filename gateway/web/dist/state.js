/** What a client knows of rooms and people. No DOM here: the views draw it. */
import { Texts } from "./texts.js";
import { Unread } from "./unread.js";
/** A typing notice without renewal lapses after this time. */
export const TYPING_LAPSE_MS = 6_000;
/** As much of a body as the gateway puts into a summary. */
const NEWEST_CHARACTERS = 200;
export class State {
    me;
    rooms = new Map();
    online = new Map();
    open;
    constructor(me) {
        this.me = me;
    }
    upsert(room) {
        const known = this.rooms.get(room.id);
        if (known) {
            known.room = { ...room, last_seq: Math.max(room.last_seq, known.room.last_seq), read_seq: Math.max(room.read_seq, known.room.read_seq) };
            return known;
        }
        const state = {
            room,
            memberCount: 0,
            texts: new Texts(this.me.id),
            unread: new Unread(this.me.id),
            mutedUntil: 0,
            drafts: [],
            edits: new Map(),
            members: new Map(),
            typing: new Map(),
            more: true,
            loaded: false,
            seen: 0,
        };
        // Nothing is known to be unread before the summary comes, and what is read already never was.
        state.unread.summary({ ...room, unread: 0, mentioned: 0 });
        this.rooms.set(room.id, state);
        return state;
    }
    /** Takes in a room of the list of rooms. */
    summarize(summary) {
        const { role, members, unread, mentioned, muted_until, newest, ...room } = summary;
        const state = this.upsert(room);
        state.role = role;
        state.memberCount = members;
        state.mutedUntil = muted_until === undefined ? 0 : Date.parse(muted_until);
        state.unread.summary({ last_seq: room.last_seq, read_seq: room.read_seq, unread, mentioned });
        state.unread.read(state.room.read_seq);
        // An older answer does not undo what events brought since.
        if (newest && room.last_seq >= state.room.last_seq)
            state.newest = newest;
        else if (newest && newest.seq > (state.newest?.seq ?? 0))
            state.newest = newest;
        return state;
    }
    /** Takes in what a `message` event brings; true if a text is new here. */
    add(entry) {
        const state = this.rooms.get(entry.room);
        if (!state)
            return false;
        state.room.last_seq = Math.max(state.room.last_seq, entry.seq);
        state.seen = Math.max(state.seen, entry.seq);
        state.unread.entry(entry);
        this.#renew(state, entry);
        const text = entry.kind === undefined;
        if (text) {
            state.drafts = state.drafts.filter((draft) => draft.messageId !== entry.message_id);
            state.typing.delete(entry.sender);
        }
        return state.texts.add(entry) && text;
    }
    /** Takes in a page of the view `texts`: the newest one, or one that adjoins the texts that are here. */
    addPage(state, page) {
        state.texts.addPage(page);
        state.seen = Math.max(state.seen, page.last_seq);
        const held = new Set(page.messages.map((message) => message.message_id));
        state.drafts = state.drafts.filter((draft) => !held.has(draft.messageId));
    }
    /** The user has read a room up to `seq`. */
    read(state, seq) {
        state.room.read_seq = Math.max(state.room.read_seq, seq);
        state.unread.read(seq);
    }
    title(state) {
        if (state.room.title)
            return state.room.title;
        const others = this.others(state);
        return others.length > 0 ? others.map((member) => member.display_name).join(", ") : "Conversation";
    }
    others(state) {
        return [...state.members.values()].filter((member) => member.user !== this.me.id);
    }
    /** Rooms by their newest activity. */
    sorted() {
        const stamp = ({ newest, room }) => newest?.at ?? room.created_at;
        return [...this.rooms.values()].sort((a, b) => stamp(b).localeCompare(stamp(a)) || b.room.id.localeCompare(a.room.id));
    }
    /** Unread texts of all rooms that are not muted, and those that mention the user of the muted ones. */
    unread() {
        return [...this.rooms.values()].reduce((sum, entry) => sum + (mutedNow(entry) ? entry.unread.mentioned : entry.unread.count), 0);
    }
    /** A tick says what all other members have done. */
    tick(state, seq) {
        const others = this.others(state);
        if (others.length === 0)
            return "sent";
        if (others.every((member) => member.read_seq >= seq))
            return "read";
        return others.every((member) => member.delivered_seq >= seq) ? "delivered" : "sent";
    }
    typists(state, now = Date.now()) {
        return [...state.typing.values()].filter((entry) => entry.until > now).map((entry) => entry.name);
    }
    /** Whether the user may delete a text: one's own, and in a group anybody's as owner or admin. */
    mayDelete(state, text) {
        return text.sender === this.me.id || (state.room.kind === "group" && this.roleIn(state) !== "member");
    }
    roleIn(state) {
        return state.members.get(this.me.id)?.role ?? state.role ?? "member";
    }
    /** Keeps the newest text of the list of rooms up. */
    #renew(state, entry) {
        const { newest } = state;
        if (entry.kind === undefined) {
            if (entry.seq <= (newest?.seq ?? 0))
                return;
            const { seq, sender, sender_name, at, deleted = false } = entry;
            state.newest = { seq, sender, sender_name, at, deleted, body: cut(entry.body) };
        }
        else if (newest && entry.target === newest.seq && !entry.deleted) {
            if (entry.kind === "edit")
                newest.body = cut(entry.body);
            if (entry.kind === "delete")
                Object.assign(newest, { body: "", deleted: true });
        }
    }
}
export function mutedNow(state) {
    return state.mutedUntil > Date.now();
}
function cut(body) {
    return [...body].slice(0, NEWEST_CHARACTERS).join("");
}
