/** What hub and agent say to each other: frames, lanes, sessions, sync, streams, versions. */
export { AckTracker } from "./acknowledgement.ts";
export { MalformedFrameError } from "./bytes.ts";
export {
  FRAME,
  LANE,
  MAX_FRAME_BYTES,
  SUBPROTOCOL,
  decodeFrame,
  encodeFrame,
  type Frame,
  type FrameType,
  type Lane,
  type Payload,
} from "./frame.ts";
export type { LaneBudget } from "./lane-queue.ts";
export { MemoryOutbox } from "./memory-outbox.ts";
export { OutboxSender, type OutboxSenderOptions } from "./outbox-sender.ts";
export {
  MAX_HELD_OBJECTS,
  PROTOCOL_VERSION,
  encodeDelete,
  encodePut,
  type EndReason,
  type Goodbye,
  type Hello,
  type Welcome,
} from "./payloads.ts";
export type { StreamHandler, StreamRequest, StreamResponse } from "./request.ts";
export {
  Session,
  SessionEndedError,
  refusal,
  type SessionEnd,
  type SessionHandlers,
  type SessionOptions,
} from "./session.ts";
export {
  digestOf,
  objectId,
  projectionHash,
  type HeldObject,
  type Message,
  type ObjectName,
  type Outbox,
  type OutboxEntry,
  type Report,
  type StateChange,
} from "./state.ts";
export { StreamError, textResponse } from "./streams.ts";
export type { FrameTransport, TransportEvents } from "./transport.ts";
export {
  CA_PATH,
  HUB_NAME,
  JOIN_PATH,
  LINK_PATH,
  PROBLEM_HEADER,
  RENEW_PATH,
  UpgradeRefusedError,
  WebSocketAcceptor,
  connectWebSocket,
  offersSubprotocol,
} from "./websocket-transport.ts";
