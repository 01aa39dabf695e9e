/** Small typed helpers for the page's markup; `index.html` holds the structure, this only fills it. */
export function byId(id) {
    const element = document.getElementById(id);
    if (!element)
        throw new Error(`index.html lacks #${id}`);
    return element;
}
/** Makes an element; text goes in as text, never as markup. */
export function make(tag, className = "", text) {
    const element = document.createElement(tag);
    if (className)
        element.className = className;
    if (text !== undefined)
        element.textContent = text;
    return element;
}
/** Text for screen readers only. */
export function unseen(text) {
    return make("span", "unseen", text);
}
/** One of the symbols in `index.html`, as decoration: a label beside it says what it means. */
export function icon(name) {
    const space = "http://www.w3.org/2000/svg";
    const picture = document.createElementNS(space, "svg");
    const use = document.createElementNS(space, "use");
    use.setAttribute("href", `#icon-${name}`);
    picture.setAttribute("aria-hidden", "true");
    picture.append(use);
    return picture;
}
/** A button that a listener further up recognises by `data-act`. */
export function action(act, label, className = "") {
    const button = make("button", className);
    button.type = "button";
    button.dataset["act"] = act;
    button.dataset["focus"] = act;
    button.setAttribute("aria-label", label);
    return button;
}
export function timeOf(iso) {
    return new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
export function dayOf(iso) {
    const day = new Date(iso);
    const today = new Date();
    if (day.toDateString() === today.toDateString())
        return "Today";
    const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
    if (day.toDateString() === yesterday.toDateString())
        return "Yesterday";
    return day.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year: "numeric" });
}
/** One of eight hues, the same for a name everywhere. */
export function hueOf(name) {
    let sum = 0;
    for (const char of name)
        sum = (sum * 31 + char.codePointAt(0)) >>> 0;
    return `hue-${sum % 8}`;
}
export function avatar(name) {
    const element = make("span", `avatar ${hueOf(name)}`, ([...name.trim()][0] ?? "?").toUpperCase());
    element.setAttribute("aria-hidden", "true");
    return element;
}
