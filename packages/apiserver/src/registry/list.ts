import type { ListOptions } from "@skerry/client";
import {
  badRequest,
  CompactedError,
  expired,
  fieldError,
  invalid,
  type Encoded,
  type FieldError,
  type ObjectKey,
} from "@skerry/machinery";
import type { ApiList } from "../api.ts";
import { decodeContinue, encodeContinue } from "./continue-token.ts";
import { resourceName, type Core } from "./core.ts";
import type { KindRow } from "./kind-row.ts";
import { newestRevision, parseRevision, waitForRevision } from "./revisions.ts";
import { filterOf, type Filter } from "./selection.ts";

const TOO_OLD_TOKEN =
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without " +
  "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. " +
  "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or " +
  "deleted between the time the first chunk was returned and now may show up in the list.";
const TOO_NEW_TOKEN =
  "The provided continue parameter is of a revision that is not there: the store has been put back to an older state since, " +
  "or the token is none of this server's. Start a new list without the continue parameter.";
const TOO_OLD_LIST = "The resourceVersion for the provided list is too old.";

/** Where a list starts and which state it shows; `at` absent means the newest. */
interface Start {
  at?: number;
  after?: ObjectKey;
}

/**
 * Answers a list. One process holds the newest state, so "any", "not older than" and "newest" are one answer; only
 * `Exact` and later parts of a list look back. Source: Kubernetes API concepts, "Resource versions", "Retrieving large results sets in chunks".
 */
export async function listObjects(core: Core, row: KindRow, options: ListOptions): Promise<ApiList> {
  validate(options);
  const filter = filterOf(row, options);
  const start = await startOf(core, row, options);
  try {
    return collect(core, row, filter, start, options.limit ?? 0);
  } catch (error) {
    if (!(error instanceof CompactedError)) throw error;
    if (start.after) throw expired(TOO_OLD_TOKEN, encodeContinue({ revision: -1, after: start.after }));
    throw expired(TOO_OLD_LIST);
  }
}

async function startOf(core: Core, row: KindRow, options: ListOptions): Promise<Start> {
  if (options.continue !== undefined && options.continue !== "") {
    if (parseRevision(options.resourceVersion) !== undefined) {
      throw badRequest("specifying resource version is not allowed when using continue");
    }
    const { revision, after } = decodeContinue(options.continue);
    if (revision === -1) return { after };
    // Expired is what makes clients begin anew.
    if (revision > newestRevision(core, row)) throw expired(TOO_NEW_TOKEN);
    return { after, at: revision };
  }
  const revision = parseRevision(options.resourceVersion);
  if (revision === undefined) return {};
  await waitForRevision(core, row, revision, options.signal);
  // A limited list with a revision and no match is exact by old custom.
  const exact = options.resourceVersionMatch === "Exact" || (!options.resourceVersionMatch && (options.limit ?? 0) > 0);
  return exact ? { at: revision } : {};
}

function collect(core: Core, row: KindRow, filter: Filter, start: Start, limit: number): ApiList {
  const { namespace, name } = filter;
  if (
    name !== undefined &&
    start.at === undefined &&
    start.after === undefined &&
    (namespace !== undefined || !row.kind.namespaced)
  ) {
    const found = core.storage.get(resourceName(row), { namespace: namespace ?? "", name });
    return { revision: String(newestRevision(core, row)), items: found && filter.matches(found) ? [found] : [] };
  }

  const where = { ...(namespace !== undefined && { namespace }), ...start };
  const listed = core.storage.list(resourceName(row), filter.all && limit > 0 ? { ...where, limit } : where);
  let { items, remaining } = listed;
  if (!filter.all) {
    items = [];
    for (const item of listed.items) {
      if (!filter.matches(item)) continue;
      if (limit > 0 && items.length === limit) {
        remaining = 1;
        break;
      }
      items.push(item);
    }
  }

  const revision = String(start.at ?? listed.revision);
  const last = items.at(-1);
  if (remaining === 0 || last === undefined) return { revision, items };
  const token = encodeContinue({ revision: start.at ?? listed.revision, after: last.key });
  return { revision, items, continue: token, ...(filter.all && { remaining }) };
}

/** Every object that the selection means, in one go. */
export function selected(core: Core, row: KindRow, options: ListOptions): { revision: number; items: Encoded[] } {
  const filter = filterOf(row, options);
  const { namespace } = filter;
  const listed = core.storage.list(resourceName(row), namespace === undefined ? {} : { namespace });
  return {
    revision: listed.revision,
    items: filter.all ? listed.items : listed.items.filter((item) => filter.matches(item)),
  };
}

/** apimachinery, `ValidateListOptions`. */
function validate({ resourceVersion, resourceVersionMatch: match, continue: token }: ListOptions): void {
  if (!match) return;
  const path = "resourceVersionMatch";
  const errors: FieldError[] = [];
  if (!resourceVersion) {
    errors.push(fieldError.forbidden(path, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
  }
  if (token) errors.push(fieldError.forbidden(path, "resourceVersionMatch is forbidden with continue"));
  if (match !== "Exact" && match !== "NotOlderThan") {
    errors.push(fieldError.notSupported(path, match, ["Exact", "NotOlderThan", ""]));
  }
  if (match === "Exact" && resourceVersion === "0") {
    errors.push(fieldError.forbidden(path, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  }
  if (errors.length > 0) throw invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", errors);
}
