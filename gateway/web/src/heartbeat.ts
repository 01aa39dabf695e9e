/**
 * Notices a connection that is dead and does not say so, as after a change of networks: a browser may take minutes for that. Asks for
 * a sign of life when none came by itself, and gives up when the next turn comes without one. It counts turns, not minutes, since a
 * tab in the background or a machine that slept gets its turns late.
 */

/** A gateway answers `hello` within moments, or the connection leads nowhere. */
const WELCOME_MS = 20_000;
/** The same where there is another gateway to try. */
const WELCOME_OR_NEXT_MS = 5_000;

export class Heartbeat {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #heard = false;
  #asked = false;

  constructor(
    private readonly ask: () => void,
    private readonly dead: () => void,
  ) {}

  /** A connection is being made; `hasMore` if another one can be tried when nothing comes of it. */
  connecting(hasMore = false): void {
    this.stop();
    this.#timer = setTimeout(this.dead, hasMore ? WELCOME_OR_NEXT_MS : WELCOME_MS);
  }

  /** The connection stands; a turn is as long as the gateway's own. */
  online(turnSeconds: number): void {
    this.stop();
    this.#asked = false;
    this.#heard = true;
    this.#turn(turnSeconds * 1_000);
  }

  /** Something came. */
  heard(): void {
    this.#heard = true;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #turn(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#turn(ms);
      if (this.#asked && !this.#heard) {
        this.dead();
        return;
      }
      this.#asked = !this.#heard;
      this.#heard = false;
      if (this.#asked) this.ask();
    }, ms);
  }
}
