import { checkConfigMapKey, fieldError, kinds, type FieldError } from "@skerry/machinery";
import type { Secret } from "@skerry/machinery/types";
import type { KindRow } from "../registry/kind-row.ts";
import { addInvalid, at } from "../registry/metadata.ts";
import { AGE, column } from "./columns.ts";
import { base64Bytes, countOf, MAX_DATA_BYTES, validateImmutable } from "./config-map.ts";

const ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name";

/** What secrets of well-known types must hold. Source: Kubernetes, "Types of Secret". */
const REQUIRED_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ["kubernetes.io/dockercfg", [".dockercfg"]],
  ["kubernetes.io/dockerconfigjson", [".dockerconfigjson"]],
  ["kubernetes.io/ssh-auth", ["ssh-privatekey"]],
  ["kubernetes.io/tls", ["tls.crt", "tls.key"]],
]);

export const secretRow: KindRow<Secret> = {
  kind: kinds.Secret,
  columns: [
    column<Secret>("Type", "string", "What the secret is for", ({ type }) => type ?? ""),
    column<Secret>("Data", "integer", "How many entries it has", ({ data }) => countOf(data)),
    AGE,
  ],
  selectable: { type: ({ type }) => type ?? "" },
  defaults: (secret) => {
    secret.type ||= "Opaque";
    if (!secret.stringData) return;
    // Text for writing only: it is kept as data.
    secret.data = { ...secret.data };
    for (const [key, text] of Object.entries(secret.stringData))
      secret.data[key] = Buffer.from(text).toString("base64");
    delete secret.stringData;
  },
  prepareForUpdate: (draft, old) => {
    if (!draft.type && old.type) draft.type = old.type;
  },
  validate: validateSecret,
  validateUpdate: (draft, old, errors) => {
    if (draft.type !== old.type) errors.push(fieldError.invalid("type", draft.type, "field is immutable"));
    validateImmutable(draft, old, ["data"], errors);
  },
};

function validateSecret({ data = {}, metadata, type = "" }: Secret, errors: FieldError[]): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    addInvalid(errors, at("data", key), key, checkConfigMapKey(key));
    bytes += base64Bytes(value);
  }
  if (bytes > MAX_DATA_BYTES) errors.push(fieldError.tooLong("data", MAX_DATA_BYTES));

  for (const key of REQUIRED_KEYS.get(type) ?? []) {
    const value = data[key];
    if (value === undefined) errors.push(fieldError.required(at("data", key)));
    else if (type.startsWith("kubernetes.io/dockerc") && !isJson(value)) {
      // The value itself is a secret, and no message shows it.
      errors.push(fieldError.invalid(at("data", key), "<secret contents redacted>", "must be JSON"));
    }
  }
  if (type === "kubernetes.io/basic-auth" && data["username"] === undefined && data["password"] === undefined) {
    errors.push(fieldError.required("data[username]"), fieldError.required("data[password]"));
  }
  if (type === "kubernetes.io/service-account-token" && !metadata.annotations?.[ACCOUNT_ANNOTATION]) {
    errors.push(fieldError.required(at("metadata.annotations", ACCOUNT_ANNOTATION)));
  }
}

function isJson(base64: string): boolean {
  try {
    JSON.parse(Buffer.from(base64, "base64").toString("utf8"));
    return true;
  } catch {
    return false;
  }
}
