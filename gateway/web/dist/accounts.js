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
/** Where the user is signed in, the newest first. */
export async function signIns(base, token) {
    const { sessions } = (await call(base, "/v1/sessions", bearer(token)));
    return sessions;
}
/** Ends one session of the user. */
export async function endSignIn(base, token, id) {
    await call(base, `/v1/sessions/${id}`, { method: "DELETE", ...bearer(token) });
}
/** Ends all sessions of the user, this one too. */
export async function signOutEverywhere(base, token) {
    await call(base, "/v1/sign-out-everywhere", { method: "POST", ...bearer(token) });
}
/** Changes the password and ends all other sessions of the user. */
export async function changePassword(base, token, old, fresh) {
    const headers = { "content-type": "application/json", ...bearer(token).headers };
    await post(base, "/v1/password", { old_password: old, new_password: fresh }, { headers });
}
function bearer(token) {
    return { headers: { authorization: `Bearer ${token}` } };
}
export function config(base) {
    return call(base, "/v1/config", {});
}
