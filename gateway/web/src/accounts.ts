/** Accounts over HTTP: sign-up, sign-in, fresh tokens. */

import { GatewayError, type Session } from "./protocol.js";

async function post(base: string, path: string, body: unknown, token?: string): Promise<Session> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
  let answer: Response;
  try {
    answer = await fetch(new URL(path, base), { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    throw new GatewayError("unavailable", "The gateway cannot be reached. Check the connection and try again.");
  }
  const json = (await answer.json().catch(() => ({}))) as Session & { error?: Parameters<typeof GatewayError.from>[0] };
  if (!answer.ok) throw GatewayError.from(json.error ?? { message: `the gateway answered ${answer.status}` });
  return json;
}

export function signUp(base: string, name: string, password: string, displayName?: string): Promise<Session> {
  return post(base, "/v1/sign-up", { name, password, ...(displayName ? { display_name: displayName } : {}) });
}

export function signIn(base: string, name: string, password: string): Promise<Session> {
  return post(base, "/v1/sign-in", { name, password });
}

/** Exchanges a token that is still valid for one with a full life. */
export function renew(base: string, token: string): Promise<Session> {
  return post(base, "/v1/token", {}, token);
}
