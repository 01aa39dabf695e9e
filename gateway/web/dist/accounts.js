/** Accounts over HTTP: sign-up, sign-in, fresh tokens. */
import { GatewayError } from "./protocol.js";
async function post(base, path, body, token) {
    const headers = { "content-type": "application/json" };
    if (token !== undefined)
        headers["authorization"] = `Bearer ${token}`;
    let answer;
    try {
        answer = await fetch(new URL(path, base), { method: "POST", headers, body: JSON.stringify(body) });
    }
    catch {
        throw new GatewayError("unavailable", "The gateway cannot be reached. Check the connection and try again.");
    }
    const json = (await answer.json().catch(() => ({})));
    if (!answer.ok)
        throw GatewayError.from(json.error ?? { message: `the gateway answered ${answer.status}` });
    return json;
}
export function signUp(base, name, password, displayName) {
    return post(base, "/v1/sign-up", { name, password, ...(displayName ? { display_name: displayName } : {}) });
}
export function signIn(base, name, password) {
    return post(base, "/v1/sign-in", { name, password });
}
/** Exchanges a token that is still valid for one with a full life. */
export function renew(base, token) {
    return post(base, "/v1/token", {}, token);
}
