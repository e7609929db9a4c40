import { fieldError, kinds } from "@skerry/machinery";
import type { Lease } from "@skerry/machinery/types";
import type { KindRow } from "../registry/kind-row.ts";
import { AGE, column } from "./columns.ts";

export const leaseRow: KindRow<Lease> = {
  kind: kinds.Lease,
  columns: [column<Lease>("Holder", "string", "Who holds it", ({ spec }) => spec?.holderIdentity ?? ""), AGE],
  createOnUpdate: true,
  // Two holders that overwrite each other without looking would both believe to hold it.
  unconditionalUpdate: false,
  validate: ({ spec }, errors) => {
    const { leaseDurationSeconds, leaseTransitions } = spec ?? {};
    if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0) {
      errors.push(fieldError.invalid("spec.leaseDurationSeconds", leaseDurationSeconds, "must be greater than 0"));
    }
    if (leaseTransitions !== undefined && leaseTransitions < 0) {
      errors.push(fieldError.invalid("spec.leaseTransitions", leaseTransitions, "must be greater than or equal to 0"));
    }
  },
};
