import { isIP } from "node:net";
import { checkDns1123Subdomain, fieldError, type FieldError } from "@skerry/machinery";
import type { PodSpec } from "@skerry/machinery/types";
import { addInvalid, at } from "../../registry/metadata.ts";
import { oneOf } from "./validate-container.ts";

const POLICIES = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
/** As much as resolvers read. */
const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCH_LENGTH = 2048;

/** Source: Kubernetes API reference, PodDNSConfig; the words are upstream's. */
export function validateDns({ dnsPolicy, dnsConfig }: PodSpec, path: string, errors: FieldError[]): void {
  oneOf(dnsPolicy, POLICIES, `${path}.dnsPolicy`, errors);
  const here = `${path}.dnsConfig`;
  const { nameservers = [], options = [], searches = [] } = dnsConfig ?? {};
  if (dnsPolicy === "None" && !dnsConfig) {
    errors.push(fieldError.required(here, "must provide `dnsConfig` when `dnsPolicy` is None"));
  } else if (dnsPolicy === "None" && nameservers.length === 0) {
    const detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
    errors.push(fieldError.required(`${here}.nameservers`, detail));
  }

  if (nameservers.length > MAX_NAMESERVERS) {
    const detail = `must not have more than ${MAX_NAMESERVERS} nameservers`;
    errors.push(fieldError.invalid(`${here}.nameservers`, nameservers, detail));
  }
  for (const [i, server] of nameservers.entries()) validateIp(server, at(`${here}.nameservers`, i), errors);
  if (searches.length > MAX_SEARCHES) {
    const detail = `must not have more than ${MAX_SEARCHES} search paths`;
    errors.push(fieldError.invalid(`${here}.searches`, searches, detail));
  }
  if (searches.join(" ").length > MAX_SEARCH_LENGTH) {
    const detail = `must not have more than ${MAX_SEARCH_LENGTH} characters (including spaces) in the search list`;
    errors.push(fieldError.invalid(`${here}.searches`, searches, detail));
  }
  for (const [i, search] of searches.entries()) {
    if (search === ".") continue;
    // Names of services have underscores.
    const name = search.replace(/\.$/, "").replaceAll("_", "a");
    addInvalid(errors, at(`${here}.searches`, i), search, checkDns1123Subdomain(name));
  }
  for (const [i, { name }] of options.entries()) {
    if (!name) errors.push(fieldError.required(at(`${here}.options`, i), "must not be empty"));
  }
}

/** An address, IPv4 or IPv6. */
export function validateIp(ip: string, path: string, errors: FieldError[]): void {
  if (isIP(ip) !== 0) return;
  errors.push(fieldError.invalid(path, ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
}
