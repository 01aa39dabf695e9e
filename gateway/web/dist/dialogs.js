/** The two dialogs: a new conversation, and an invitation. `<dialog>` brings focus, Escape and the inert rest. */
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
/** Names as people write them: separated by commas or blanks. */
export function namesIn(text) {
    return [...new Set(text.split(/[\s,;]+/).filter(Boolean).map((name) => name.toLowerCase()))];
}
export function wireNewRoom(submit) {
    return wire("new-room", "new-room-form", "new-room-error", async (values) => {
        const names = namesIn(values["people"] ?? "");
        if (names.length === 0)
            throw new Error("Enter at least one person's sign-in name.");
        await submit(values["title"] ?? "", names);
    });
}
export function wireInvite(submit) {
    return wire("invite-dialog", "invite-form", "invite-error", async (values) => {
        const names = namesIn(values["people"] ?? "");
        if (names.length === 0)
            throw new Error("Enter at least one person's sign-in name.");
        await submit(names);
    });
}
