import { kinds, unsupportedAccountFields, unsupportedText, type Kind } from "@skerry/machinery";
import type { ServiceAccount } from "@skerry/machinery/types";
import type { KindRow } from "../registry/kind-row.ts";
import { AGE, column } from "./columns.ts";
import { countOf } from "./config-map.ts";

export const serviceAccountRow: KindRow<ServiceAccount> = {
  kind: kinds.ServiceAccount,
  columns: [
    column<ServiceAccount>("Secrets", "integer", "How many secrets belong to it", ({ secrets }) => countOf(secrets)),
    AGE,
  ],
  unsupported: (account) => unsupportedAccountFields(account).map(unsupportedText),
  subresources: [{ form: "act", name: "token", verbs: ["create"], kind: kinds.TokenRequest as Kind, virtual: true }],
};
