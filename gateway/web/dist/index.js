/** The TypeScript client. Nothing here needs a page: it runs wherever there are `WebSocket`, `fetch` and `crypto`. */
export * from "./accounts.js";
export { ChatClient } from "./client.js";
export * from "./protocol.js";
export { WAITING_MAX } from "./requests.js";
export { mentionsIn } from "./mentions.js";
export { State } from "./state.js";
export { uuid7 } from "./uuid.js";
