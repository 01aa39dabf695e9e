/**
 * The line where a text is written. Enter sends, Shift+Enter breaks the line; the arrow up in the empty line edits one's last text,
 * Escape leaves the edit or the reply. Each conversation keeps what was begun in it.
 */

import { wireCompletion, type Named } from "./completion.js";
import { byId } from "./dom.js";
import type { Text } from "./texts.js";

/** Typing is announced again before the six seconds after which it lapses. */
const RENEW_MS = 4_000;
const PAUSE_MS = 3_000;
const ROWS_MAX = 6;

export interface ComposerHooks {
  send(text: string, replyTo?: number): void;
  edit(target: number, text: string): void;
  typing(state: "typing_start" | "typing_stop", room: string): void;
  /** The user's newest text that can be edited. */
  lastOwn(): Text | undefined;
  members(): Named[];
  /** Names of those whom the text addresses. */
  addressed(text: string): string[];
}

type Mode = { kind: "reply" | "edit"; text: Text; before: string };

export interface Composer {
  /** Shows the conversation's own line. */
  show(room: string): void;
  reply(text: Text): void;
  edit(text: Text): void;
}

export function wireComposer(hooks: ComposerHooks): Composer {
  const form = byId<HTMLFormElement>("composer");
  const input = byId<HTMLTextAreaElement>("text");
  const kept = new Map<string, { value: string; mode: Mode | undefined }>();
  let room = "";
  let mode: Mode | undefined;
  let announced = 0;
  let pause: ReturnType<typeof setTimeout> | undefined;

  const stop = (): void => {
    clearTimeout(pause);
    if (announced > 0) hooks.typing("typing_stop", room);
    announced = 0;
  };
  const show = (): void => {
    input.rows = Math.min(ROWS_MAX, input.value.split("\n").length);
    byId("mode").hidden = !mode;
    if (mode) {
      byId("mode-what").textContent = mode.kind === "edit" ? "Editing" : `Replying to ${mode.text.sender_name}`;
      byId("mode-text").textContent = mode.text.body.replace(/\s+/g, " ").slice(0, 160);
      byId("mode-leave").setAttribute("aria-label", mode.kind === "edit" ? "Cancel the edit" : "Cancel the reply");
    }
    // Whom a text addresses is settled when it is sent: an edit tells nobody.
    const names = mode?.kind === "edit" ? [] : hooks.addressed(input.value);
    byId("hint").textContent = names.length > 0 ? `Mentions ${names.join(", ")}` : "";
  };
  const put = (value: string): void => {
    input.value = value;
    show();
  };
  const leave = (): void => {
    if (mode?.kind === "edit") input.value = mode.before;
    mode = undefined;
    show();
    input.focus();
  };
  const enter = (kind: Mode["kind"], text: Text): void => {
    const before = mode?.kind === "edit" ? mode.before : input.value;
    mode = { kind, text, before };
    put(kind === "edit" ? text.body : before);
    input.focus();
    input.setSelectionRange(input.value.length, input.value.length);
  };
  const completion = wireCompletion(input, hooks.members, show);

  input.oninput = () => {
    show();
    completion.update();
    if (input.value.trim() === "" || mode?.kind === "edit") {
      stop();
      return;
    }
    if (Date.now() - announced > RENEW_MS) {
      announced = Date.now();
      hooks.typing("typing_start", room);
    }
    clearTimeout(pause);
    pause = setTimeout(stop, PAUSE_MS);
  };
  input.onkeydown = (event) => {
    if (event.isComposing || completion.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key === "Escape" && mode) {
      event.preventDefault();
      leave();
    } else if (event.key === "ArrowUp" && !event.altKey && input.value === "" && !mode) {
      const own = hooks.lastOwn();
      if (!own) return;
      event.preventDefault();
      enter("edit", own);
    }
  };
  byId("mode-leave").onclick = leave;
  form.onsubmit = (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text === "") return;
    const { kind, text: target, before } = mode ?? {};
    mode = undefined;
    put(kind === "edit" ? before! : "");
    completion.close();
    stop();
    if (kind === "edit") {
      if (text !== target!.body) hooks.edit(target!.seq, text);
    } else hooks.send(text, target?.seq);
    input.focus();
  };

  return {
    show(next) {
      if (next === room) return;
      stop();
      completion.close();
      if (room) kept.set(room, { value: input.value, mode });
      room = next;
      const begun = kept.get(next);
      mode = begun?.mode;
      put(begun?.value ?? "");
    },
    reply: (text) => enter("reply", text),
    edit: (text) => enter("edit", text),
  };
}
