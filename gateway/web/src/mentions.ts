/** `@name` in a body: whom it means, and where it stands. Names are sign-in names, in either case. */

interface Named {
  user: string;
  name: string;
}

export interface Piece {
  text: string;
  /** The member that the piece addresses; absent for plain text. */
  user?: string;
}

/** The gateway takes no more. */
export const MENTIONS_MAX = 50;
/** Not in the middle of a word, so that an e-mail address addresses nobody. */
const NAME = /(?<![\p{L}\p{N}._-])@([a-z0-9][a-z0-9._-]{1,31})/giu;

/** User ids by name, to be made once for many bodies. */
export type ByName = ReadonlyMap<string, string>;

export function byNameOf(members: Iterable<Named>): ByName {
  return new Map([...members].map(({ name, user }) => [name.toLowerCase(), user]));
}

/** Cuts a body into plain text and mentions of members. */
export function piecesOf(body: string, byName: ByName): Piece[] {
  const pieces: Piece[] = [];
  let done = 0;
  for (const { 1: written, index } of body.matchAll(NAME)) {
    const name = knownIn(written!.toLowerCase(), byName);
    if (name === undefined) continue;
    const end = index + 1 + name.length;
    if (index > done) pieces.push({ text: body.slice(done, index) });
    pieces.push({ text: body.slice(index, end), user: byName.get(name)! });
    done = end;
  }
  if (done < body.length) pieces.push({ text: body.slice(done) });
  return pieces;
}

/** User ids of the members that a body addresses, each once. */
export function mentionsIn(body: string, members: Iterable<Named>): string[] {
  const users = piecesOf(body, byNameOf(members)).flatMap(({ user }) => (user === undefined ? [] : [user]));
  return [...new Set(users)].slice(0, MENTIONS_MAX);
}

/** A full stop after a name may be part of the name or of the sentence: the longest name that there is counts. */
function knownIn(written: string, byName: ByName): string | undefined {
  for (let name = written; ; name = name.slice(0, -1)) {
    if (byName.has(name)) return name;
    if (!/[._-]$/.test(name)) return undefined;
  }
}
