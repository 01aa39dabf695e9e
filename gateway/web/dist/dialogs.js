/** The dialogs for a new conversation, a free reaction and a question. `<dialog>` brings focus, Escape and the inert rest. */
import { byId } from "./dom.js";
function wire(dialogId, formId, errorId, submit) {
    const dialog = byId(dialogId);
    const form = byId(formId);
    const error = byId(errorId);
    form.onsubmit = async (event) => {
        event.preventDefault();
        error.textContent = "";
        const values = Object.fromEntries([...new FormData(form)].map(([key, value]) => [key, String(value).trim()]));
        try {
            await submit(values);
            form.reset();
            dialog.close();
        }
        catch (cause) {
            error.textContent = cause instanceof Error ? cause.message : String(cause);
        }
    };
    form.querySelector("[data-cancel]").onclick = () => dialog.close();
    return () => {
        error.textContent = "";
        dialog.showModal();
    };
}
/** Names as people write them: separated by commas or blanks, with or without an at sign. */
export function namesIn(text) {
    const names = text.split(/[\s,;]+/).map((name) => name.replace(/^@/, "").toLowerCase());
    return [...new Set(names.filter(Boolean))];
}
/** Names out of a field; there must be one. */
export function someNames(text) {
    const names = namesIn(text);
    if (names.length === 0)
        throw new Error("Enter at least one person's sign-in name.");
    return names;
}
export function wireNewRoom(submit) {
    return wire("new-room", "new-room-form", "new-room-error", async (values) => {
        await submit(values["title"] ?? "", someNames(values["people"] ?? ""));
    });
}
/** As the gateway wants it. */
const EMOJI_BYTES = 64;
/** Returns what asks for a reaction and hands it to `use`. */
export function wireReact() {
    let current = () => { };
    const open = wire("react-dialog", "react-form", "react-error", async (values) => {
        const emoji = values["emoji"] ?? "";
        if (emoji === "" || /\s/.test(emoji) || new TextEncoder().encode(emoji).length > EMOJI_BYTES) {
            throw new Error("Enter one emoji, or a short name without spaces.");
        }
        current(emoji);
    });
    return (use) => {
        current = use;
        open();
    };
}
/** Asks before what cannot be taken back. */
export function confirmed(question) {
    const dialog = byId("confirm");
    byId("confirm-head").textContent = question.head;
    byId("confirm-text").textContent = question.text;
    byId("confirm-yes").textContent = question.yes;
    dialog.returnValue = "no";
    dialog.showModal();
    return new Promise((answer) => {
        dialog.onclose = () => answer(dialog.returnValue === "yes");
    });
}
