import type { HeldObject, Message, Outbox, Report, StateChange } from "@skerry/wire";

/**
 * What the link needs of the edge's memory; the SQLite cache implements it. Whatever a promise here resolves for is durable:
 * the link acknowledges to the cloud on the strength of it.
 */
export interface LinkCache {
  /** A number greater than every one given before, also by earlier lives of the agent, and at least `atLeast`. */
  nextEpoch(atLeast: number): Promise<number>;

  /** Everything that the cloud has put here. */
  held(): readonly HeldObject[];

  /**
   * Performs the changes in one transaction, in their order. A put replaces what is held under the name, whatever its uid;
   * deleting what is not held succeeds. Rejecting means that nothing was changed: the link breaks off and the cloud says it again.
   */
  commit(changes: readonly StateChange[]): Promise<void>;

  /** What the cloud must learn about objects, newest wins per object. */
  readonly reports: Outbox<Report>;

  /** What happened here, in order: Events and the like. */
  readonly messages: Outbox<Message>;

  /**
   * Told once per session when the difference of the hello has been committed: from then on what is held is all that the cloud
   * wants here. Until the first time, after a cache was lost, nothing that runs is taken for an orphan.
   */
  inSync(): Promise<void>;

  /** Takes messages of the cloud for good. An id that was taken within the dedupe window (at least 10,000 ids) is passed over. */
  receive(messages: readonly Message[]): Promise<void>;
}
