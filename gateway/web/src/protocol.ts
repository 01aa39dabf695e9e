/** The gateway's wire types; `docs/reference/protocol.md` is the contract. */

export interface User {
  id: string;
  name: string;
  display_name: string;
}

export interface Room {
  id: string;
  kind: "direct" | "group";
  title: string;
  last_seq: number;
  read_seq: number;
  delivered_seq: number;
  created_at: string;
}

export type Role = "owner" | "admin" | "member";

export interface Reaction {
  emoji: string;
  count: number;
  mine: boolean;
}

/** An entry of a room's log: a text, or (with `kind`) a change to the text at `target`. */
export interface Message {
  room: string;
  seq: number;
  message_id: string;
  sender: string;
  sender_name: string;
  /** Of a text its newest body, of a reaction its emoji. */
  body: string;
  at: string;
  /** Absent for a text; there may be more kinds than these. */
  kind?: "edit" | "delete" | "react" | "unreact" | (string & {});
  target?: number;
  reply_to?: number;
  mentions?: string[];
  edited_at?: string;
  /** Of a text: it is gone. Of an edit: it was superseded. */
  deleted?: boolean;
  reactions?: Reaction[];
}

export interface History {
  room: string;
  messages: Message[];
  more: boolean;
  /** What changed texts up to this seq is in `messages` already. */
  last_seq: number;
}

/** The newest text of a room. */
export interface Newest {
  seq: number;
  sender: string;
  sender_name: string;
  /** The first 200 characters. */
  body: string;
  at: string;
  deleted: boolean;
}

/** A room as the list of rooms shows it. */
export interface Summary extends Room {
  role: Role;
  members: number;
  unread: number;
  mentioned: number;
  muted_until?: string;
  newest?: Newest;
}

export interface Member {
  user: string;
  name: string;
  display_name: string;
  role: Role;
  delivered_seq: number;
  read_seq: number;
}

/** What a way in answers: an access token, and the refresh token that is exchanged for the next ones, each once. */
export interface Session {
  token: string;
  expires_in_seconds: number;
  refresh_token: string;
  refresh_expires_in_seconds: number;
  session: string;
  user: User;
  /** When the access token ends by this browser's clock; added on arrival. */
  expires_at: number;
}

/** One of the places where the user is signed in. */
export interface SignIn {
  id: string;
  created_at: string;
  last_used_at: string;
  expires_at: string;
  user_agent: string;
  current: boolean;
}

/** What the gateway tells before anyone signs in. */
export interface Config {
  passwords: "Enabled" | "Disabled";
  oidc: LoginPage[];
}

/** An issuer at which people sign in. */
export interface LoginPage {
  issuer: string;
  client_id: string;
  authorization_endpoint: string;
}

export interface Welcome {
  session: string;
  user: User;
  gateway: string;
  ping_seconds: number;
  limits: { message_bytes: number; messages_per_second: number; message_burst: number; rooms_per_connection: number };
  rooms: Room[];
  resumed: { room: string; from: number; to: number; recovered: boolean }[];
}

export interface Sent {
  room: string;
  message_id: string;
  seq: number;
  at: string;
  duplicate: boolean;
}

/** What the gateway tells without being asked. */
export type Event =
  | { type: "message"; message: Message }
  | { type: "receipt"; room: string; user: string; delivered_seq: number; read_seq: number }
  | { type: "typing"; room: string; user: string; name: string; state: "start" | "stop" }
  | { type: "presence"; user: string; state: "online" | "offline" }
  | { type: "room_added"; room: Room }
  | { type: "room_removed"; room: string }
  | { type: "member_added"; room: string; user: string; name?: string }
  | { type: "member_removed"; room: string; user: string; name?: string }
  | { type: "role_changed"; room: string; user: string; role: Role }
  | { type: "muted"; room: string; until?: string }
  | { type: "reconnect"; after_ms: number; reason: string };

/** The gateway's refusal of a request; `code` is stable. */
export class GatewayError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly field?: string,
    readonly retryAfterMs?: number,
  ) {
    super(message);
    this.name = "GatewayError";
  }

  static from(body: { code?: string; message?: string; field?: string; retry_after_ms?: number }): GatewayError {
    return new GatewayError(body.code ?? "internal", body.message ?? "the gateway gave no reason", body.field, body.retry_after_ms);
  }

  /** Whether the same request may succeed later. */
  get temporary(): boolean {
    return ["rate_limited", "busy", "unavailable", "internal"].includes(this.code);
  }
}
