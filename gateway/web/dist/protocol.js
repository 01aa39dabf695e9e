/** The gateway's wire types; `docs/reference/protocol.md` is the contract. */
/** The gateway's refusal of a request; `code` is stable. */
export class GatewayError extends Error {
    code;
    field;
    retryAfterMs;
    constructor(code, message, field, retryAfterMs) {
        super(message);
        this.code = code;
        this.field = field;
        this.retryAfterMs = retryAfterMs;
        this.name = "GatewayError";
    }
    static from(body) {
        return new GatewayError(body.code ?? "internal", body.message ?? "the gateway gave no reason", body.field, body.retry_after_ms);
    }
    /** Whether the same request may succeed later. */
    get temporary() {
        return ["rate_limited", "busy", "unavailable", "internal"].includes(this.code);
    }
}
