/**
 * The client: one WebSocket at a time, kept alive. It reconnects by itself with full-jitter backoff, resumes every room where it
 * stood, repeats what was not acknowledged under the same message or request id, and hands each message on exactly once and in order.
 */
import { refresh } from "./accounts.js";
import { read, subProtocols, write } from "./frames.js";
import { GatewayError } from "./protocol.js";
import { Heartbeat } from "./heartbeat.js";
import { Requests } from "./requests.js";
import { Route } from "./route.js";
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 8_000;
/** Over this many missing messages the gateway does not replay; the client pages through the history. */
const PAGE = 100;
/** Live messages kept in memory behind a gap; more are read from the history as well. */
const BEHIND_MAX = 1_000;
/** Share of an access token's life that is left when it is exchanged. */
const RENEW_AT = 0.25;
/**
 * Waits after an exchange without an answer, the first and the longest. Soon at first: the gateway may have taken the token, and gives the
 * answer that was lost once more for 10 seconds only.
 */
const RENEW_AGAIN_FIRST_MS = 1_000;
const RENEW_AGAIN_MAX_MS = 30_000;
/** The token ran out: a fresh one may help. */
const TOKEN_REFUSED = 4401;
/** The session was ended: nothing but a sign-in helps. */
const SESSION_ENDED = 4410;
const NO_RECONNECT = new Set([1003, 1009, 4400, SESSION_ENDED]);
const PLEASE_SIGN_IN = "Your session has ended. Please sign in again.";
export class ChatClient extends Requests {
    base;
    session;
    handlers;
    options;
    #socket;
    #nextId = 1;
    #pending = new Map();
    #cursors = new Map();
    /** Rooms whose gap is being fetched from the history: live messages wait behind it. */
    #filling = new Map();
    #attempt = 0;
    /** Milliseconds that a gateway with too many newcomers asked to wait. */
    #least = 0;
    #route;
    /** Counts the times that a connection was begun, so that advice that comes late is noticed. */
    #begun = 0;
    #closed = false;
    #timer;
    #renewal;
    #renewals = 0;
    #renewing;
    #heartbeat = new Heartbeat(() => this.#write({ id: this.#nextId++, type: "ping" }), () => this.#dead());
    constructor(base, session, handlers, options = {}) {
        super();
        this.base = base;
        this.session = session;
        this.handlers = handlers;
        this.options = options;
        this.#route = new Route(base, options.hints ?? false);
    }
    get ended() {
        return this.#closed;
    }
    /** What is said in a room that was just made must not be missed when the connection breaks before its first message. */
    joined(room) {
        this.#added(room);
    }
    start() {
        this.#scheduleRenewal();
        this.#connect();
    }
    stop() {
        this.#closed = true;
        clearTimeout(this.#timer);
        clearTimeout(this.#renewal);
        this.#heartbeat.stop();
        this.#socket?.close(1000);
        for (const pending of this.#pending.values())
            pending.reject(new GatewayError("unavailable", "signed out"));
        this.#pending.clear();
    }
    /** Where the tokens stand now. */
    get current() {
        return this.session;
    }
    /** Sends a request and waits for its answer, over reconnects if need be. */
    request(type, fields = {}) {
        if (this.#closed)
            return Promise.reject(new GatewayError("unavailable", "signed out"));
        return new Promise((resolve, reject) => {
            this.#issue({ frame: { type, ...fields }, resolve: resolve, reject, repeat: true });
        });
    }
    /** Sends what is worth nothing later; lost when there is no connection. */
    hint(type, fields) {
        if (this.#socket?.readyState === WebSocket.OPEN)
            this.#write({ type, ...fields });
    }
    #issue(pending) {
        const id = this.#nextId++;
        this.#pending.set(id, pending);
        if (this.#socket?.readyState === WebSocket.OPEN && this.#attempt === 0)
            this.#transmit(id, pending);
    }
    #transmit(id, pending) {
        this.#write({ id, ...pending.frame });
    }
    #write(frame) {
        if (this.#socket)
            write(this.#socket, frame);
    }
    #connect() {
        if (this.#closed)
            return;
        clearTimeout(this.#timer);
        this.handlers.status("connecting");
        const begun = ++this.#begun;
        const known = this.#route.next();
        if (known)
            return this.#open(known);
        void this.#route.ask().then(() => {
            // Meanwhile the client may have been stopped, or begun anew.
            if (!this.#closed && begun === this.#begun)
                this.#open(this.#route.next() ?? this.#route.front);
        });
    }
    #open(url) {
        clearTimeout(this.#timer);
        this.#heartbeat.connecting(this.#route.hasMore);
        const socket = new WebSocket(url, subProtocols(this.options.encoding ?? "json"));
        socket.binaryType = "arraybuffer";
        const previous = this.#socket;
        this.#socket = socket;
        this.#attempt = Math.max(this.#attempt, 1);
        socket.onopen = () => {
            const resume = [...this.#cursors].map(([room, seq]) => ({ room, seq }));
            write(socket, { id: 0, type: "hello", token: this.session.token, resume });
        };
        socket.onmessage = ({ data }) => {
            if (socket !== this.#socket)
                return;
            this.#heartbeat.heard();
            this.#receive(read(data), previous);
        };
        socket.onclose = ({ code, reason }) => {
            if (socket === this.#socket)
                this.#lost(code, reason);
        };
    }
    #receive(frame, previous) {
        if (frame.type === "welcome") {
            previous?.close(1000);
            this.#welcomed(frame);
        }
        else if (frame.re === 0 && frame.type === "error") {
            this.#least = Number(frame["retry_after_ms"] ?? 0);
            this.#lost(["unauthenticated", "token_expired"].includes(String(frame["code"])) ? TOKEN_REFUSED : 1012, String(frame["message"]));
        }
        else if (frame.re !== undefined) {
            const pending = this.#pending.get(frame.re);
            this.#pending.delete(frame.re);
            if (frame.type === "error")
                pending?.reject(GatewayError.from(frame));
            else
                pending?.resolve(frame);
        }
        else {
            this.#event(frame);
        }
    }
    #welcomed(welcome) {
        this.#attempt = 0;
        this.#route.arrived();
        this.#heartbeat.online(welcome.ping_seconds);
        // A room that is missing here keeps its place: its shard may be away, and it comes later as `room_added`.
        for (const room of welcome.rooms)
            if (!this.#cursors.has(room.id))
                this.#cursors.set(room.id, room.last_seq);
        this.handlers.welcome(welcome);
        this.handlers.status("online", welcome.gateway);
        for (const resumed of welcome.resumed)
            if (!resumed.recovered)
                void this.#fill(resumed.room, resumed.to);
        for (const [id, pending] of [...this.#pending]) {
            if (pending.repeat)
                this.#transmit(id, pending);
            else
                this.#pending.delete(id);
        }
    }
    #event(event) {
        if (event.type === "reconnect") {
            this.#timer = setTimeout(() => this.#connect(), event.after_ms);
            return;
        }
        if (event.type === "room_added")
            this.#added(event.room);
        if (event.type === "room_removed") {
            this.#cursors.delete(event.room);
            this.#filling.delete(event.room);
        }
        if (event.type === "message")
            this.#message(event.message);
        else
            this.handlers.event(event);
    }
    /** What was said up to `last_seq` does not come as events; whoever shows a room for the first time reads its history. */
    #added(room) {
        const had = this.#cursors.get(room.id);
        if (had === undefined)
            this.#cursors.set(room.id, room.last_seq);
        else if (had < room.last_seq)
            void this.#fill(room.id, room.last_seq);
    }
    #message(message) {
        const filling = this.#filling.get(message.room);
        if (!filling)
            this.#deliver(message);
        else if (filling.waiting.length < BEHIND_MAX)
            filling.waiting.push(message);
        else
            filling.to = Math.max(filling.to, message.seq);
    }
    #deliver(message) {
        if (message.seq <= (this.#cursors.get(message.room) ?? 0))
            return;
        this.#cursors.set(message.room, message.seq);
        this.handlers.event({ type: "message", message });
    }
    /**
     * Reads every entry of the log that is missing, edits and reactions too, as they would have come. Nothing is handed on past the gap,
     * however long it takes to close it: the client's place in the room stays before it. It is given up only with the room or the client.
     */
    async #fill(room, to) {
        const running = this.#filling.get(room);
        if (running) {
            // A second connection found a gap before the first one's was filled.
            running.to = Math.max(running.to, to);
            return;
        }
        const filling = { to, waiting: [] };
        this.#filling.set(room, filling);
        for (let failures = 0; (this.#cursors.get(room) ?? 0) < filling.to;) {
            const found = await this.#missing(room);
            if (this.ended || this.#filling.get(room) !== filling)
                return;
            if (found === "left") {
                // The gateway may have told nobody yet.
                this.#event({ type: "room_removed", room });
                return;
            }
            for (const message of found)
                this.#deliver(message);
            if (found.length > 0)
                failures = 0;
            else
                await new Promise((wake) => setTimeout(wake, Math.random() * backoff(failures++)));
            if (this.ended || this.#filling.get(room) !== filling)
                return;
        }
        this.#filling.delete(room);
        for (const message of filling.waiting)
            this.#message(message);
    }
    /** The entries that come next in a room; none where they could not be had, for whatever reason but one. */
    async #missing(room) {
        try {
            const options = { after: this.#cursors.get(room) ?? 0, limit: PAGE, view: "log" };
            return (await this.persist(() => this.history(room, options))).messages;
        }
        catch (error) {
            return error instanceof GatewayError && error.code === "not_found" ? "left" : [];
        }
    }
    #dead() {
        const socket = this.#socket;
        this.#lost(1006, "no sign of life");
        // Its close event may take as long as the silence did, and is not waited for.
        socket?.close();
    }
    #lost(code, reason) {
        if (this.#closed)
            return;
        this.#heartbeat.stop();
        this.#socket = undefined;
        if (NO_RECONNECT.has(code))
            return this.#end(code === SESSION_ENDED ? PLEASE_SIGN_IN : reason);
        if (code === TOKEN_REFUSED) {
            this.handlers.status("connecting");
            void this.#renew().then((outcome) => {
                if (outcome === "fresh")
                    this.#connect();
                else if (outcome === "later")
                    this.#again(code, reason);
            });
            return;
        }
        this.#again(code, reason);
    }
    #end(detail) {
        this.#closed = true;
        clearTimeout(this.#timer);
        clearTimeout(this.#renewal);
        this.handlers.status("signed-out", detail);
    }
    #again(code, reason) {
        if (this.#closed)
            return;
        this.#attempt += 1;
        // Another gateway is tried at once; after the last of them, and after a connection that stood, there is a pause.
        const ceiling = this.#route.hasMore ? 0 : backoff(this.#attempt - 1);
        const least = code === 4429 ? 5_000 : this.#route.hasMore ? 0 : this.#least;
        this.#least = 0;
        this.handlers.status("offline", reason);
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#connect(), least + Math.random() * ceiling);
    }
    /** Exchanges the refresh token. Once at a time: a token that is used twice looks stolen. */
    #renew() {
        this.#renewing ??= refresh(this.base, this.session.refresh_token)
            .then((fresh) => {
            this.session = fresh;
            this.#renewals = 0;
            this.handlers.renewed(fresh);
            this.#scheduleRenewal();
            return "fresh";
        }, (error) => {
            const ended = error instanceof GatewayError && error.code === "unauthenticated";
            if (ended && !this.#closed)
                this.#end(PLEASE_SIGN_IN);
            return ended ? "ended" : "later";
        })
            .finally(() => {
            this.#renewing = undefined;
        });
        return this.#renewing;
    }
    /**
     * Fresh tokens in good time, then a connection with them: the gateway closes each connection at the end of its token's life, so a new
     * one takes over before that, as in a drain.
     */
    #scheduleRenewal(after = this.session.expires_at - this.session.expires_in_seconds * 1000 * RENEW_AT - Date.now()) {
        clearTimeout(this.#renewal);
        if (this.#closed)
            return;
        this.#renewal = setTimeout(async () => {
            const outcome = await this.#renew();
            if (outcome === "later")
                this.#scheduleRenewal(Math.min(RENEW_AGAIN_MAX_MS, RENEW_AGAIN_FIRST_MS * 2 ** this.#renewals++));
            if (outcome === "fresh" && this.#socket?.readyState === WebSocket.OPEN && this.#attempt === 0)
                this.#connect();
        }, Math.max(after, 0));
    }
}
/** The longest wait after so many failures before this one, in milliseconds. */
function backoff(failures) {
    return Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(failures, 6));
}
