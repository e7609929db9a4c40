import { BlockList, isIP } from "node:net";

/** Which HTTP proxies lead out of a network: what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say, empty where they say nothing. */
export interface Proxies {
  readonly http: string;
  readonly https: string;
  /** What is reached without them: names, domains, addresses and networks, separated by commas. */
  readonly no: string;
}

/** The proxies that variables name, in small letters or capitals; undefined when they do not speak of any, so that what was said before may hold. */
export function proxiesOf(variables: Readonly<Record<string, string | undefined>>): Proxies | undefined {
  const valueOf = (name: string): string | undefined => variables[name.toLowerCase()] ?? variables[name];
  const [http, https, no] = [valueOf("HTTP_PROXY"), valueOf("HTTPS_PROXY"), valueOf("NO_PROXY")];
  if (http === undefined && https === undefined) return undefined;
  return { http: http?.trim() ?? "", https: https?.trim() ?? "", no: no?.trim() ?? "" };
}

/** The address of a proxy; one without a scheme speaks HTTP. Undefined for what is none, whoever reads it. */
export function proxyUrl(text: string): URL | undefined {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (!url || url.hostname === "" || (url.protocol !== "http:" && url.protocol !== "https:")) return undefined;
  try {
    decodeURIComponent(url.username + url.password);
  } catch {
    return undefined; // Go takes it for no URL either, and complains with the password in its words
  }
  return url;
}

/** A proxy's address as anybody may see it: without what proves who asks. */
export const shownProxy = ({ protocol, host }: URL): string => `${protocol}//${host}`;

/** The proxy through which a TLS connection to an address goes; undefined when it goes there itself. */
export function proxyFor({ https, no }: Proxies, { host, port }: { host: string; port: number }): URL | undefined {
  return https === "" || isExempt(no, host.toLowerCase(), port) ? undefined : proxyUrl(https);
}

const LOOPBACK = "localhost,127.0.0.0/8,::1";

/** As curl and Go read it: `*` is everything, `a.example` and `.a.example` that domain with all below it; a port may follow. This machine always is. */
function isExempt(no: string, host: string, port: number): boolean {
  return `${no},${LOOPBACK}`.split(",").some((text) => {
    const entry = text.trim().toLowerCase();
    if (entry === "" || entry === "*") return entry === "*";
    if (isIP(host) !== 0) return holdsAddress(entry, host, port);
    const [, domain = "", itsPort] = /^(?:\*?\.)?([^:]+)(?::(\d+))?$/.exec(entry) ?? [];
    if (domain === "" || (itsPort !== undefined && Number(itsPort) !== port)) return false;
    return host === domain || host.endsWith(`.${domain}`);
  });
}

/** Whether an entry is an address, or the network of it: `10.0.0.1`, `10.0.0.1:8080`, `[fd00::1]:8080`, `10.0.0.0/8`. */
function holdsAddress(entry: string, host: string, port: number): boolean {
  const [, bracketed, plain = entry, itsPort] = /^(?:\[([^\]]+)\]|(\d+\.[\d.]+))(?::(\d+))?$/.exec(entry) ?? [];
  if (itsPort !== undefined && Number(itsPort) !== port) return false;
  const [address = "", prefix] = (bracketed ?? plain).split("/");
  const version = isIP(address);
  if (version === 0 || version !== isIP(host)) return false;
  const family = version === 4 ? "ipv4" : "ipv6";
  const bits = prefix === undefined ? (version === 4 ? 32 : 128) : Number(prefix);
  if (!Number.isInteger(bits) || bits < 0 || bits > (version === 4 ? 32 : 128)) return false;
  const network = new BlockList();
  network.addSubnet(address, bits, family);
  return network.check(host, family);
}
