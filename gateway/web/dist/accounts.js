/** Accounts and sessions over HTTP. */
import { GatewayError } from "./protocol.js";
async function call(base, path, request) {
    let answer;
    try {
        answer = await fetch(new URL(path, base), request);
    }
    catch {
        throw new GatewayError("unavailable", "The gateway cannot be reached. Check the connection and try again.");
    }
    const json = (await answer.json().catch(() => ({})));
    if (!answer.ok)
        throw GatewayError.from(json.error ?? { message: `the gateway answered ${answer.status}` });
    return json;
}
function post(base, path, body, more = {}) {
    return call(base, path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), ...more });
}
async function enter(base, path, body) {
    const session = (await post(base, path, body));
    return { ...session, expires_at: Date.now() + session.expires_in_seconds * 1000 };
}
export function signUp(base, name, password, displayName) {
    return enter(base, "/v1/sign-up", { name, password, ...(displayName ? { display_name: displayName } : {}) });
}
export function signIn(base, name, password) {
    return enter(base, "/v1/sign-in", { name, password });
}
/** Completes a sign-in at an issuer; see `oidc.ts`. */
export function signInWithCode(base, login) {
    return enter(base, "/v1/sign-in/oidc", login);
}
/** Exchanges a refresh token for the next one and a fresh access token. The old one is good for nothing afterwards. */
export function refresh(base, refreshToken) {
    return enter(base, "/v1/refresh", { refresh_token: refreshToken });
}
/** Ends the session; goes on when the tab closes meanwhile. */
export async function signOut(base, refreshToken) {
    await post(base, "/v1/sign-out", { refresh_token: refreshToken }, { keepalive: true });
}
export function config(base) {
    return call(base, "/v1/config", {});
}
