/** Frames of a connection, in the encoding that the gateway chose out of what the client offered. */
import { decode, encode } from "./cbor.js";
const JSON_PROTOCOL = "chat.v1";
const CBOR_PROTOCOL = "chat.v1.cbor";
/** What to offer. A gateway from before a rollout may know JSON only. */
export function subProtocols(encoding) {
    return encoding === "cbor" ? [CBOR_PROTOCOL, JSON_PROTOCOL] : [JSON_PROTOCOL];
}
export function write(socket, frame) {
    if (socket.protocol === CBOR_PROTOCOL)
        socket.send(encode(frame));
    else
        socket.send(JSON.stringify(frame));
}
/** The frame in a message event of a socket whose `binaryType` is `arraybuffer`. */
export function read(data) {
    return (data instanceof ArrayBuffer ? decode(new Uint8Array(data)) : JSON.parse(String(data)));
}
