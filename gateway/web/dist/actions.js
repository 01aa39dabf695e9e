/** What the user does with texts. All of it waits for a connection where there is none; what is refused is said. */
import { notice } from "./announcer.js";
import { confirmed } from "./dialogs.js";
import { mentionsIn } from "./mentions.js";
import { openMenu } from "./menu.js";
import { uuid7 } from "./uuid.js";
export class Actions {
    client;
    state;
    hooks;
    constructor(client, state, hooks) {
        this.client = client;
        this.state = state;
        this.hooks = hooks;
    }
    get #entry() {
        return this.state.open === undefined ? undefined : this.state.rooms.get(this.state.open);
    }
    send(body, replyTo) {
        const entry = this.#entry;
        if (!entry)
            return;
        const draft = { messageId: uuid7(), body, ...(replyTo === undefined ? {} : { replyTo }) };
        entry.drafts.push(draft);
        this.#transmit(entry, draft);
    }
    /** Sends a text again that was refused; it keeps its id, so it cannot come twice. */
    retry(messageId) {
        const entry = this.#entry;
        const draft = entry?.drafts.find((known) => known.messageId === messageId);
        if (!entry || !draft)
            return;
        delete draft.failed;
        this.#transmit(entry, draft);
    }
    discard(messageId) {
        const entry = this.#entry;
        if (entry)
            entry.drafts = entry.drafts.filter((draft) => draft.messageId !== messageId);
        this.hooks.changed();
    }
    edit(target, body) {
        const entry = this.#entry;
        if (!entry)
            return;
        entry.edits.set(target, body);
        this.#try(this.client.edit(entry.room.id, target, body), "not edited", () => {
            // A later edit of the same text may be on its way already.
            if (entry.edits.get(target) === body)
                entry.edits.delete(target);
        });
    }
    toggle(text, emoji) {
        const now = this.#entry?.texts.get(text.seq) ?? text;
        const mine = now.reactions.some((reaction) => reaction.emoji === emoji && reaction.mine);
        const asked = mine ? this.client.unreact(text.room, text.seq, emoji) : this.client.react(text.room, text.seq, emoji);
        this.#try(asked, "the reaction was not taken");
    }
    async delete(text) {
        const whose = text.sender === this.state.me.id ? "Your message" : `The message of ${text.sender_name}`;
        const question = { head: "Delete the message?", text: `${whose} is deleted for everyone, for good.`, yes: "Delete" };
        if (await confirmed(question))
            this.#try(this.client.delete(text.room, text.seq), "not deleted");
    }
    /** Opens the menu of a text beside its button. */
    menu(text, anchor) {
        const entry = this.#entry;
        if (!entry)
            return;
        const toggle = (emoji) => this.toggle(text, emoji);
        const choices = [
            { name: "Reply", icon: "reply", run: () => this.hooks.reply(text) },
            { name: "Other reaction…", icon: "smile", run: () => this.hooks.askReaction(toggle) },
        ];
        if (text.sender === this.state.me.id)
            choices.push({ name: "Edit", icon: "edit", run: () => this.hooks.edit(text) });
        if (this.state.mayDelete(entry, text))
            choices.push({ name: "Delete", icon: "delete", danger: true, run: () => void this.delete(text) });
        const mine = text.reactions.filter((reaction) => reaction.mine).map((reaction) => reaction.emoji);
        const again = () => document.querySelector(`#messages [data-seq="${text.seq}"] [data-act="menu"]`);
        openMenu(anchor, again, { mine: new Set(mine), toggle }, choices);
    }
    #transmit(entry, draft) {
        const { messageId, body, replyTo } = draft;
        const mentions = mentionsIn(body, entry.members.values());
        this.client.send(entry.room.id, body, { messageId, mentions, ...(replyTo === undefined ? {} : { replyTo }) }).catch((cause) => {
            draft.failed = cause instanceof Error ? cause.message : "not sent";
            this.hooks.changed();
        });
        this.hooks.changed();
    }
    #try(asked, failure, then) {
        this.hooks.changed();
        asked
            .catch((cause) => notice(cause instanceof Error ? cause.message : failure))
            .finally(() => {
            then?.();
            this.hooks.changed();
        });
    }
}
