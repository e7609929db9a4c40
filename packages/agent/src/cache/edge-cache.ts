import type { Clock, Logger } from "@skerry/base";
import { sqliteErrorOf, transaction, type Database, type Statement } from "@skerry/base/sqlite";
import type { ConfigMap, Node, Pod, Secret } from "@skerry/machinery/types";
import { objectId, type HeldObject, type Message, type ObjectName, type Report, type StateChange } from "@skerry/wire";
import type { LinkCache } from "../link/ports.ts";
import type { ConfigSource } from "../pods/env.ts";
import type { PodFacts } from "../pods/facts.ts";
import { TableOutbox } from "./outbox.ts";
import { openCacheDatabase } from "./schema.ts";

/** A pod that is to run here, or to be taken down. */
export interface CachedPod {
  pod: Pod;
  /** The cloud no longer has it here: it is taken down and forgotten. */
  leaving: boolean;
  /** Of its projection; "" for one that leaves. */
  hash: string;
}

/** The most messages that wait for the cloud. When full, the oldest are dropped: the newest say more about a node long out of sight. */
const MAX_MESSAGES = 2_000;
/** How many ids of received messages are remembered. */
const DEDUPE_WINDOW = 10_000;
/** The most received messages that wait for whom they concern; more are refused and stay with the cloud. */
const MAX_INBOX = 1_000;

/**
 * The edge's memory in SQLite: what the cloud wants here, what the cloud must learn, and what must survive a restart besides.
 * Whatever a promise of it resolves for is on the disk. Writes of the same moment share one transaction.
 */
export class EdgeCache implements LinkCache, ConfigSource, AsyncDisposable {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #sql: ReturnType<typeof prepare>;
  readonly #held = new Map<string, HeldObject>();
  readonly #pods = new Map<string, CachedPod>();
  readonly #facts = new Map<string, PodFacts>();
  readonly #listeners = new Set<(changed: readonly ObjectName[]) => void>();
  #isComplete: boolean;
  #pending: Write[] = [];
  #flushing: Promise<void> | undefined;
  #messageCount: number;
  #closed = false;
  #problem = "";

  readonly reports: TableOutbox<Report>;
  readonly messages: TableOutbox<Message>;

  /** Opens or makes the cache. What was damaged is set aside; see `complete`. */
  static open(file: string, { clock, log }: { clock: Clock; log: Logger }): EdgeCache {
    return openCacheDatabase(file, clock, log, (database) => new EdgeCache(database, clock, log));
  }

  private constructor(database: Database, clock: Clock, log: Logger) {
    this.#database = database;
    this.#clock = clock;
    this.#log = log;
    this.#sql = prepare(database);
    this.#isComplete = this.#meta("complete") === "true";
    this.#messageCount = Number(this.#sql.countMessages.get()?.["count"] ?? 0);
    this.reports = new TableOutbox<Report>({
      select: (order, limit) => this.#sql.reportsAfter.all(order, limit),
      read: readReport,
      acknowledge: (order) => this.#write(() => void this.#sql.ackReports.run(order)),
    });
    this.messages = new TableOutbox<Message>({
      select: (order, limit) => this.#sql.messagesAfter.all(order, clock.now(), limit),
      read: (row) => readMessage(row, clock.now()),
      acknowledge: (order) =>
        this.#write(() => void (this.#messageCount -= Number(this.#sql.ackMessages.run(order).changes))),
    });
    for (const row of this.#sql.allObjects.all()) {
      const object = { ...nameOf(row), uid: text(row["uid"]), hash: text(row["hash"]) };
      this.#held.set(objectId(object), object);
      if (object.resource === "pods") this.#keepPod(object, row["bytes"] as Uint8Array);
    }
    for (const row of this.#sql.allLeaving.all()) {
      this.#pods.set(text(row["uid"]), { pod: parse<Pod>(row["bytes"]), leaving: true, hash: "" });
    }
    for (const row of this.#sql.allFacts.all()) {
      this.#facts.set(text(row["uid"]), JSON.parse(text(row["json"])) as PodFacts);
    }
  }

  // What the link needs.

