/** How many texts of others are new in a room, and how many of them mention the user: what `rooms` said, kept up by events. */
export class Unread {
    me;
    /** The count that the gateway gave, of entries after `from` and up to `to`. */
    #base = { to: 0, from: 0, unread: 0, mentioned: 0 };
    /** Unread texts of others after `#base.to`. */
    #live = new Map();
    #readSeq = 0;
    /** The gateway has to be asked again: something changed among what it counted. */
    stale = false;
    constructor(me) {
        this.me = me;
    }
    get count() {
        return this.#base.unread + this.#live.size;
    }
    get mentioned() {
        return this.#base.mentioned + [...this.#live.values()].filter((text) => text.mentioned).length;
    }
    summary({ last_seq, read_seq, unread, mentioned }) {
        // An answer from before what is known already.
        if (last_seq < this.#base.to)
            return;
        const readSeq = Math.max(read_seq, this.#readSeq);
        this.#base = { to: last_seq, from: read_seq, unread, mentioned };
        this.stale = false;
        for (const seq of [...this.#live.keys()])
            if (seq <= last_seq)
                this.#live.delete(seq);
        this.#readSeq = 0;
        this.read(readSeq);
    }
    /** An entry that a `message` event brought. */
    entry(entry) {
        if (entry.seq <= this.#base.to)
            return;
        if (entry.kind === undefined) {
            if (entry.sender !== this.me && !entry.deleted && entry.seq > this.#readSeq) {
                this.#live.set(entry.seq, { mentioned: entry.mentions?.includes(this.me) ?? false });
            }
        }
        else if (entry.kind === "delete" && entry.target !== undefined) {
            const counted = this.#live.delete(entry.target);
            if (!counted && entry.target > this.#readSeq && entry.target <= this.#base.to && this.#base.unread > 0)
                this.stale = true;
        }
    }
    /** The user has read up to `seq`, here or elsewhere. */
    read(seq) {
        if (seq <= this.#readSeq)
            return;
        this.#readSeq = seq;
        for (const known of [...this.#live.keys()])
            if (known <= seq)
                this.#live.delete(known);
        if (seq >= this.#base.to)
            Object.assign(this.#base, { unread: 0, mentioned: 0 });
        else if (seq > this.#base.from && this.#base.unread > 0)
            this.stale = true;
    }
}
