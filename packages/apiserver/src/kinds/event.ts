import { fieldError, kinds } from "@skerry/machinery";
import type { Event } from "@skerry/machinery/types";
import type { KindRow } from "../registry/kind-row.ts";
import { ago, column, wideColumn } from "./columns.ts";

/** Events are news, not state: they vanish after an hour. */
const TTL_MS = 60 * 60 * 1000;

export const eventRow: KindRow<Event> = {
  kind: kinds.Event,
  columns: [
    column<Event>("Last Seen", "string", "How long ago it happened last", (event, nowMs) =>
      ago(lastSeen(event), nowMs),
    ),
    column<Event>("Type", "string", "Normal or Warning", ({ type }) => type ?? ""),
    column<Event>("Reason", "string", "What happened, in one word", ({ reason }) => reason ?? ""),
    column<Event>("Object", "string", "What it happened to", objectText),
    wideColumn<Event>(
      "Subobject",
      "string",
      "Which part of the object",
      ({ involvedObject }) => involvedObject?.fieldPath ?? "",
    ),
    wideColumn<Event>("Source", "string", "Who says so", sourceText),
    column<Event>("Message", "string", "What happened, for a person", ({ message }) => (message ?? "").trim()),
    wideColumn<Event>("First Seen", "string", "How long ago it happened first", (event, nowMs) =>
      ago(firstSeen(event), nowMs),
    ),
    wideColumn<Event>("Count", "string", "How often it happened", ({ count, series }) => series?.count ?? (count || 1)),
    // Nobody looks for an event by its name.
    {
      ...wideColumn<Event>("Name", "string", "The name of the event itself", ({ metadata }) => metadata.name ?? ""),
      format: "name",
    },
  ],
  selectable: {
    "involvedObject.kind": ({ involvedObject }) => involvedObject?.kind ?? "",
    "involvedObject.namespace": ({ involvedObject }) => involvedObject?.namespace ?? "",
    "involvedObject.name": ({ involvedObject }) => involvedObject?.name ?? "",
    "involvedObject.uid": ({ involvedObject }) => involvedObject?.uid ?? "",
    "involvedObject.apiVersion": ({ involvedObject }) => involvedObject?.apiVersion ?? "",
    "involvedObject.resourceVersion": ({ involvedObject }) => involvedObject?.resourceVersion ?? "",
    "involvedObject.fieldPath": ({ involvedObject }) => involvedObject?.fieldPath ?? "",
    reason: ({ reason }) => reason ?? "",
    reportingComponent: ({ reportingComponent }) => reportingComponent ?? "",
    source: ({ reportingComponent, source }) => source?.component || reportingComponent || "",
    type: ({ type }) => type ?? "",
  },
  createOnUpdate: true,
  ttlMs: TTL_MS,
  collected: false,
  validate: ({ involvedObject, metadata }, errors) => {
    // What belongs to no namespace may be told in any.
    if (involvedObject?.namespace && involvedObject.namespace !== metadata.namespace) {
      errors.push(
        fieldError.invalid("involvedObject.namespace", involvedObject.namespace, "does not match event.namespace"),
      );
    }
  },
};

const firstSeen = ({ eventTime, firstTimestamp }: Event): string | undefined => firstTimestamp || eventTime;
const lastSeen = (event: Event): string | undefined =>
  event.series?.lastObservedTime || event.lastTimestamp || firstSeen(event);

function objectText({ involvedObject }: Event): string {
  const kind = (involvedObject?.kind ?? "").toLowerCase();
  return involvedObject?.name ? `${kind}/${involvedObject.name}` : kind;
}

function sourceText({ reportingComponent, reportingInstance, source }: Event): string {
  const component = source?.component || reportingComponent || "";
  const instance = source?.host || reportingInstance || "";
  return instance === "" ? component : `${component}, ${instance}`;
}
