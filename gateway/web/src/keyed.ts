/**
 * Brings the children of an element up to date and touches only what changed: focus, selection and scroll position stay, and an
 * assistive program is not told again what it knows.
 */

export interface Item {
  key: string;
  /** All that `make` shows; another signature draws the item anew. */
  signature: string;
  make(): HTMLElement;
}

const drawn = new WeakMap<Element, Item>();

export function sync(parent: HTMLElement, items: Item[]): void {
  const focus = focusIn(parent);
  const wanted = new Set(items.map((item) => item.key));
  const known = new Map<string, Element>();
  for (const child of [...parent.children]) {
    const key = drawn.get(child)?.key;
    if (key !== undefined && wanted.has(key)) known.set(key, child);
    else child.remove();
  }
  let at = parent.firstElementChild;
  for (const item of items) {
    let node = known.get(item.key);
    if (!node || drawn.get(node)?.signature !== item.signature) {
      const fresh = item.make();
      node?.replaceWith(fresh);
      if (node === at && node) at = fresh;
      node = fresh;
      drawn.set(node, item);
    }
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  if (focus && !parent.contains(document.activeElement)) restore(parent, focus);
}

interface Focus {
  key: string;
  part: string;
}

function focusIn(parent: HTMLElement): Focus | undefined {
  const active = document.activeElement;
  if (!(active instanceof HTMLElement) || active === parent || !parent.contains(active)) return undefined;
  const child = [...parent.children].find((node) => node.contains(active));
  const key = child && drawn.get(child)?.key;
  return key === undefined ? undefined : { key, part: active.dataset["focus"] ?? "" };
}

/** Where the part with the focus is gone (a reaction that was the last one), the item's first button takes it. */
function restore(parent: HTMLElement, { key, part }: Focus): void {
  const child = [...parent.children].find((node) => drawn.get(node)?.key === key);
  if (!child) return;
  const parts = [child, ...child.querySelectorAll("[data-focus]")].filter((node) => node instanceof HTMLElement);
  const found = parts.find((node) => node.dataset["focus"] === part) ?? parts.find((node) => node.dataset["focus"]);
  found?.focus({ preventScroll: true });
}
