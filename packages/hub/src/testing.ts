/** Doubles for the hub's tests. */
export { MemoryClient } from "./testing/memory-client.ts";
