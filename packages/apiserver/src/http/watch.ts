import type { WatchEvent } from "@skerry/client";
import { apiVersionOf, type Encoded } from "@skerry/machinery";
import type { Resource } from "../api.ts";
import { setCommonHeaders } from "./answer.ts";
import { writable, type Exchange } from "./exchange.ts";
import { objectBytes } from "./forms.ts";
import type { AnswerForm } from "./negotiate.ts";
import type { WatchRounds } from "./watch-rounds.ts";
import { columnsJson, rowJson, tableJson, type RowObject } from "./table.ts";

/** How events are shown to one watcher. */
export interface WatchForm {
  readonly form: AnswerForm;
  readonly row: RowObject;
}

/** Lines are gathered up to this before they are written, and the watcher waits until its client has taken them. */
const WRITE_BYTES = 64 << 10;
const LINE_END = Buffer.from("}\n");

/**
 * Keeps the lines of the newest events, so that an event is encoded once however many watch it. Bounded by number and bytes; what falls out is made again.
 */
export class WatchLines {
  readonly #lines = new Map<Encoded, Map<string, Uint8Array>>();
  readonly #maxObjects: number;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor({ maxObjects = 256, maxBytes = 4 << 20 }: { maxObjects?: number; maxBytes?: number } = {}) {
    this.#maxObjects = maxObjects;
    this.#maxBytes = maxBytes;
  }

  /** The line of an event. `make` gives the bytes of its object in the wanted form. */
  line(object: Encoded, variant: string, type: string, make: () => Uint8Array): Uint8Array {
    let variants = this.#lines.get(object);
    const key = `${type} ${variant}`;
    const known = variants?.get(key);
    if (known) return known;
    const line = eventLine(type, make());
    if (variants === undefined) {
      variants = new Map();
      this.#lines.set(object, variants);
    }
    variants.set(key, line);
    this.#bytes += line.length;
    while (this.#lines.size > this.#maxObjects || this.#bytes > this.#maxBytes) this.#dropOldest();
    return line;
  }

  #dropOldest(): void {
    const oldest = this.#lines.entries().next().value;
    if (!oldest) return;
    const [object, variants] = oldest;
    for (const line of variants.values()) this.#bytes -= line.length;
    this.#lines.delete(object);
  }
}

/** One event as it travels: a JSON text on a line. */
function eventLine(type: string, object: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), object, LINE_END]);
}

/** An event that carries a Status: the watch ends with it. */
export const errorLine = (status: object): Uint8Array => eventLine("ERROR", Buffer.from(JSON.stringify(status)));

/** Writes the lines of one watch: many at once when many come at once, and no faster than the client reads. */
export class WatchWriter {
  readonly #exchange: Exchange;
  readonly #rounds: WatchRounds;
  #pending: Uint8Array[] = [];
  #size = 0;
  #joined = false;
  /** Set while the client has not taken what was written last. */
  #drained: Promise<void> | undefined;

  constructor(exchange: Exchange, rounds: WatchRounds) {
    this.#exchange = exchange;
    this.#rounds = rounds;
  }

  /** Sends the head of the answer at once: clients wait for it before they believe in the watch. */
  open(): void {
    const { response } = this.#exchange;
    if (response.headersSent) return;
    response.setHeader("content-type", "application/json");
    setCommonHeaders(this.#exchange);
    response.writeHead(200);
    response.flushHeaders();
  }

  /** Takes a line, and resolves when another may come: at once, unless so much waits that the client must read first. */
  push(line: Uint8Array): Promise<void> | undefined {
    this.#pending.push(line);
    this.#size += line.length;
    if (this.#size >= WRITE_BYTES) this.flush();
    else if (!this.#joined) {
      this.#joined = true;
      this.#rounds.join(this.#write);
    }
    return this.#drained;
  }

  readonly #write = (): void => {
    this.#joined = false;
    this.flush();
  };

  /** Writes what waits. A client that is slower than its events is waited for before it gets more. */
  flush(): void {
    if (this.#size === 0) return;
    const { response } = this.#exchange;
    const [first] = this.#pending;
    const chunk = this.#pending.length === 1 && first ? first : Buffer.concat(this.#pending, this.#size);
    this.#pending = [];
    this.#size = 0;
    if (response.destroyed === true || response.writableEnded || response.write(chunk)) return;
    this.#drained ??= writable(response).then(() => void (this.#drained = undefined));
  }
}

/** Turns events into lines for one watcher; the first line of a Table carries the columns. */
export class WatchEncoder {
  readonly #resource: Resource;
  readonly #form: WatchForm;
  readonly #lines: WatchLines;
  readonly #now: () => number;
  readonly #variant: string;
  #isFirst = true;

  constructor(resource: Resource, form: WatchForm, lines: WatchLines, now: () => number) {
    this.#resource = resource;
    this.#form = form;
    this.#lines = lines;
    this.#now = now;
    this.#variant = form.form === "table" ? `table ${form.row}` : form.form;
  }

  encode(event: WatchEvent): Uint8Array {
    if (event.type === "BOOKMARK") return eventLine("BOOKMARK", this.#bookmark(event));
    const { form, row } = this.#form;
    const { object, type } = event;
    if (form !== "table")
      return this.#lines.line(object, this.#variant, type, () =>
        objectBytes(this.#resource, object, form, row, this.#now()),
      );
    if (!this.#isFirst) return this.#lines.line(object, this.#variant, type, () => this.#table(object, undefined));
    this.#isFirst = false;
    return eventLine(type, this.#table(object, columnsJson(this.#resource)));
  }

  #table(object: Encoded, columns: string | undefined): Uint8Array {
    const row = rowJson(this.#resource, object, this.#form.row, this.#now());
    return Buffer.from(tableJson([row], columns, { resourceVersion: object.revision }));
  }

  /** An object with nothing but its revision (KEP-956), and the mark that the initial events are over (KEP-3157). */
  #bookmark({ revision, initialEventsEnd }: { revision: string; initialEventsEnd: boolean }): Uint8Array {
    const { kind } = this.#resource;
    const metadata = {
      resourceVersion: revision,
      creationTimestamp: null,
      ...(initialEventsEnd && { annotations: { "k8s.io/initial-events-end": "true" } }),
    };
    const partial = { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata };
    switch (this.#form.form) {
      case "object":
        return Buffer.from(JSON.stringify({ kind: kind.kind, apiVersion: apiVersionOf(kind), metadata }));
      case "metadata":
        return Buffer.from(JSON.stringify(partial));
      case "table": {
        const row = JSON.stringify({ cells: [], object: partial });
        return Buffer.from(tableJson([row], undefined, { resourceVersion: revision }));
      }
    }
  }
}
