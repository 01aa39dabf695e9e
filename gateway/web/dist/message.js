/** One text of the conversation, and one that is on its way. */
import { action, avatar, hueOf, icon, make, timeOf, unseen } from "./dom.js";
const TICKS = {
    waiting: ["○", "waiting"],
    sent: ["✓", "sent"],
    delivered: ["✓✓", "delivered"],
    read: ["✓✓", "read"],
};
export function textNode(shown) {
    const { text, mine, first, group } = shown;
    const row = make("div", `message ${mine ? "mine" : "theirs"}`);
    row.dataset["seq"] = String(text.seq);
    row.setAttribute("role", "article");
    row.setAttribute("aria-label", `${mine ? "You" : text.sender_name}, ${timeOf(text.at)}`);
    if (first)
        row.classList.add("first");
    if (!mine && group)
        row.append(first ? avatar(text.sender_name) : make("span", "avatar-space"));
    const column = make("div", "column");
    const bubble = make("div", "bubble");
    if (!mine && group && first)
        bubble.append(make("div", `sender ${hueOf(text.sender_name)}`, text.sender_name));
    if (text.deleted) {
        bubble.classList.add("gone");
        bubble.append(make("em", "tombstone", "This message was deleted"));
    }
    else {
        if (shown.quote)
            bubble.append(quoteButton(shown.quote));
        bubble.append(bodyNode(shown));
    }
    bubble.append(foot(shown));
    column.append(bubble);
    if (text.reactions.length > 0)
        column.append(reactionsNode(text.reactions));
    row.append(column);
    if (!text.deleted)
        row.append(menuButton(text, mine));
    return row;
}
function menuButton(text, mine) {
    const start = text.body.replace(/\s+/g, " ").slice(0, 40);
    const button = action("menu", `Actions for ${mine ? "your message" : `the message of ${text.sender_name}`}: ${start}`, "quiet icon more");
    button.setAttribute("aria-haspopup", "menu");
    button.append(icon("more"));
    return button;
}
function bodyNode({ pieces, me }) {
    const node = make("span", "text");
    for (const piece of pieces) {
        if (piece.user === undefined)
            node.append(piece.text);
        else
            node.append(make("span", piece.user === me ? "mention me" : "mention", piece.text));
    }
    return node;
}
function quoteButton({ seq, name, body }) {
    const button = action("jump", `In reply to ${name || "somebody"}: ${body}`, "quote");
    button.dataset["target"] = String(seq);
    if (name)
        button.append(make("b", hueOf(name), name));
    button.append(make("span", "", body));
    return button;
}
function foot({ text, tick }) {
    const place = make("span", "foot");
    if (text.edited_at && !text.deleted) {
        const mark = make("span", "edited", "edited");
        mark.title = `edited ${new Date(text.edited_at).toLocaleString()}`;
        mark.append(unseen(` ${new Date(text.edited_at).toLocaleString()}`));
        place.append(mark);
    }
    const time = make("time", "", timeOf(text.at));
    time.dateTime = text.at;
    time.title = new Date(text.at).toLocaleString();
    place.append(time);
    if (tick && !text.deleted)
        place.append(tickNode(tick));
    return place;
}
function reactionsNode(reactions) {
    const place = make("div", "reactions");
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", "Reactions");
    for (const { emoji, count, mine } of reactions) {
        const people = count === 1 ? "1 person" : `${count} people`;
        const button = action("toggle", `${emoji}, ${people}${mine ? ", you too" : ""}`, "reaction");
        button.dataset["focus"] = `toggle ${emoji}`;
        button.dataset["emoji"] = emoji;
        button.setAttribute("aria-pressed", String(mine));
        button.append(make("span", "emoji", emoji), make("span", "count", String(count)));
        place.append(button);
    }
    return place;
}
export function draftNode(draft) {
    const row = make("div", "message mine first");
    row.setAttribute("role", "article");
    row.setAttribute("aria-label", draft.failed ? "You, not sent" : "You, waiting");
    row.dataset["draft"] = draft.messageId;
    const column = make("div", "column");
    const bubble = make("div", "bubble");
    bubble.append(make("span", "text", draft.body));
    const place = make("span", "foot");
    if (draft.failed)
        place.append(make("span", "failed", draft.failed));
    else
        place.append(tickNode("waiting"));
    bubble.append(place);
    column.append(bubble);
    if (draft.failed) {
        const choices = make("div", "choices");
        for (const [act, label] of [["retry", "Try again"], ["discard", "Discard"]]) {
            const button = action(act, label);
            button.textContent = label;
            choices.append(button);
        }
        column.append(choices);
    }
    row.append(column);
    return row;
}
function tickNode(state) {
    const [mark, word] = TICKS[state];
    const element = make("span", `tick ${state}`, mark);
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", word);
    element.title = word;
    return element;
}
