import {
  encodeDelete,
  MalformedFrameError,
  objectId,
  type HeldObject,
  type ObjectName,
  type Payload,
} from "@skerry/wire";
import type { Projection } from "./projection.ts";

export interface DownSyncOptions {
  /** What the node should hold now. */
  wanted: (name: ObjectName) => Projection | undefined;
  send: {
    put: (seq: number, payload: Payload) => void;
    delete: (seq: number, payload: Payload) => void;
    synced: (seq: number) => void;
  };
  /** How many changes, and how many bytes of them, may be out before the edge has committed them. A first one of any size always goes. */
  window?: { changes: number; bytes: number };
}

/**
 * Brings one edge, over one session, to hold what it should: names that may differ are looked at in turn, and where what was
 * sent last is not what is wanted now, the difference goes out. Many changes are on the way at once; an object that changes faster than the
 * edge commits is sent in its newest version only.
 */
export class DownSync {
  readonly #options: DownSyncOptions;
  readonly #window: { changes: number; bytes: number };
  /** What the edge holds once it has everything that was sent. */
  readonly #sent = new Map<string, { uid: string; hash: string }>();
  /** Names to be looked at, in order. */
  readonly #dirty = new Map<string, ObjectName>();
  readonly #flight: { seq: number; bytes: number }[] = [];
  #flightBytes = 0;
  #seq = 0;
  #acknowledged = 0;
  #syncedSeq = 0;
  #isStarted = false;
  #isDifferenceSent = false;

  constructor(options: DownSyncOptions) {
    this.#options = options;
    this.#window = options.window ?? { changes: 256, bytes: 1 << 20 };
  }

  /** Begins with what the edge says that it holds, and the names of what it should hold. */
  start(held: readonly HeldObject[], names: readonly ObjectName[]): void {
    if (this.#isStarted) throw new MalformedFrameError("What is held was said already");
    this.#isStarted = true;
    for (const object of held) this.#sent.set(objectId(object), { uid: object.uid, hash: object.hash });
    for (const name of names) this.#dirty.set(objectId(name), name);
    for (const { resource, namespace, name } of held) {
      const named = { resource, namespace, name };
      this.#dirty.set(objectId(named), named);
    }
    this.#pump();
  }

  /** Something under this name may have changed. */
  touch(name: ObjectName): void {
    if (!this.#isStarted) return;
    this.#dirty.set(objectId(name), name);
    this.#pump();
  }

  /** The edge has committed everything up to `seq`. */
  acknowledged(seq: number): void {
    if (seq > this.#seq || seq < this.#acknowledged) {
      throw new MalformedFrameError(`Acknowledgement of ${seq}, sent were ${this.#seq}`);
    }
    this.#acknowledged = seq;
    for (let first = this.#flight[0]; first && first.seq <= seq; first = this.#flight[0]) {
      this.#flightBytes -= first.bytes;
      this.#flight.shift();
    }
    this.#pump();
  }

  /** The edge has committed the difference that the session began with. */
  get isSynced(): boolean {
    return this.#isDifferenceSent && this.#acknowledged >= this.#syncedSeq;
  }

  /** Everything that was to be said has been said and committed. */
  get isIdle(): boolean {
    return this.isSynced && this.#dirty.size === 0 && this.#flight.length === 0;
  }

  #pump(): void {
    for (const [id, name] of this.#dirty) {
      if (this.#flight.length >= this.#window.changes || this.#flightBytes >= this.#window.bytes) return;
      this.#dirty.delete(id);
      this.#look(id, name);
    }
    if (this.#isDifferenceSent || this.#flight.length >= this.#window.changes) return;
    this.#isDifferenceSent = true;
    this.#syncedSeq = this.#next(0);
    this.#options.send.synced(this.#syncedSeq);
  }

  #look(id: string, name: ObjectName): void {
    const wanted = this.#options.wanted(name);
    const sent = this.#sent.get(id);
    if (wanted) {
      const { uid, hash } = wanted.object;
      if (sent?.hash === hash && sent.uid === uid) return;
      const payload = wanted.payload();
      this.#sent.set(id, { uid, hash });
      this.#options.send.put(this.#next(payload.bytes.length), payload);
    } else if (sent) {
      this.#sent.delete(id);
      const payload = encodeDelete({ ...name, uid: sent.uid });
      this.#options.send.delete(this.#next(payload.bytes.length), payload);
    }
  }

  #next(bytes: number): number {
    this.#seq++;
    this.#flight.push({ seq: this.#seq, bytes });
    this.#flightBytes += bytes;
    return this.#seq;
  }
}
