/** The line where a message is written. Enter sends, Shift+Enter breaks the line. */

import { byId } from "./dom.js";

/** Typing is announced again before the six seconds after which it lapses. */
const RENEW_MS = 4_000;
const PAUSE_MS = 3_000;

export interface ComposerHooks {
  send(text: string): void;
  typing(state: "typing_start" | "typing_stop"): void;
}

export function wireComposer(hooks: ComposerHooks): void {
  const form = byId<HTMLFormElement>("composer");
  const input = byId<HTMLTextAreaElement>("text");
  let announced = 0;
  let pause: ReturnType<typeof setTimeout> | undefined;

  const stop = (): void => {
    clearTimeout(pause);
    if (announced > 0) hooks.typing("typing_stop");
    announced = 0;
  };
  const grow = (): void => {
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
    if (text === "") return;
    input.value = "";
    grow();
    stop();
    hooks.send(text);
    input.focus();
  };
}
