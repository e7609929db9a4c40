import type { Database, Statement } from "@skerry/base/sqlite";

import type { BeforeRow, ChangeRow, ChangesQuery, LoadedRow, LogFacts } from "./commit-log.ts";
import { StoreOpenError } from "./commit-log.ts";
import { DELETE } from "./schema.ts";

/** How many rows of the log one read looks at, whatever it finds: what a read may cost the thread it runs on. */
const WINDOW_ROWS = 500;

type ChangeColumns = [number, number, string, string, number, Uint8Array, Uint8Array | null];

/** The reading half of the log on one SQLite connection; a writer elsewhere does not block it (WAL). */
export class LogReader {
  readonly #database: Database;
  readonly #windowEnd: Statement;
  readonly #changes: Statement;
  readonly #before: Statement;
  readonly #bytes: Statement;
  readonly #has: Statement;

  constructor(database: Database) {
    this.#database = database;
    const returnArrays = { returnArrays: true };
    this.#windowEnd = database.prepare(
      `SELECT max(rev), count(*) FROM (SELECT rev FROM log WHERE rev > ? AND rev <= ? ORDER BY rev LIMIT ${WINDOW_ROWS})`,
      returnArrays,
    );
    this.#changes = database.prepare(
      `SELECT l.rev, l.op, l.namespace, l.name, l.prev_rev, l.value, p.value FROM log l LEFT JOIN log p ON p.rev = l.prev_rev
       WHERE l.rev > ?1 AND l.rev <= ?2 AND l.resource = ?3 AND (?4 IS NULL OR l.namespace = ?4) AND (?5 IS NULL OR l.name = ?5)
       ORDER BY l.rev`,
      returnArrays,
    );
    this.#before = database.prepare(
      "SELECT namespace, name, prev_rev FROM log WHERE rev > ? AND rev <= ? AND resource = ? ORDER BY rev",
      returnArrays,
    );
    this.#bytes = database.prepare("SELECT value FROM log WHERE rev = ?", returnArrays);
    this.#has = database.prepare("SELECT 1 FROM log WHERE rev = ?");
  }

  facts(): LogFacts {
    const meta = new Map(
      (this.#database.prepare("SELECT key, value FROM meta").all() as { key: string; value: number | string }[]).map(
        ({ key, value }) => [key, value],
      ),
    );
    const newest = this.#database.prepare("SELECT max(rev) AS newest FROM log").get() as { newest: number | null };
    return {
      revision: Math.max(newest.newest ?? 0, Number(meta.get("ceiling") ?? 0)),
      compacted: Number(meta.get("compacted") ?? 0),
      volatile: String(meta.get("volatile") ?? "")
        .split(" ")
        .filter((resource) => resource !== ""),
    };
  }

  *load(): Generator<LoadedRow> {
    const rows = this.#database
      .prepare(
        `SELECT c.resource, c.namespace, c.name, c.rev, l.value FROM current c LEFT JOIN log l ON l.rev = c.rev
         ORDER BY c.resource, c.namespace, c.name`,
        { returnArrays: true },
      )
      .iterate() as Iterable<unknown> as Iterable<[string, string, string, number, Uint8Array | null]>;
    for (const [resource, namespace, name, revision, bytes] of rows) {
      if (bytes === null) {
        throw new StoreOpenError(
          `Cannot load ${resource} ${namespace}/${name}: its revision ${revision} is missing from the log; the file is damaged, restore it from a backup`,
        );
      }
      yield { revision, resource, namespace, name, bytes };
    }
  }

  has(revision: number): boolean {
    return this.#has.get(revision) !== undefined;
  }

  changes({ resource, after, upTo, namespace, name }: ChangesQuery): { rows: ChangeRow[]; upTo: number } {
    const [last, count] = this.#windowEnd.get(after, upTo) as unknown as [number | null, number];
    const end = count < WINDOW_ROWS || last === null ? upTo : last;
    const found = this.#changes.all(
      after,
      end,
      resource,
      namespace ?? null,
      name ?? null,
    ) as unknown as ChangeColumns[];
    const rows = found.map(([revision, op, rowNamespace, rowName, previous, bytes, previousBytes]) => ({
      revision,
      namespace: rowNamespace,
      name: rowName,
      deleted: op === DELETE,
      bytes,
      previous,
      previousBytes: previousBytes ?? undefined,
    }));
    return { rows, upTo: end };
  }

  keysBefore(resource: string, after: number, upTo: number): BeforeRow[] {
    const seen = new Set<string>();
    const rows: BeforeRow[] = [];
    const found = this.#before.iterate(after, upTo, resource) as Iterable<unknown> as Iterable<
      [string, string, number]
    >;
    for (const [namespace, name, revision] of found) {
      const id = `${namespace}/${name}`;
      if (seen.has(id)) continue;
      seen.add(id);
      rows.push({ namespace, name, revision });
    }
    return rows;
  }

  bytes(revision: number): Uint8Array | undefined {
    return (this.#bytes.get(revision) as unknown as [Uint8Array] | undefined)?.[0];
  }
}
