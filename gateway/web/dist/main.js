/** The page: one session, one client, one state; events go in, views are drawn anew at most once a frame. */
import { wireAccount } from "./account-dialog.js";
import { signOut } from "./accounts.js";
import { Actions } from "./actions.js";
import { announce, notice } from "./announcer.js";
import { ChatClient } from "./client.js";
import { wireComposer } from "./composer.js";
import { drawConversation, wireRoving } from "./conversation.js";
import { wireNewRoom, wireReact } from "./dialogs.js";
import { byId } from "./dom.js";
import { Follow } from "./follow.js";
import { wireMembers } from "./members-dialog.js";
import { mentionsIn } from "./mentions.js";
import * as oidc from "./oidc.js";
import { GatewayError } from "./protocol.js";
import { drawRooms } from "./room-list.js";
import { showSignIn } from "./sign-in.js";
import { mutedNow, State } from "./state.js";
const BASE = location.origin;
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
        welcome: (hello) => follow.welcome(hello),
        event: (happened) => follow.event(happened),
        renewed: (fresh) => sessionStorage.setItem(KEY, JSON.stringify(fresh)),
    });
    let drawing = false;
    let left = false;
    const draw = () => {
        if (drawing || left)
            return;
        drawing = true;
        requestAnimationFrame(() => {
            drawing = false;
            if (left)
                return;
            drawRooms(state, open);
            drawConversation(state);
            members.draw();
            const unread = state.unread();
            document.title = unread > 0 ? `(${unread}) ChatCluster` : "ChatCluster";
            const entry = current();
            if (!entry)
                return;
            follow.quotes(entry);
            if (watched())
                follow.read(entry);
        });
    };
    const current = () => (state.open === undefined ? undefined : state.rooms.get(state.open));
    const watched = () => document.visibilityState === "visible" && document.hasFocus();
    const follow = new Follow(client, state, {
        changed: draw,
        arrived(message) {
            if (message.room === state.open && watched())
                announce(message);
        },
    });
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
    function open(room) {
        state.open = room;
        composer.show(room);
        void follow.open(room);
        draw();
        requestAnimationFrame(() => byId("text").focus());
    }
    const actions = new Actions(client, state, {
        changed: draw,
        reply: (text) => composer.reply(text),
        edit: (text) => composer.edit(text),
        askReaction: wireReact(),
    });
    const composer = wireComposer({
        send: (text, replyTo) => actions.send(text, replyTo),
        edit: (target, text) => actions.edit(target, text),
        typing: (kind, room) => client.hint(kind, { room }),
        lastOwn: () => current()?.texts.list.filter((text) => text.sender === state.me.id && !text.deleted).at(-1),
        members: () => (current() ? state.others(current()) : []),
        addressed(text) {
            const entry = current();
            return entry ? mentionsIn(text, entry.members.values()).map((user) => entry.members.get(user).display_name) : [];
        },
    });
    const messages = byId("messages");
    wireRoving();
    messages.onclick = (event) => {
        const button = event.target.closest("[data-act]");
        const entry = current();
        if (!button || !entry)
            return;
        const row = button.closest(".message");
        const text = entry.texts.get(Number(row?.dataset["seq"]));
        const draft = row?.dataset["draft"];
        const act = button.dataset["act"];
        if (act === "older")
            void follow.older(entry);
        else if (act === "jump")
            void jump(entry, Number(button.dataset["target"]));
        else if (act === "menu" && text)
            actions.menu(text, button);
        else if (act === "toggle" && text)
            actions.toggle(text, button.dataset["emoji"]);
        else if (act === "retry" && draft)
            actions.retry(draft);
        else if (act === "discard" && draft)
            actions.discard(draft);
    };
    async function jump(entry, seq) {
        if (!(await follow.reach(entry, seq))) {
            notice("That message is not available.");
            return;
        }
        // After the frame that draws it.
        requestAnimationFrame(() => requestAnimationFrame(() => {
            const row = messages.querySelector(`[data-seq="${seq}"]`);
            row?.scrollIntoView({ block: "center" });
            row?.querySelector('[data-act="menu"]')?.focus({ preventScroll: true });
            row?.animate({ opacity: [0.3, 1] }, 600);
        }));
    }
    const newRoom = wireNewRoom(async (title, names) => {
        const [only] = names;
        const direct = only !== undefined && names.length === 1 && title === "";
        const room = await client.createRoom(direct ? { kind: "direct", members: [only] } : { kind: "group", title: title || names.join(", "), members: names });
        state.upsert(room);
        await follow.learnMembers(room.id);
        open(room.id);
    });
    const members = wireMembers(state, {
        setRole: (room, member, role) => client.setRole(room, member, role).then(() => follow.learnMembers(room)),
        remove: (room, member) => client.removeMember(room, member),
        async add(room, names) {
            for (const name of names)
                await client.addMember(room, name);
        },
    });
    byId("account").onclick = wireAccount(BASE, { session: () => client.current, left: leave });
    byId("new").onclick = newRoom;
    byId("members").onclick = members.open;
    byId("mute").onclick = () => {
        const entry = current();
        if (!entry)
            return;
        const asked = mutedNow(entry) ? client.unmute(entry.room.id) : client.mute(entry.room.id);
        asked.catch((cause) => notice(cause instanceof Error ? cause.message : String(cause)));
    };
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
        left = true;
        client.stop();
        follow.stop();
        for (const dialog of document.querySelectorAll("dialog[open]"))
            dialog.close();
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
