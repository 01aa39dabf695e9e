/** Sign-in at an external issuer: authorization code with PKCE. The browser leaves for the issuer and comes back; the gateway does the rest. */

import { signInWithCode } from "./accounts.js";
import { GatewayError, type LoginPage, type Session } from "./protocol.js";

/** What must be known again when the browser comes back, in this tab only. */
const KEY = "chatcluster.sign-in";

interface Pending {
  issuer: string;
  state: string;
  nonce: string;
  code_verifier: string;
  redirect_uri: string;
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function random(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** Whether this page may use the digest that PKCE needs: only over https, or on this machine. */
export function possible(): boolean {
  return globalThis.isSecureContext && crypto.subtle !== undefined;
}

/** Leaves for the issuer. */
export async function begin(page: LoginPage): Promise<void> {
  const pending: Pending = {
    issuer: page.issuer,
    state: random(),
    nonce: random(),
    code_verifier: random(),
    redirect_uri: location.origin + "/",
  };
  sessionStorage.setItem(KEY, JSON.stringify(pending));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pending.code_verifier));
  const url = new URL(page.authorization_endpoint);
  for (const [name, value] of Object.entries({
    response_type: "code",
    client_id: page.client_id,
    redirect_uri: pending.redirect_uri,
    scope: "openid profile",
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: "S256",
  })) {
    url.searchParams.set(name, value);
  }
  location.assign(url);
}

/** Completes a sign-in if the browser has just come back from one; throws when it failed. */
export async function finish(base: string): Promise<Session | undefined> {
  const answer = new URLSearchParams(location.search);
  const state = answer.get("state");
  if (!state || !(answer.has("code") || answer.has("error"))) return undefined;
  // Neither a reload nor the history must offer the code again.
  history.replaceState(null, "", location.pathname);
  const kept = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  const pending = kept ? (JSON.parse(kept) as Pending) : undefined;
  // An answer that this tab did not ask for may be somebody else's sign-in; one of another issuer may be a mix-up on purpose.
  const issuer = answer.get("iss");
  if (!pending || pending.state !== state || (issuer !== null && issuer !== pending.issuer)) {
    throw new GatewayError("unauthenticated", "The sign-in was not begun here. Please try again.");
  }
  const code = answer.get("code");
  if (!code) throw new GatewayError("unauthenticated", answer.get("error_description") ?? "The sign-in was cancelled.");
  const { nonce, code_verifier, redirect_uri } = pending;
  return signInWithCode(base, { issuer: pending.issuer, code, code_verifier, redirect_uri, nonce });
}
