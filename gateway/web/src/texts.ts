/**
 * The texts of one room in their newest state. Events bring entries of the log one by one; pages of the history bring texts that have
 * all entries up to the page's `last_seq` in them. Both may overlap and come again; each entry counts once for each text.
 */

import type { History, Message, Reaction } from "./protocol.js";

/** A text as it is to be shown. */
export interface Text extends Message {
  reactions: Reaction[];
  /** Entries up to this seq are in it already. */
  upTo: number;
}

/**
 * A change to a text that is not here is kept for the page that is on its way and may have been read before it. A page answers within
 * seconds, so a thousand entries are more than can come meanwhile at the highest message rate of a few members.
 */
const KEPT_CHANGES = 1_000;
const CHANGES = new Set(["edit", "delete", "react", "unreact"]);

export class Texts {
  /** Ascending, without holes between the first and the last. */
  list: Text[] = [];
  /** Texts outside of the list, shown as quotations only. */
  readonly #quoted = new Map<number, Text>();
  #changes: Message[] = [];

  constructor(private readonly me: string) {}

  /** A text of the list. */
  get(seq: number): Text | undefined {
    let [low, high] = [0, this.list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.list[middle]!.seq < seq) low = middle + 1;
      else high = middle;
    }
    const found = this.list[low];
    return found?.seq === seq ? found : undefined;
  }

  /** A text of the list, or one that was looked up for a quotation. */
  quote(seq: number): Text | undefined {
    return this.get(seq) ?? this.#quoted.get(seq);
  }

  /** Takes in what a `message` event brings; true if it changed anything here. */
  add(entry: Message): boolean {
    if (entry.kind === undefined) return this.#put({ ...entry, reactions: [], upTo: entry.seq });
    if (!CHANGES.has(entry.kind) || entry.target === undefined) return false;
    this.#changes.push(entry);
    if (this.#changes.length > KEPT_CHANGES) this.#changes.splice(0, this.#changes.length - KEPT_CHANGES);
    const places = [this.get(entry.target), this.#quoted.get(entry.target)];
    return places.map((text) => text !== undefined && this.#apply(text, entry)).some(Boolean);
  }

  /** Takes in a page of the view `texts` that adjoins or overlaps the list. */
  addPage(page: History): void {
    for (const message of page.messages) this.#put(this.#read(message, page.last_seq));
  }

  /** Takes in a text for quotations. */
  addQuoted(message: Message, lastSeq: number): void {
    this.#quoted.set(message.seq, this.#read(message, lastSeq));
  }

  #read(message: Message, lastSeq: number): Text {
    const text: Text = { ...message, reactions: (message.reactions ?? []).map((reaction) => ({ ...reaction })), upTo: lastSeq };
    for (const change of this.#changes) if (change.target === text.seq) this.#apply(text, change);
    return text;
  }

  #put(text: Text): boolean {
    const known = this.get(text.seq);
    if (known) {
      if (known.upTo >= text.upTo) return false;
      // What a page knows better replaces all: a body that was deleted must not stay.
      this.list[this.list.indexOf(known)] = text;
      return true;
    }
    let at = this.list.length;
    while (at > 0 && this.list[at - 1]!.seq > text.seq) at -= 1;
    this.list.splice(at, 0, text);
    return true;
  }

  #apply(text: Text, entry: Message): boolean {
    if (entry.seq <= text.upTo) return false;
    text.upTo = entry.seq;
    if (text.deleted) return false;
    switch (entry.kind) {
      case "edit":
        // A superseded edit has no body any more; the one that superseded it follows.
        if (entry.deleted) return false;
        text.body = entry.body;
        text.edited_at = entry.at;
        return true;
      case "delete":
        text.deleted = true;
        text.body = "";
        text.reactions = [];
        return true;
      default:
        return this.#reaction(text.reactions, entry);
    }
  }

  #reaction(reactions: Reaction[], entry: Message): boolean {
    const mine = entry.sender === this.me;
    const known = reactions.find(({ emoji }) => emoji === entry.body);
    if (entry.kind === "react") {
      if (!known) reactions.push({ emoji: entry.body, count: 1, mine });
      else if (mine && known.mine) return false;
      else Object.assign(known, { count: known.count + 1, mine: known.mine || mine });
      return true;
    }
    if (!known || (mine && !known.mine)) return false;
    known.count -= 1;
    if (mine) known.mine = false;
    if (known.count === 0) reactions.splice(reactions.indexOf(known), 1);
    return true;
  }
}
