/** The first view: sign in, or make an account. */

import { signIn, signUp } from "./accounts.js";
import { byId } from "./dom.js";
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
