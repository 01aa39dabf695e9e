/** The first view: sign in, or make an account. */

import { config, signIn, signUp } from "./accounts.js";
import { byId, make } from "./dom.js";
import * as oidc from "./oidc.js";
import { GatewayError, type Session } from "./protocol.js";

export function showSignIn(base: string, notice: string, done: (session: Session) => void): void {
  const view = byId("sign-in");
  const form = byId<HTMLFormElement>("sign-in-form");
  const error = byId("sign-in-error");
  const name = byId<HTMLInputElement>("name");
  const password = byId<HTMLInputElement>("password");
  view.hidden = false;
  byId("chat").hidden = true;
  error.textContent = notice;
  name.focus();
  void showWays(base);

  form.onsubmit = async (event) => {
    event.preventDefault();
    const making = (event.submitter as HTMLButtonElement | null)?.value === "sign-up";
    const buttons = form.querySelectorAll("button");
    buttons.forEach((button) => (button.disabled = true));
    error.textContent = "";
    try {
      const session = making
        ? await signUp(base, name.value.trim(), password.value)
        : await signIn(base, name.value.trim(), password.value);
      password.value = "";
      view.hidden = true;
      done(session);
    } catch (cause) {
      error.textContent = cause instanceof GatewayError ? cause.message : String(cause);
      (cause instanceof GatewayError && cause.field === "password" ? password : name).focus();
    } finally {
      buttons.forEach((button) => (button.disabled = false));
    }
  };
}

/** Shows the ways in that this gateway has; without an answer, that of most. */
async function showWays(base: string): Promise<void> {
  const { passwords, oidc: pages } = await config(base).catch(() => ({ passwords: "Enabled" as const, oidc: [] }));
  byId<HTMLFieldSetElement>("with-password").hidden = passwords === "Disabled";
  byId<HTMLFieldSetElement>("with-password").disabled = passwords === "Disabled";
  byId("issuers").replaceChildren(
    ...(oidc.possible() ? pages : []).map((page) => {
      const button = make("button", "", `Sign in with ${new URL(page.issuer).host}`) as HTMLButtonElement;
      button.type = "button";
      button.onclick = () => void oidc.begin(page);
      return button;
    }),
  );
}
