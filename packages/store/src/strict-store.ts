import assert from "node:assert/strict";
import type { Encoded } from "@skerry/machinery";
import type { Write } from "./port.ts";
import { Store } from "./store.ts";

/** A store for tests that believes nobody: what is handed over as the object must be what the bytes decode to. */
export class StrictStore extends Store {
  override write(write: Write): Promise<Encoded> {
    const { object } = write;
    const encode = (revision: number): Uint8Array => {
      const bytes = write.encode(revision);
      if (object) {
        const { resourceVersion: _, ...metadata } = object.metadata;
        const decoded = JSON.parse(Buffer.from(bytes).toString("utf8")) as typeof object;
        delete decoded.metadata.resourceVersion;
        assert.deepEqual({ ...object, metadata }, decoded);
      }
      return bytes;
    };
    return super.write({ ...write, encode });
  }
}
