/** The user's own account: how others find it, where it is signed in, and its password. */
import { changePassword, config, endSignIn, signIns, signOutEverywhere } from "./accounts.js";
import { deviceOf } from "./devices.js";
import { confirmed } from "./dialogs.js";
import { byId, dayOf, make, timeOf } from "./dom.js";
import { GatewayError } from "./protocol.js";
/** Returns what opens the dialog. */
export function wireAccount(base, hooks) {
    const dialog = byId("account-dialog");
    const list = byId("sign-in-list");
    const said = byId("account-said");
    const error = byId("account-error");
    const form = byId("password-form");
    const token = () => hooks.session().token;
    /** Does something and shows why it did not work; true when it did. */
    const attempt = async (change) => {
        error.textContent = "";
        said.textContent = "";
        try {
            await change();
            return true;
        }
        catch (cause) {
            error.textContent = cause instanceof Error ? cause.message : String(cause);
            const wrong = cause instanceof GatewayError ? form.querySelector(`[name="${cause.field ?? ""}"]`) : null;
            wrong?.focus();
            return false;
        }
    };
    async function draw() {
        const all = await signIns(base, token());
        list.replaceChildren(...all.map(row));
        byId("everywhere").hidden = all.length < 2;
    }
    function row(signIn) {
        const device = deviceOf(signIn.user_agent);
        const item = make("li", "sign-in");
        item.dataset["session"] = signIn.id;
        const names = make("div", "names");
        const when = `since ${moment(signIn.created_at)}, last used ${moment(signIn.last_used_at)}`;
        names.append(make("b", "", device), make("span", "name", when));
        item.append(names);
        if (signIn.current) {
            item.append(make("span", "role", "this one"));
            return item;
        }
        const button = make("button", "quiet danger", "Sign out");
        button.setAttribute("aria-label", `Sign out ${device}, ${when}`);
        button.onclick = () => attempt(async () => {
            button.disabled = true;
            await endSignIn(base, token(), signIn.id).finally(() => (button.disabled = false));
            await draw();
            said.textContent = `${device} is signed out.`;
            // The button that had the focus is gone.
            list.focus();
        });
        item.append(button);
        return item;
    }
    byId("everywhere").onclick = async () => {
        const text = "All devices, this one too, need the password again. Nothing that was said is lost.";
        if (!(await confirmed({ head: "Sign out everywhere?", text, yes: "Sign out" })))
            return;
        if (await attempt(() => signOutEverywhere(base, token())))
            hooks.left("You are signed out everywhere.");
    };
    form.onsubmit = async (event) => {
        event.preventDefault();
        // Blanks count in a password.
        const values = new FormData(form);
        const [old, fresh] = [String(values.get("old_password")), String(values.get("new_password"))];
        const button = form.querySelector("button");
        button.disabled = true;
        const done = await attempt(() => changePassword(base, token(), old, fresh));
        button.disabled = false;
        if (!done)
            return;
        form.reset();
        said.textContent = "The password is changed. All other devices are signed out.";
        await draw().catch(() => undefined);
    };
    byId("copy-handle").onclick = () => attempt(async () => {
        await navigator.clipboard.writeText(byId("handle").textContent ?? "");
        said.textContent = "Copied.";
    });
    dialog.querySelector("[data-cancel]").onclick = () => dialog.close();
    dialog.onclose = () => form.reset();
    return () => {
        const { user } = hooks.session();
        byId("account-who").textContent = `${user.display_name} (${user.name})`;
        byId("handle").textContent = handleOf(user);
        byId("account-name").value = user.name;
        // Without an answer it is offered: the gateway refuses what it does not want.
        form.hidden = isOfIssuer(user);
        config(base).then(({ passwords }) => (form.hidden = isOfIssuer(user) || passwords === "Disabled"), () => undefined);
        list.replaceChildren();
        byId("everywhere").hidden = true;
        dialog.showModal();
        void attempt(draw);
    };
}
/** Who signs in elsewhere has a name with the issuer's host, which no name of this place looks like. */
function isOfIssuer(user) {
    return user.name.includes("@");
}
/** What others enter to reach the user: the sign-in name is unique here, a name of an issuer is not. */
function handleOf(user) {
    return isOfIssuer(user) ? user.id : user.name;
}
function moment(iso) {
    return `${dayOf(iso)} ${timeOf(iso)}`;
}