  async nextEpoch(atLeast: number): Promise<number> {
    const epoch = Math.max(Number(this.#meta("epoch") ?? 0) + 1, atLeast);
    await this.#write(() => this.#setMeta("epoch", String(epoch)));
    return epoch;
  }

  held(): readonly HeldObject[] {
    return [...this.#held.values()];
  }

  async commit(changes: readonly StateChange[]): Promise<void> {
    if (changes.length === 0) return;
    await this.#write(
      () => {
        for (const change of changes) this.#writeChange(change);
      },
      () => {
        for (const change of changes) this.#keepChange(change);
        this.#notify(changes.map(({ object }) => object));
      },
    );
  }

  async inSync(): Promise<void> {
    if (this.#isComplete) return;
    await this.#write(
      () => this.#setMeta("complete", "true"),
      () => {
        this.#isComplete = true;
        this.#notify([]);
      },
    );
  }

  async receive(messages: readonly Message[]): Promise<void> {
    await this.#write(() => {
      for (const { id, topic, ttlMs, bytes } of messages) {
        if (this.#sql.addReceived.run(id).changes === 0) continue;
        if (Number(this.#sql.countInbox.get()?.["count"]) >= MAX_INBOX) {
          throw new Error(`Cannot take message ${id}: ${MAX_INBOX} messages wait to be handled`);
        }
        this.#sql.addInbox.run(id, topic, ttlMs === 0 ? 0 : this.#clock.now() + ttlMs, bytes);
      }
      this.#sql.trimReceived.run(DEDUPE_WINDOW);
    });
  }

  // What the agent needs.

  /** Whether this holds all that the cloud wants here. Until then what runs and is not known here may still be wanted. */
  get complete(): boolean {
    return this.#isComplete;
  }

  /** Why nothing can be written; empty when the last write succeeded. */
  get problem(): string {
    return this.#problem;
  }

  /** The same, known from a write of this moment when the last one failed: the disk may have room again. A cache in order is not written to. */
  async problemNow(): Promise<string> {
    const probe = (): void => this.#setMeta("probe", String(this.#clock.now()));
    // Why it failed is the problem then.
    if (this.#problem !== "") await this.#write(probe).catch(() => {});
    return this.#problem;
  }

  /** How much waits in the outboxes. Not prepared beforehand: it is asked for when somebody looks. */
  waiting(): Record<"reports" | "messages", { items: number; bytes: number }> {
    const sizeOf = (table: "reports" | "messages"): { items: number; bytes: number } => {
      const counts = `SELECT count(*) AS items, coalesce(sum(length(bytes)), 0) AS bytes FROM ${table}`;
      const { items, bytes } = this.#database.prepare(counts).get() ?? {};
      return { items: Number(items), bytes: Number(bytes) };
    };
    return { reports: sizeOf("reports"), messages: sizeOf("messages") };
  }

  /** Calls `listener` after each commit with what it was about; returns what ends that. */
  onChange(listener: (changed: readonly ObjectName[]) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  pods(): IterableIterator<[uid: string, pod: CachedPod]> {
    return this.#pods.entries();
  }

  pod(uid: string): CachedPod | undefined {
    return this.#pods.get(uid);
  }

  /** The pod of this name that the cloud wants here. */
  podNamed(namespace: string, name: string): CachedPod | undefined {
    const held = this.#held.get(objectId({ resource: "pods", namespace, name }));
    return held && this.#pods.get(held.uid);
  }

  /** The edge's own Node, as the cloud knows it. */
  node(): Node | undefined {
    for (const { resource, namespace, name } of this.#held.values()) {
      if (resource === "nodes") return this.#object<Node>({ resource, namespace, name });
    }
    return undefined;
  }

  configMap(namespace: string, name: string): ConfigMap | undefined {
    return this.#object<ConfigMap>({ resource: "configmaps", namespace, name });
  }

  secret(namespace: string, name: string): Secret | undefined {
    return this.#object<Secret>({ resource: "secrets", namespace, name });
  }

  /** The version held of an object, or "" when there is none. */
  hashOf(name: ObjectName): string {
    return this.#held.get(objectId(name))?.hash ?? "";
  }

  facts(uid: string): PodFacts | undefined {
    return this.#facts.get(uid);
  }

  /** Keeps what is to be remembered of a pod and, in the same transaction, queues what the cloud is to learn of it. */
  async saveFacts(facts: PodFacts, report?: Report): Promise<void> {
    await this.#write(
      () => {
        this.#sql.putFacts.run(facts.uid, JSON.stringify(facts));
        if (report) this.#putReport(report);
      },
      () => {
        this.#facts.set(facts.uid, facts);
        if (report) this.reports.added();
      },
    );
  }

  /** Remembers it until the process ends, for want of a disk that takes it. */
  holdFacts(facts: PodFacts): void {
    this.#facts.set(facts.uid, facts);
  }

  /** Forgets a pod of which nothing is left here and that the cloud no longer has here. */
  async forgetPod(uid: string): Promise<void> {
    await this.#write(
      () => {
        this.#sql.dropFacts.run(uid);
        this.#sql.dropLeaving.run(uid);
      },
      () => {
        this.#facts.delete(uid);
        if (this.#pods.get(uid)?.leaving) this.#pods.delete(uid);
      },
    );
  }

  /** The uids of pods of which something is remembered. */
  rememberedUids(): string[] {
    return [...this.#facts.keys()];
  }

  /** Queues what the cloud is to learn of an object that is no pod. */
  async report(report: Report): Promise<void> {
    await this.#write(
      () => this.#putReport(report),
      () => this.reports.added(),
    );
  }

  /** Queues a message. One that still waits under the same slot is replaced. */
  async send(message: Message, slot?: string): Promise<void> {
    const expires = message.ttlMs === 0 ? 0 : this.#clock.now() + message.ttlMs;
    await this.#write(
      () => {
        if (slot !== undefined) this.#messageCount -= Number(this.#sql.dropSlot.run(slot).changes);
        this.#sql.addMessage.run(message.id, message.topic, slot ?? null, expires, message.bytes);
        this.#messageCount++;
        if (this.#messageCount <= MAX_MESSAGES) return;
        const dropped = Number(this.#sql.trimMessages.run(this.#messageCount - MAX_MESSAGES).changes);
        this.#messageCount -= dropped;
        this.#log.debug({ dropped, bound: MAX_MESSAGES }, "dropped the oldest messages for the cloud");
      },
      () => this.messages.added(),
    );
  }

  /** A value kept under a name of the agent's own. */
  note(key: string): string | undefined {
    return this.#meta(`note.${key}`);
  }

  async setNote(key: string, value: string): Promise<void> {
    if (this.note(key) === value) return;
    await this.#write(() => this.#setMeta(`note.${key}`, value));
  }

  /** Replaces the facts of all pods in one transaction. */
  async rewriteFacts(change: (facts: PodFacts) => PodFacts): Promise<void> {
    const changed = [...this.#facts.values()].map(change);
    await this.#write(
      () => {
        for (const facts of changed) this.#sql.putFacts.run(facts.uid, JSON.stringify(facts));
      },
      () => {
        for (const facts of changed) this.#facts.set(facts.uid, facts);
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    while (this.#flushing) await this.#flushing;
    this.#closed = true;
    this.#database.close();
  }

  /** Adds to the transaction that is about to be made. `kept` runs after the commit; a failure fails all that shared it. */
  #write(work: () => void, kept: () => void = () => {}): Promise<void> {
    if (this.#closed) return Promise.reject(new Error("The edge's cache is closed"));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.push({ work, kept, resolve, reject });
    this.#flushing ??= this.#flushSoon();
    return promise;
  }

  async #flushSoon(): Promise<void> {
    await new Promise(setImmediate);
    this.#flushing = undefined;
    const writes = this.#pending;
    this.#pending = [];
    if (!this.#commitTogether(writes) && writes.length > 1) {
      // One bad write must not fail its neighbours: each gets a transaction of its own.
      for (const write of writes) this.#commitTogether([write], true);
    }
  }

  #commitTogether(writes: Write[], last = writes.length === 1): boolean {
    const countBefore = this.#messageCount;
    try {
      transaction(this.#database, () => {
        for (const { work } of writes) work();
      });
    } catch (error) {
      this.#messageCount = countBefore;
      // What is wrong with one write alone, such as a value of a wrong type, is no trouble of the disk.
      if (sqliteErrorOf(error) !== undefined) this.#problem = error instanceof Error ? error.message : String(error);
      if (last) for (const { reject } of writes) reject(error);
      return false;
    }
    this.#problem = "";
    for (const { kept, resolve } of writes) {
      kept();
      resolve();
    }
    return true;
  }

  #writeChange(change: StateChange): void {
    const { resource, namespace, name, uid, hash } = change.object;
    if (resource === "pods") {
      const old = this.#sql.oneObject.get(resource, namespace, name);
      const isReplaced = old !== undefined && (change.op === "delete" || old["uid"] !== uid);
      if (isReplaced) this.#sql.putLeaving.run(text(old["uid"]), old["bytes"] as Uint8Array);
      if (change.op === "put") this.#sql.dropLeaving.run(uid);
    }
    if (change.op === "put") this.#sql.putObject.run(resource, namespace, name, uid, hash, change.bytes);
    else this.#sql.dropObject.run(resource, namespace, name);
  }

  #keepChange(change: StateChange): void {
    const id = objectId(change.object);
    const old = this.#held.get(id);
    if (old?.resource === "pods" && (change.op === "delete" || old.uid !== change.object.uid)) {
      const known = this.#pods.get(old.uid);
      if (known) this.#pods.set(old.uid, { pod: known.pod, leaving: true, hash: "" });
    }
    if (change.op === "delete") {
      this.#held.delete(id);
      return;
    }
    this.#held.set(id, { ...change.object });
    if (change.object.resource === "pods") this.#keepPod(change.object, change.bytes);
  }

  #keepPod({ uid, hash }: HeldObject, bytes: Uint8Array): void {
    this.#pods.set(uid, { pod: parse<Pod>(bytes), leaving: false, hash });
  }

  #putReport({ resource, namespace, name, uid, gone, bytes }: Report): void {
    const object = `${resource}/${namespace}/${name}/${uid}`;
    this.#sql.putReport.run(object, resource, namespace, name, uid, gone ? 1 : 0, bytes);
  }

