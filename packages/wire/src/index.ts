/** What hub and agent say to each other: frames, lanes, sessions, sync, streams, versions. */
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
export type { StreamHandler, StreamRequest, StreamResponse } from "./request.ts";
