import { refusal, type Hello } from "@skerry/wire";
import type { NodeLink } from "./node-link.ts";

/** How many lives of agents are remembered for each node, to tell a clone from a restart. */
const REMEMBERED = 8;
/** A device whose identity is used twice is asked to stay away for this long each time. */
const DUPLICATE_RETRY_MS = 60_000;
const STALE_RETRY_MS = 1000;

interface Entry {
  link: NodeLink | undefined;
  epoch: number;
  instance: string;
  /** Lives of agents that a later one took over from. */
  former: string[];
}

/**
 * Which node is linked, by which session. Of two sessions of a node the one with the newer epoch lives. A life of an agent that
 * comes back after another one took over from it shows that two devices have one identity: a restarted agent has a new life.
 */
export class Sessions {
  readonly #entries = new Map<string, Entry>();
  readonly #onDuplicate: (node: string) => void;

  constructor(onDuplicate: (node: string) => void) {
    this.#onDuplicate = onDuplicate;
  }

  /** The live session of a node. */
  locate(node: string): NodeLink | undefined {
    return this.#entries.get(node)?.link;
  }

  get size(): number {
    let size = 0;
    for (const { link } of this.#entries.values()) if (link) size++;
    return size;
  }

  /** Makes `link` the node's session, ending an older one. Throws the goodbye when it may not be. */
  admit(link: NodeLink, { epoch, instance }: Hello): void {
    const { node } = link.identity;
    const entry = this.#entries.get(node);
    if (!entry) {
      this.#entries.set(node, { link, epoch, instance, former: [] });
      return;
    }
    const current = entry.link;
    if (entry.former.includes(instance)) {
      this.#onDuplicate(node);
      // Whoever is here stays: two that push each other out would help nobody.
      if (current) {
        throw refusal(
          "duplicate-identity",
          `Another device is linked as node "${node}": one of the two was copied and must be reset and joined under its own name`,
          { retryAfterMs: DUPLICATE_RETRY_MS },
        );
      }
    }
    if (current && epoch <= entry.epoch) {
      throw refusal("stale-epoch", `A session with epoch ${entry.epoch} is there already`, {
        epoch: entry.epoch,
        retryAfterMs: STALE_RETRY_MS,
      });
    }
    if (entry.instance !== instance) {
      entry.former = [...entry.former.filter((former) => former !== instance), entry.instance].slice(-REMEMBERED);
    }
    Object.assign(entry, { link, epoch, instance });
    current?.close({ reason: "replaced", message: `A newer session took over (epoch ${epoch})` });
  }

  /** The session is over. Late news of one that was replaced changes nothing. */
  leave(link: NodeLink): boolean {
    const entry = this.#entries.get(link.identity.node);
    if (entry?.link !== link) return false;
    entry.link = undefined;
    return true;
  }

  /** The node does not exist any more. */
  forget(node: string): void {
    const entry = this.#entries.get(node);
    if (!entry) return;
    if (entry.link) entry.link.close({ reason: "revoked", message: `Node "${node}" was deleted: join again` });
    this.#entries.delete(node);
  }
}
