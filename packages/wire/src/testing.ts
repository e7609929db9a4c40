/** Doubles of the link for tests: a connection in memory, and outboxes that forget with the process. */
export { memoryPair, type MemoryPairOptions } from "./memory-transport.ts";
export { MemoryOutbox } from "./memory-outbox.ts";
