/** Accounts and sessions over HTTP. */

import { GatewayError, type Config, type Session, type SignIn } from "./protocol.js";

async function call(base: string, path: string, request: RequestInit): Promise<unknown> {
  let answer: Response;
  try {
    answer = await fetch(new URL(path, base), request);
  } catch {
    throw new GatewayError("unavailable", "The gateway cannot be reached. Check the connection and try again.");
  }
  const json = (await answer.json().catch(() => ({}))) as { error?: Parameters<typeof GatewayError.from>[0] };
  if (!answer.ok) throw GatewayError.from(json.error ?? { message: `the gateway answered ${answer.status}` });
  return json;
}

function post(base: string, path: string, body: unknown, more: RequestInit = {}): Promise<unknown> {
  return call(base, path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), ...more });
}

async function enter(base: string, path: string, body: unknown): Promise<Session> {
  const session = (await post(base, path, body)) as Session;
  return { ...session, expires_at: Date.now() + session.expires_in_seconds * 1000 };
}

export function signUp(base: string, name: string, password: string, displayName?: string): Promise<Session> {
  return enter(base, "/v1/sign-up", { name, password, ...(displayName ? { display_name: displayName } : {}) });
}

export function signIn(base: string, name: string, password: string): Promise<Session> {
  return enter(base, "/v1/sign-in", { name, password });
}

/** Completes a sign-in at an issuer; see `oidc.ts`. */
export function signInWithCode(base: string, login: Record<string, string>): Promise<Session> {
  return enter(base, "/v1/sign-in/oidc", login);
}

/** Exchanges a refresh token for the next one and a fresh access token. The old one is good for nothing afterwards. */
export function refresh(base: string, refreshToken: string): Promise<Session> {
  return enter(base, "/v1/refresh", { refresh_token: refreshToken });
}

/** Ends the session; goes on when the tab closes meanwhile. */
export async function signOut(base: string, refreshToken: string): Promise<void> {
  await post(base, "/v1/sign-out", { refresh_token: refreshToken }, { keepalive: true });
}

/** Where the user is signed in, the newest first. */
export async function signIns(base: string, token: string): Promise<SignIn[]> {
  const { sessions } = (await call(base, "/v1/sessions", bearer(token))) as { sessions: SignIn[] };
  return sessions;
}

/** Ends one session of the user. */
export async function endSignIn(base: string, token: string, id: string): Promise<void> {
  await call(base, `/v1/sessions/${id}`, { method: "DELETE", ...bearer(token) });
}

/** Ends all sessions of the user, this one too. */
export async function signOutEverywhere(base: string, token: string): Promise<void> {
  await call(base, "/v1/sign-out-everywhere", { method: "POST", ...bearer(token) });
}

/** Changes the password and ends all other sessions of the user. */
export async function changePassword(base: string, token: string, old: string, fresh: string): Promise<void> {
  const headers = { "content-type": "application/json", ...bearer(token).headers };
  await post(base, "/v1/password", { old_password: old, new_password: fresh }, { headers });
}

function bearer(token: string): { headers: Record<string, string> } {
  return { headers: { authorization: `Bearer ${token}` } };
}

export function config(base: string): Promise<Config> {
  return call(base, "/v1/config", {}) as Promise<Config>;
}
