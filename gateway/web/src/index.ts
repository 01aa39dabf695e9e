/** The TypeScript client. Nothing here needs a page: it runs wherever there are `WebSocket`, `fetch` and `crypto`. */

export * from "./accounts.js";
export { ChatClient, type Handlers, type Options, type Status } from "./client.js";
export { type Encoding } from "./frames.js";
export * from "./protocol.js";
export { WAITING_MAX, type HistoryOptions, type NewRoom, type SendOptions } from "./requests.js";
export { mentionsIn } from "./mentions.js";
export { State, type Draft, type RoomState, type Tick } from "./state.js";
export { type Text } from "./texts.js";
export { uuid7 } from "./uuid.js";
