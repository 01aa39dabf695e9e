/** Offers members while `@` and the beginning of a name are being written. The arrows choose, Enter and Tab take, Escape closes. */

import { byId, make } from "./dom.js";

export interface Named {
  user: string;
  name: string;
  display_name: string;
}

const OFFERED_MAX = 6;
const BEGUN = /(?:^|[^\p{L}\p{N}._-])@([a-z0-9._-]*)$/iu;

export interface Completion {
  update(): void;
  close(): void;
  /** Whether the key was meant for the list. */
  key(event: KeyboardEvent): boolean;
}

export function wireCompletion(input: HTMLTextAreaElement, members: () => Named[], taken: () => void): Completion {
  const list = byId("completions");
  let offered: Named[] = [];
  let at = 0;
  let begun = "";

  const close = (): void => {
    offered = [];
    list.hidden = true;
    list.replaceChildren();
    input.removeAttribute("aria-activedescendant");
  };
  const take = (member: Named): void => {
    const end = input.selectionStart;
    input.setRangeText(`${member.name} `, end - begun.length, end, "end");
    close();
    taken();
    input.focus();
  };
  const draw = (): void => {
    list.hidden = offered.length === 0;
    list.replaceChildren(
      ...offered.map((member, index) => {
        const item = make("li", "", member.display_name);
        item.id = `completion-${index}`;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", String(index === at));
        item.append(make("span", "name", ` @${member.name}`));
        // Before the input would lose the focus.
        item.onpointerdown = (event) => {
          event.preventDefault();
          take(member);
        };
        return item;
      }),
    );
    if (offered.length > 0) input.setAttribute("aria-activedescendant", `completion-${at}`);
  };

  input.onblur = close;
  return {
    close,
    update() {
      const found = BEGUN.exec(input.value.slice(0, input.selectionStart));
      begun = found?.[1] ?? "";
      const start = begun.toLowerCase();
      const fits = ({ name, display_name }: Named): boolean => name.startsWith(start) || display_name.toLowerCase().startsWith(start);
      offered = found ? members().filter(fits).slice(0, OFFERED_MAX) : [];
      // A name that is complete needs no offer: Enter must send.
      if (offered.length === 1 && offered[0]!.name === start) offered = [];
      at = 0;
      if (offered.length === 0) close();
      else draw();
    },
    key(event) {
      if (offered.length === 0) return false;
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step !== undefined) {
        at = (at + step + offered.length) % offered.length;
        draw();
      } else if (event.key === "Enter" || event.key === "Tab") take(offered[at]!);
      else if (event.key === "Escape") close();
      else return false;
      event.preventDefault();
      return true;
    },
  };
}
