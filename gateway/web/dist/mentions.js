/** `@name` in a body: whom it means, and where it stands. Names are sign-in names, in either case. */
/** The gateway takes no more. */
export const MENTIONS_MAX = 50;
/** Not in the middle of a word, so that an e-mail address addresses nobody. */
const NAME = /(?<![\p{L}\p{N}._-])@([a-z0-9][a-z0-9._-]{1,31})/giu;
export function byNameOf(members) {
    return new Map([...members].map(({ name, user }) => [name.toLowerCase(), user]));
}
/** Cuts a body into plain text and mentions of members. */
export function piecesOf(body, byName) {
    const pieces = [];
    let done = 0;
    for (const { 1: written, index } of body.matchAll(NAME)) {
        const name = knownIn(written.toLowerCase(), byName);
        if (name === undefined)
            continue;
        const end = index + 1 + name.length;
        if (index > done)
            pieces.push({ text: body.slice(done, index) });
        pieces.push({ text: body.slice(index, end), user: byName.get(name) });
        done = end;
    }
    if (done < body.length)
        pieces.push({ text: body.slice(done) });
    return pieces;
}
/** User ids of the members that a body addresses, each once. */
export function mentionsIn(body, members) {
    const users = piecesOf(body, byNameOf(members)).flatMap(({ user }) => (user === undefined ? [] : [user]));
    return [...new Set(users)].slice(0, MENTIONS_MAX);
}
/** A full stop after a name may be part of the name or of the sentence: the longest name that there is counts. */
function knownIn(written, byName) {
    for (let name = written;; name = name.slice(0, -1)) {
        if (byName.has(name))
            return name;
        if (!/[._-]$/.test(name))
            return undefined;
    }
}
