/** Entries of a room's log as `message` events bring them. */
export const me = { id: "me", name: "me", display_name: "Me" };
export const room = { id: "r", kind: "group", title: "T", last_seq: 0, read_seq: 0, delivered_seq: 0, created_at: "2026-01-01T00:00:00.000Z" };
export const at = (seq) => new Date(Date.UTC(2026, 0, 1, 0, 0, seq)).toISOString();

export function text(seq, fields = {}) {
  return { room: "r", seq, message_id: `m${seq}`, sender: "you", sender_name: "You", body: `text ${seq}`, at: at(seq), ...fields };
}
export function edit(seq, target, body, fields = {}) {
  return text(seq, { kind: "edit", target, body, ...fields });
}
export function remove(seq, target, fields = {}) {
  return text(seq, { kind: "delete", target, body: "", ...fields });
}
export function react(seq, target, emoji, sender = "you") {
  return text(seq, { kind: "react", target, body: emoji, sender });
}
export function unreact(seq, target, emoji, sender = "you") {
  return text(seq, { kind: "unreact", target, body: emoji, sender });
}
export function page(messages, last_seq, more = false) {
  return { room: "r", messages, more, last_seq };
}
