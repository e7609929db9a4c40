import { StatusError } from "@skerry/machinery";

/** The form in which a client wants objects: as they are, as rows to print, or their metadata alone. */
export type AnswerForm = "object" | "table" | "metadata";

/** One clause of an Accept header (RFC 9110 §12.5.1). */
export interface MediaRange {
  /** `application/json`, in lower case. */
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly quality: number;
}

/** Protobuf is taken in requests and never sent: every client that prefers it names JSON too. */
const OFFERED = "application/json";
const TYPES_FOR_JSON = new Set([OFFERED, "application/*", "*/*"]);

/**
 * Chooses the form of an answer. Throws NotAcceptable when nothing that the client takes can be made;
 * `forms` are those that the resource has besides the object itself.
 */
export function negotiateForm(accept: string | undefined, forms: readonly AnswerForm[]): AnswerForm {
  if (accept === undefined || accept === "" || accept === OFFERED || accept === "*/*") return "object";
  for (const range of parseAccept(accept)) {
    if (!TYPES_FOR_JSON.has(range.type)) continue;
    const form = formOf(range.parameters);
    if (form !== undefined && (form === "object" || forms.includes(form))) return form;
  }
  throw new StatusError("NotAcceptable", `only the following media types are accepted: ${OFFERED}`);
}

function formOf(parameters: Readonly<Record<string, string>>): AnswerForm | undefined {
  const { as, g, v } = parameters;
  if (as === undefined) return "object";
  if (g !== "meta.k8s.io" || v !== "v1") return undefined;
  if (as === "Table") return "table";
  if (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList") return "metadata";
  return undefined;
}

/** The clauses of an Accept header, the most wanted first; those with quality 0 are left out. */
export function parseAccept(accept: string): MediaRange[] {
  const ranges: MediaRange[] = [];
  for (const clause of accept.split(",", 64)) {
    const [type = "", ...rest] = clause.split(";");
    const parameters: Record<string, string> = {};
    let quality = 1;
    for (const parameter of rest) {
      const at = parameter.indexOf("=");
      if (at === -1) continue;
      const name = parameter.slice(0, at).trim().toLowerCase();
      const value = parameter.slice(at + 1).trim();
      if (name === "q") quality = Number(value) || 0;
      else parameters[name] = value;
    }
    if (quality > 0 && type.trim() !== "") ranges.push({ type: type.trim().toLowerCase(), parameters, quality });
  }
  return ranges.sort((a, b) => b.quality - a.quality);
}
