/** The line where a message is written. Enter sends, Shift+Enter breaks the line. */
import { byId } from "./dom.js";
/** Typing is announced again before the six seconds after which it lapses. */
const RENEW_MS = 4_000;
const PAUSE_MS = 3_000;
export function wireComposer(hooks) {
    const form = byId("composer");
    const input = byId("text");
    let announced = 0;
    let pause;
    const stop = () => {
        clearTimeout(pause);
        if (announced > 0)
            hooks.typing("typing_stop");
        announced = 0;
    };
    const grow = () => {
        input.rows = Math.min(6, input.value.split("\n").length);
    };
    input.oninput = () => {
        grow();
        if (input.value.trim() === "") {
            stop();
            return;
        }
        if (Date.now() - announced > RENEW_MS) {
            announced = Date.now();
            hooks.typing("typing_start");
        }
        clearTimeout(pause);
        pause = setTimeout(stop, PAUSE_MS);
    };
    input.onkeydown = (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            form.requestSubmit();
        }
    };
    form.onsubmit = (event) => {
        event.preventDefault();
        const text = input.value.trim();
        if (text === "")
            return;
        input.value = "";
        grow();
        stop();
        hooks.send(text);
        input.focus();
    };
}
