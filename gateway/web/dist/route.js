/**
 * Where to connect. The gateway at the base names those that have room, the best first; who does not take the client is passed over at
 * once for the next, and the base itself is the last. A gateway that names nobody, does not answer or is too old to be asked makes no
 * difference but that.
 */
/** Advice that comes later is worth less than the time. */
const ADVICE_MS = 3_000;
/** Addresses that are looked at; a gateway names four. */
const ADDRESSES = 8;
export class Route {
    base;
    asks;
    #left = [];
    #until = 0;
    constructor(base, 
    /** Whether to ask at all. */
    asks) {
        this.base = base;
        this.asks = asks;
    }
    /** The WebSocket at the base. */
    get front() {
        const url = new URL("/v1/ws", this.base);
        url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
        return url;
    }
    /** The WebSocket to try next, where that is known already; otherwise {@link ask} first. */
    next() {
        if (!this.asks)
            return this.front;
        const next = Date.now() < this.#until ? this.#left.shift() : undefined;
        return next === undefined ? undefined : new URL(next);
    }
    /** Whether there is another address to try at once. */
    get hasMore() {
        return this.#left.length > 0 && Date.now() < this.#until;
    }
    /** The client is connected: for its next connection it asks anew. */
    arrived() {
        this.#left = [];
    }
    /** Asks where to connect; {@link next} has an answer afterwards, whatever came of it. */
    async ask() {
        const advice = await this.#advice();
        const front = this.front;
        const named = advice.addresses.slice(0, ADDRESSES).flatMap((address) => usable(address, front));
        this.#left = [...new Set([...named, front.href])];
        this.#until = Date.now() + Math.max(advice.good_for_seconds, 1) * 1_000;
    }
    async #advice() {
        const nobody = { addresses: [], good_for_seconds: 10 };
        try {
            const answer = await fetch(new URL("/v1/connect", this.base), { signal: AbortSignal.timeout(ADVICE_MS) });
            const { addresses, good_for_seconds } = (await answer.json());
            return answer.ok && Array.isArray(addresses) ? { addresses, good_for_seconds: Number(good_for_seconds) || 10 } : nobody;
        }
        catch {
            return nobody;
        }
    }
}
/** The WebSocket at an address, unless it is the front, which comes last, or would carry the token without TLS where the front has it. */
function usable(address, front) {
    try {
        const url = new URL(String(address));
        const safe = url.protocol === "wss:" || (url.protocol === "ws:" && front.protocol === "ws:");
        if (!safe || url.host === front.host)
            return [];
        url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/ws`;
        return [url.href];
    }
    catch {
        return [];
    }
}
