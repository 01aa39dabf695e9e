/** The list of conversations on the left. */
import { avatar, byId, dayOf, icon, make, timeOf, unseen } from "./dom.js";
import { sync } from "./keyed.js";
import { mutedNow } from "./state.js";
export function drawRooms(state, choose) {
    const rooms = state.sorted();
    sync(byId("rooms"), rooms.map((entry) => {
        const shown = show(state, entry);
        const { id } = entry.room;
        return { key: id, signature: JSON.stringify(shown), make: () => item(id, shown, choose) };
    }));
    byId("no-rooms").hidden = rooms.length > 0;
}
function show(state, entry) {
    const { newest, room } = entry;
    const current = room.id === state.open;
    const typing = state.typists(entry).length > 0;
    return {
        title: state.title(entry),
        line: typing ? "typing…" : preview(state, entry),
        gone: !typing && Boolean(newest?.deleted),
        time: newest ? (dayOf(newest.at) === "Today" ? timeOf(newest.at) : new Date(newest.at).toLocaleDateString([], { day: "numeric", month: "short" })) : "",
        current,
        online: room.kind === "direct" && state.others(entry).some((member) => state.online.get(member.user)),
        unread: entry.unread.count,
        mentioned: entry.unread.mentioned > 0,
        muted: mutedNow(entry),
    };
}
function preview(state, { newest, room }) {
    if (!newest)
        return "";
    const line = newest.deleted ? "Message deleted" : newest.body.replace(/\s+/g, " ").slice(0, 80);
    if (newest.sender === state.me.id)
        return `You: ${line}`;
    return room.kind === "group" ? `${newest.sender_name}: ${line}` : line;
}
function item(room, shown, choose) {
    const button = make("button", shown.unread > 0 ? "room unread" : "room");
    button.dataset["room"] = room;
    button.dataset["focus"] = "room";
    button.setAttribute("aria-current", String(shown.current));
    const picture = avatar(shown.title);
    if (shown.online)
        picture.classList.add("online");
    const text = make("span", "room-text");
    const title = make("span", "room-title", shown.title);
    text.append(title, make("span", shown.gone ? "room-last gone" : "room-last", shown.line));
    const side = make("span", "room-side");
    side.append(make("span", "room-time", shown.time), marks(shown));
    button.append(picture, text, side);
    button.onclick = () => choose(room);
    const place = make("li");
    place.append(button);
    return place;
}
function marks({ muted, mentioned, unread }) {
    const place = make("span", "marks");
    if (muted) {
        const mark = make("span", "muted");
        mark.append(icon("bell-off"), unseen("muted"));
        place.append(mark);
    }
    if (mentioned)
        place.append(hidden("mentioned", "@"), unseen("mentions you"));
    if (unread > 0)
        place.append(hidden("badge", unread > 99 ? "99+" : String(unread)), unseen(`${unread} unread`));
    return place;
}
/** A mark that words for screen readers stand beside. */
function hidden(className, text) {
    const mark = make("span", className, text);
    mark.setAttribute("aria-hidden", "true");
    return mark;
}
