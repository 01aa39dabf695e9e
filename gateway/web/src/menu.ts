/** The menu of one message: a row of reactions, then what can be done with it. A popover brings Escape and the click elsewhere. */

import { byId, icon, make } from "./dom.js";

export const QUICK_REACTIONS = ["👍", "❤️", "😂", "🎉", "😮", "😢"];

export interface Choice {
  name: string;
  icon: string;
  danger?: boolean;
  run(): void;
}

export interface Quick {
  /** Emoji of the user's own reactions. */
  mine: Set<string>;
  toggle(emoji: string): void;
}

const GAP_PX = 6;

/**
 * Opens the menu beside a button, which gets the focus back afterwards. `again` finds the button: its message may have been drawn
 * anew meanwhile.
 */
export function openMenu(anchor: HTMLElement, again: () => HTMLElement | null, quick: Quick, choices: Choice[]): void {
  const menu = byId("menu");
  const back = (): void => again()?.focus({ preventScroll: true });
  let chosen = false;
  const choose = (run: () => void) => () => {
    chosen = true;
    menu.hidePopover();
    back();
    run();
  };
  const row = make("div", "quick");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", "React");
  for (const emoji of QUICK_REACTIONS) {
    const item = menuItem(emoji, choose(() => quick.toggle(emoji)), "menuitemcheckbox");
    item.setAttribute("aria-checked", String(quick.mine.has(emoji)));
    row.append(item);
  }
  const items = choices.map((choice) => {
    const item = menuItem(choice.name, choose(choice.run));
    item.prepend(icon(choice.icon));
    item.classList.toggle("danger", Boolean(choice.danger));
    return item;
  });
  menu.replaceChildren(row, ...items);
  anchor.setAttribute("aria-expanded", "true");
  menu.onkeydown = move;
  menu.ontoggle = (event) => {
    if (event.newState === "open") return;
    anchor.removeAttribute("aria-expanded");
    const lost = document.activeElement === document.body || menu.contains(document.activeElement);
    if (!chosen && lost) back();
  };
  menu.showPopover();
  place(menu, anchor);
  row.querySelector<HTMLElement>("button")?.focus({ preventScroll: true });
}

function menuItem(text: string, run: () => void, role = "menuitem"): HTMLButtonElement {
  const item = make("button", "", text);
  item.type = "button";
  item.setAttribute("role", role);
  item.tabIndex = -1;
  item.onclick = run;
  return item;
}

function move(event: KeyboardEvent): void {
  const menu = event.currentTarget as HTMLElement;
  const items = [...menu.querySelectorAll<HTMLElement>("button")];
  const at = items.indexOf(document.activeElement as HTMLElement);
  const to = (() => {
    switch (event.key) {
      case "ArrowRight":
        return at + 1;
      case "ArrowLeft":
        return at - 1;
      // The row of reactions is one step for the vertical arrows.
      case "ArrowDown":
        return at < QUICK_REACTIONS.length ? QUICK_REACTIONS.length : at + 1;
      case "ArrowUp":
        return at <= QUICK_REACTIONS.length ? (at < QUICK_REACTIONS.length ? -1 : 0) : at - 1;
      case "Home":
        return 0;
      case "End":
        return -1;
      default:
        return undefined;
    }
  })();
  if (event.key === "Tab") (menu as HTMLElement).hidePopover();
  if (to === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  items[(to + items.length) % items.length]?.focus();
}

/** Below the button where there is room, else above it, and never over the edge. */
function place(menu: HTMLElement, anchor: HTMLElement): void {
  const at = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = at.bottom + GAP_PX;
  const top = below + height <= innerHeight ? below : Math.max(GAP_PX, at.top - height - GAP_PX);
  const left = Math.max(GAP_PX, Math.min(at.left + at.width / 2 - width / 2, innerWidth - width - GAP_PX));
  menu.style.top = `${top}px`;
  menu.style.left = `${left}px`;
}
