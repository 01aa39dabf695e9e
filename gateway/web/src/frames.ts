/** Frames of a connection, in the encoding that the gateway chose out of what the client offered. */

import { decode, encode } from "./cbor.js";

/** How frames are written: as JSON, which every tool shows, or as CBOR, which has about two thirds of the bytes. */
export type Encoding = "json" | "cbor";

export type Frame = Record<string, unknown> & { type: string; re?: number };

const JSON_PROTOCOL = "chat.v1";
const CBOR_PROTOCOL = "chat.v1.cbor";

/** What to offer. A gateway from before a rollout may know JSON only. */
export function subProtocols(encoding: Encoding): string[] {
  return encoding === "cbor" ? [CBOR_PROTOCOL, JSON_PROTOCOL] : [JSON_PROTOCOL];
}

export function write(socket: WebSocket, frame: Record<string, unknown>): void {
  if (socket.protocol === CBOR_PROTOCOL) socket.send(encode(frame) as Uint8Array<ArrayBuffer>);
  else socket.send(JSON.stringify(frame));
}

/** The frame in a message event of a socket whose `binaryType` is `arraybuffer`. */
export function read(data: unknown): Frame {
  return (data instanceof ArrayBuffer ? decode(new Uint8Array(data)) : JSON.parse(String(data))) as Frame;
}
