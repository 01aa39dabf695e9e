/** Who is in a group and may do what: the owner names admins, hands over and removes; admins remove members; everyone adds people and leaves. */
import { confirmed, someNames } from "./dialogs.js";
import { avatar, byId, make, unseen } from "./dom.js";
import { sync } from "./keyed.js";
const ROLES = ["member", "admin", "owner"];
export function wireMembers(state, hooks) {
    const dialog = byId("members-dialog");
    const error = byId("members-error");
    const form = byId("invite-form");
    const entry = () => (state.open === undefined ? undefined : state.rooms.get(state.open));
    /** Runs a change and shows why it did not work. */
    const attempt = async (change) => {
        error.textContent = "";
        try {
            await change();
        }
        catch (cause) {
            error.textContent = cause instanceof Error ? cause.message : String(cause);
        }
        draw();
    };
    function draw() {
        const current = entry();
        if (!dialog.open)
            return;
        if (!current) {
            dialog.close();
            return;
        }
        const role = state.roleIn(current);
        sync(byId("member-list"), [...current.members.values()].map((member) => {
            const me = member.user === state.me.id;
            const online = me || Boolean(state.online.get(member.user));
            const mayRemove = !me && (role === "owner" || (role === "admin" && member.role === "member"));
            const { user, name, display_name, role: theirs } = member;
            const signature = JSON.stringify([name, display_name, theirs, online, mayRemove, role]);
            return { key: user, signature, make: () => row(current, member, { me, online, mayRemove, mayName: role === "owner" && !me }) };
        }));
    }
    function row(room, member, may) {
        const item = make("li", "member");
        const picture = avatar(member.display_name);
        if (may.online)
            picture.classList.add("online");
        const names = make("span", "names");
        const line = make("span", "display-name", member.display_name);
        if (may.me)
            line.append(" (you)");
        names.append(line, make("span", "name", `@${member.name}`));
        if (may.online)
            names.append(unseen("online"));
        item.append(picture, names);
        if (may.mayName)
            item.append(roleChoice(room, member));
        else
            item.append(make("span", `role ${member.role}`, member.role));
        if (may.mayRemove)
            item.append(removeButton(room, member));
        return item;
    }
    function roleChoice(room, member) {
        const choice = make("select");
        choice.setAttribute("aria-label", `Role of ${member.display_name}`);
        choice.dataset["focus"] = "role";
        for (const role of ROLES)
            choice.append(new Option(role, role, role === member.role, role === member.role));
        choice.onchange = async () => {
            const role = choice.value;
            const text = `${member.display_name} becomes the owner of this group, and you become an admin. Only the new owner can undo that.`;
            if (role === "owner" && !(await confirmed({ head: "Hand over the group?", text, yes: "Hand over" }))) {
                choice.value = member.role;
                return;
            }
            await attempt(() => hooks.setRole(room.room.id, member.user, role));
            choice.value = member.role;
        };
        return choice;
    }
    function removeButton(room, member) {
        const button = make("button", "quiet danger", "Remove");
        button.dataset["focus"] = "remove";
        button.setAttribute("aria-label", `Remove ${member.display_name}`);
        button.onclick = async () => {
            const text = `${member.display_name} no longer sees what is said here.`;
            if (await confirmed({ head: "Remove from the group?", text, yes: "Remove" })) {
                await attempt(() => hooks.remove(room.room.id, member.user));
            }
        };
        return button;
    }
    form.onsubmit = async (event) => {
        event.preventDefault();
        const current = entry();
        if (!current)
            return;
        await attempt(async () => {
            await hooks.add(current.room.id, someNames(String(new FormData(form).get("people") ?? "")));
            form.reset();
        });
    };
    byId("leave-room").onclick = async () => {
        const current = entry();
        const text = "You no longer see what is said here, until somebody adds you again.";
        if (current && (await confirmed({ head: "Leave this group?", text, yes: "Leave" }))) {
            await attempt(() => hooks.remove(current.room.id, state.me.id));
        }
    };
    dialog.querySelector("[data-cancel]").onclick = () => dialog.close();
    return {
        draw,
        open() {
            error.textContent = "";
            dialog.showModal();
            draw();
        },
    };
}
