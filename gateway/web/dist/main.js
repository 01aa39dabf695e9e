/** The page: one session, one client, one state; events go in, views are drawn anew at most once a frame. */
import { signOut } from "./accounts.js";
import { ChatClient } from "./client.js";
import { wireComposer } from "./composer.js";
import { drawConversation } from "./conversation.js";
import { wireInvite, wireNewRoom } from "./dialogs.js";
import { byId } from "./dom.js";
import { GatewayError } from "./protocol.js";
import * as oidc from "./oidc.js";
import { drawRooms } from "./room-list.js";
import { showSignIn } from "./sign-in.js";
import { State, TYPING_LAPSE_MS } from "./state.js";
import { uuid7 } from "./uuid.js";
const BASE = location.origin;
const PAGE = 50;
/** In the tab's own storage: two tabs can be two people, and closing the tab signs out. */
const KEY = "chatcluster.session";
function run(session) {
    hold(session);
    sessionStorage.setItem(KEY, JSON.stringify(session));
    const state = new State(session.user);
    byId("chat").hidden = false;
    byId("me").textContent = session.user.display_name;
    const client = new ChatClient(BASE, session, {
        status: showStatus,
        welcome,
        event,
        renewed: (fresh) => sessionStorage.setItem(KEY, JSON.stringify(fresh)),
    });
    let drawing = false;
    const draw = () => {
        if (drawing)
            return;
        drawing = true;
        requestAnimationFrame(() => {
            drawing = false;
            drawRooms(state, open);
            drawConversation(state);
            const older = document.getElementById("older");
            if (older)
                older.onclick = () => void showOlder();
            markRead();
        });
    };
    function showStatus(status, detail = "") {
        const words = { connecting: "Connecting…", online: "Connected", offline: "Connection lost, trying again…", "signed-out": detail };
        const line = byId("status");
        line.textContent = words[status];
        line.dataset["status"] = status;
        line.title = status === "online" ? `served by ${detail}` : "";
        if (status === "online")
            byId("gateway").textContent = detail;
        if (status === "signed-out")
            leave(detail);
    }
    function welcome(hello) {
        const present = new Set(hello.rooms.map((room) => room.id));
        for (const id of [...state.rooms.keys()])
            if (!present.has(id))
                state.rooms.delete(id);
        for (const room of hello.rooms) {
            const first = !state.rooms.has(room.id);
            state.upsert(room);
            void learnMembers(room.id);
            if (first)
                void load(room.id);
        }
        if (state.open && !state.rooms.has(state.open))
            state.open = undefined;
        draw();
    }
    function event(happened) {
        switch (happened.type) {
            case "message":
                message(happened.message);
                break;
            case "receipt": {
                const entry = state.rooms.get(happened.room);
                const member = entry?.members.get(happened.user);
                if (member)
                    Object.assign(member, { delivered_seq: happened.delivered_seq, read_seq: happened.read_seq });
                if (entry && happened.user === state.me.id)
                    entry.room.read_seq = Math.max(entry.room.read_seq, happened.read_seq);
                break;
            }
            case "typing": {
                const typing = state.rooms.get(happened.room)?.typing;
                if (happened.state === "start") {
                    typing?.set(happened.user, { name: happened.name, until: Date.now() + TYPING_LAPSE_MS });
                    setTimeout(draw, TYPING_LAPSE_MS + 50);
                }
                else
                    typing?.delete(happened.user);
                break;
            }
            case "presence":
                state.online.set(happened.user, happened.state === "online");
                break;
            case "room_added":
                state.upsert(happened.room);
                void learnMembers(happened.room.id);
                void load(happened.room.id);
                break;
            case "room_removed":
                state.rooms.delete(happened.room);
                if (state.open === happened.room)
                    state.open = undefined;
                break;
            case "member_added":
            case "member_removed":
                void learnMembers(happened.room);
                break;
        }
        draw();
    }
    const delivered = new Map();
    function message(arrived) {
        const fresh = state.add(arrived);
        if (!fresh || arrived.sender === state.me.id || delivered.has(arrived.room))
            return;
        // Cumulative, so one receipt a fifth of a second says as much as one a message.
        delivered.set(arrived.room, setTimeout(() => {
            delivered.delete(arrived.room);
            const seq = state.rooms.get(arrived.room)?.room.last_seq;
            if (seq !== undefined)
                client.hint("delivered", { room: arrived.room, seq });
        }, 200));
    }
    async function learnMembers(room) {
        const { members } = await client.request("members", { room }).catch(() => ({ members: [] }));
        const entry = state.rooms.get(room);
        if (!entry || members.length === 0)
            return;
        entry.members = new Map(members.map((member) => [member.user, member]));
        const ask = members.map((member) => member.user).filter((id) => id !== state.me.id).slice(0, 200);
        if (ask.length > 0) {
            const { users } = await client
                .request("presence", { users: ask })
                .catch(() => ({ users: [] }));
            for (const { user, state: presence } of users)
                state.online.set(user, presence === "online");
        }
        draw();
    }
    async function load(room, before) {
        const fields = before === undefined ? { room, limit: PAGE } : { room, limit: PAGE, before };
        const page = await client.request("history", fields).catch(() => undefined);
        const entry = state.rooms.get(room);
        if (!page || !entry)
            return;
        entry.more = page.more;
        entry.loaded = true;
        for (const found of page.messages)
            state.add(found);
        const last = entry.room.last_seq;
        if (last > entry.room.delivered_seq)
            client.hint("delivered", { room, seq: last });
        draw();
    }
    async function showOlder() {
        const entry = state.open ? state.rooms.get(state.open) : undefined;
        const first = entry?.messages[0];
        if (entry && first)
            await load(entry.room.id, first.seq);
    }
    function markRead() {
        const entry = state.open ? state.rooms.get(state.open) : undefined;
        if (!entry?.loaded || document.visibilityState !== "visible" || !document.hasFocus())
            return;
        if (entry.room.last_seq > entry.room.read_seq) {
            entry.room.read_seq = entry.room.last_seq;
            client.hint("read", { room: entry.room.id, seq: entry.room.last_seq });
        }
    }
    function open(room) {
        state.open = room;
        draw();
        requestAnimationFrame(() => byId("text").focus());
    }
    wireComposer({
        send(text) {
            const entry = state.open ? state.rooms.get(state.open) : undefined;
            if (!entry)
                return;
            const draft = { messageId: uuid7(), body: text };
            entry.drafts.push(draft);
            draw();
            client.send(entry.room.id, text, draft.messageId).catch((cause) => {
                draft.failed = cause instanceof GatewayError ? cause.message : "not sent";
                draw();
            });
        },
        typing(kind) {
            if (state.open)
                client.hint(kind, { room: state.open });
        },
    });
    const newRoom = wireNewRoom(async (title, names) => {
        const direct = names.length === 1 && title === "";
        const fields = direct ? { kind: "direct", members: names } : { kind: "group", title: title || names.join(", "), members: names, room_key: uuid7() };
        const { room } = await client.request("create_room", fields);
        state.upsert(room);
        await learnMembers(room.id);
        void load(room.id);
        open(room.id);
    });
    const invite = wireInvite(async (names) => {
        for (const member of names)
            await client.request("add_member", { room: state.open, member });
    });
    byId("new").onclick = newRoom;
    byId("invite").onclick = invite;
    byId("back").onclick = () => {
        state.open = undefined;
        draw();
    };
    byId("sign-out").onclick = () => {
        // Without an answer the session lasts until it has been unused for long; this tab forgets its tokens in any case.
        signOut(BASE, client.current.refresh_token).catch(() => undefined);
        leave("");
    };
    document.onkeydown = (event) => {
        if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key))
            return;
        const ids = [...document.querySelectorAll("#rooms [data-room]")].map((button) => button.dataset["room"]);
        const at = ids.indexOf(state.open ?? "");
        const next = ids[(at + (event.key === "ArrowDown" ? 1 : ids.length - 1)) % ids.length];
        if (next)
            open(next);
        event.preventDefault();
    };
    document.onvisibilitychange = draw;
    window.onfocus = draw;
    function leave(notice) {
        client.stop();
        sessionStorage.removeItem(KEY);
        showSignIn(BASE, notice, run);
    }
    client.start();
    draw();
}
/** What this tab kept; nothing when it is of an older page. */
function kept() {
    const session = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    return session?.refresh_token && session.expires_at ? session : undefined;
}
/** How long a reloaded page waits for its former self to be gone. */
const HANDOVER_MS = 3_000;
/**
 * A tab that was duplicated has a copy of the session, and two tabs that use one refresh token look like a theft. So each session is
 * held by one tab, where the browser can tell.
 */
async function isFree(session) {
    if (!navigator.locks)
        return true;
    const signal = AbortSignal.timeout(HANDOVER_MS);
    return navigator.locks.request(lockOf(session), { signal }, () => true).catch(() => false);
}
function hold(session) {
    void navigator.locks?.request(lockOf(session), () => new Promise(() => undefined));
}
function lockOf(session) {
    return `chatcluster.${session.session}`;
}
async function begin() {
    try {
        const arrived = await oidc.finish(BASE);
        if (arrived)
            return run(arrived);
    }
    catch (cause) {
        return showSignIn(BASE, cause instanceof GatewayError ? cause.message : String(cause), run);
    }
    const session = kept();
    if (session && (await isFree(session)))
        return run(session);
    sessionStorage.removeItem(KEY);
    showSignIn(BASE, "", run);
}
void begin();