  #object<T>({ resource, namespace, name }: ObjectName): T | undefined {
    const row = this.#sql.oneObject.get(resource, namespace, name);
    return row && parse<T>(row["bytes"]);
  }

  #meta(key: string): string | undefined {
    const row = this.#sql.getMeta.get(key);
    return row && text(row["value"]);
  }

  #setMeta(key: string, value: string): void {
    this.#sql.putMeta.run(key, value);
  }

  #notify(changed: readonly ObjectName[]): void {
    for (const listener of this.#listeners) listener(changed);
  }
}

interface Write {
  work: () => void;
  kept: () => void;
  resolve: () => void;
  reject: (error: unknown) => void;
}

const prepare = (database: Database) =>
  ({
    getMeta: database.prepare("SELECT value FROM meta WHERE key = ?"),
    putMeta: database.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)"),
    allObjects: database.prepare(
      "SELECT resource, namespace, name, uid, hash, CASE resource WHEN 'pods' THEN bytes END AS bytes FROM objects",
    ),
    oneObject: database.prepare("SELECT uid, bytes FROM objects WHERE resource = ? AND namespace = ? AND name = ?"),
    putObject: database.prepare(
      "INSERT OR REPLACE INTO objects (resource, namespace, name, uid, hash, bytes) VALUES (?, ?, ?, ?, ?, ?)",
    ),
    dropObject: database.prepare("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?"),
    allLeaving: database.prepare("SELECT uid, bytes FROM leaving"),
    putLeaving: database.prepare("INSERT OR REPLACE INTO leaving (uid, bytes) VALUES (?, ?)"),
    dropLeaving: database.prepare("DELETE FROM leaving WHERE uid = ?"),
    allFacts: database.prepare("SELECT uid, json FROM facts"),
    putFacts: database.prepare("INSERT OR REPLACE INTO facts (uid, json) VALUES (?, ?)"),
    dropFacts: database.prepare("DELETE FROM facts WHERE uid = ?"),
    reportsAfter: database.prepare("SELECT * FROM reports WHERE ord > ? ORDER BY ord LIMIT ?"),
    ackReports: database.prepare("DELETE FROM reports WHERE ord <= ?"),
    putReport: database.prepare(
      "INSERT OR REPLACE INTO reports (object, resource, namespace, name, uid, gone, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
    ),
    messagesAfter: database.prepare(
      "SELECT * FROM messages WHERE ord > ? AND (expires = 0 OR expires > ?) ORDER BY ord LIMIT ?",
    ),
    ackMessages: database.prepare("DELETE FROM messages WHERE ord <= ?"),
    addMessage: database.prepare("INSERT INTO messages (id, topic, slot, expires, bytes) VALUES (?, ?, ?, ?, ?)"),
    dropSlot: database.prepare("DELETE FROM messages WHERE slot = ?"),
    trimMessages: database.prepare("DELETE FROM messages WHERE ord IN (SELECT ord FROM messages ORDER BY ord LIMIT ?)"),
    countMessages: database.prepare("SELECT count(*) AS count FROM messages"),
    addReceived: database.prepare("INSERT OR IGNORE INTO received (id) VALUES (?)"),
    trimReceived: database.prepare("DELETE FROM received WHERE ord <= (SELECT max(ord) FROM received) - ?"),
    addInbox: database.prepare("INSERT INTO inbox (id, topic, expires, bytes) VALUES (?, ?, ?, ?)"),
    countInbox: database.prepare("SELECT count(*) AS count FROM inbox"),
  }) satisfies Record<string, Statement>;

const text = (value: unknown): string => String(value);

const parse = <T>(bytes: unknown): T => JSON.parse(Buffer.from(bytes as Uint8Array).toString()) as T;

const nameOf = (row: Record<string, unknown>): ObjectName => ({
  resource: text(row["resource"]),
  namespace: text(row["namespace"]),
  name: text(row["name"]),
});

const readReport = (row: Record<string, unknown>): Report => ({
  ...nameOf(row),
  uid: text(row["uid"]),
  gone: row["gone"] === 1,
  bytes: row["bytes"] as Uint8Array,
});

function readMessage(row: Record<string, unknown>, now: number): Message {
  const expires = Number(row["expires"]);
  const ttlMs = expires === 0 ? 0 : expires - now;
  return { id: text(row["id"]), topic: text(row["topic"]), ttlMs, bytes: row["bytes"] as Uint8Array };
}
