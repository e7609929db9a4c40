/**
 * The forms that names take in the Kubernetes API. Each function returns what is wrong with a value, in upstream's
 * words, or an empty list. Source: apimachinery's `util/validation`; RFC 1123, RFC 1035.
 */

const DNS1123_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const DNS1123_SUBDOMAIN = `${DNS1123_LABEL}(\\.${DNS1123_LABEL})*`;
const DNS1035_LABEL = "[a-z]([-a-z0-9]*[a-z0-9])?";
const ENV_VAR_NAME = "[-._a-zA-Z][-._a-zA-Z0-9]*";
const CONFIG_MAP_KEY = "[-._a-zA-Z0-9]+";

const whole = (pattern: string): RegExp => new RegExp(`^${pattern}$`);
const dns1123Label = whole(DNS1123_LABEL);
const dns1123Subdomain = whole(DNS1123_SUBDOMAIN);
const dns1035Label = whole(DNS1035_LABEL);
const envVarName = whole(ENV_VAR_NAME);
const configMapKey = whole(CONFIG_MAP_KEY);

/** Explains a pattern to a person: what is allowed, examples, and the pattern itself. */
export function patternMessage(rule: string, pattern: string, ...examples: string[]): string {
  const regex = `regex used for validation is '${pattern}'`;
  if (examples.length === 0) return `${rule} (${regex})`;
  return `${rule} (e.g. ${examples.map((example) => `'${example}', `).join(" or ")}${regex})`;
}

export const maxLengthMessage = (max: number, unit: "characters" | "bytes" = "characters"): string =>
  `must be no more than ${max} ${unit}`;

/** UTF-8 bytes, as upstream counts lengths. */
export function byteLength(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // A surrogate pair is four bytes in two units.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return bytes;
}

function check(value: string, maxLength: number, pattern: RegExp, explain: () => string): string[] {
  const matches = pattern.test(value);
  if (matches && value.length <= maxLength) return [];
  const problems: string[] = [];
  if (byteLength(value) > maxLength) problems.push(maxLengthMessage(maxLength));
  if (!matches) problems.push(explain());
  return problems;
}

/** A DNS label: a Namespace, a container, a volume. */
export const checkDns1123Label = (value: string): string[] =>
  check(value, 63, dns1123Label, () =>
    dns1123Subdomain.test(value)
      ? "must not contain dots"
      : patternMessage(
          "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', " +
            "and must start and end with an alphanumeric character",
          DNS1123_LABEL,
          "my-name",
          "123-abc",
        ),
  );

/** A DNS subdomain: the name of most objects. */
export const checkDns1123Subdomain = (value: string): string[] =>
  check(value, 253, dns1123Subdomain, () =>
    patternMessage(
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', " +
        "and must start and end with an alphanumeric character",
      DNS1123_SUBDOMAIN,
      "example.com",
    ),
  );

/** A DNS label that starts with a letter: a Service. */
export const checkDns1035Label = (value: string): string[] =>
  check(value, 63, dns1035Label, () =>
    patternMessage(
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic " +
        "character, and end with an alphanumeric character",
      DNS1035_LABEL,
      "my-name",
      "abc-123",
    ),
  );

/** A name that is one segment of a URL and no more is asked of: the RBAC kinds. */
export function checkPathSegmentName(value: string): string[] {
  if (value === "." || value === "..") return [`may not be '${value}'`];
  return ["/", "%"].filter((char) => value.includes(char)).map((char) => `may not contain '${char}'`);
}

/** The name of a port of a container (RFC 6335, 15 characters). */
export function checkPortName(value: string): string[] {
  const problems: string[] = [];
  if (byteLength(value) > 15) problems.push(maxLengthMessage(15));
  if (!/^[-a-z0-9]+$/.test(value)) {
    problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!/[a-z]/.test(value)) problems.push("must contain at least one letter (a-z)");
  if (value.includes("--")) problems.push("must not contain consecutive hyphens");
  if (value.startsWith("-") || value.endsWith("-")) problems.push("must not begin or end with a hyphen");
  return problems;
}

/** A port number of TCP, UDP or SCTP. */
export const checkPortNumber = (value: number): string[] =>
  Number.isInteger(value) && value >= 1 && value <= 65535 ? [] : ["must be between 1 and 65535, inclusive"];

/** The name of an environment variable: any printable ASCII but `=`. */
export function checkEnvVarName(value: string): string[] {
  if (value === "") return ["environment variable name must be non-empty"];
  return /^[\x20-\x3c\x3e-\x7e]+$/.test(value)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** The name of an environment variable that every shell takes; what `envFrom` passes on without a warning. */
export const checkStrictEnvVarName = (value: string): string[] => [
  ...check(value, Infinity, envVarName, () =>
    patternMessage(
      "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', " +
        "and must not start with a digit",
      ENV_VAR_NAME,
      "my.env-name",
      "MY_ENV.NAME",
      "MyEnvName1",
    ),
  ),
  ...checkNoParentDirectory(value),
];

/** A key of a ConfigMap or Secret: it becomes a file's name. */
export const checkConfigMapKey = (value: string): string[] => [
  ...check(value, 253, configMapKey, () =>
    patternMessage(
      "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
      CONFIG_MAP_KEY,
      "key.name",
      "KEY_NAME",
      "key-name",
    ),
  ),
  ...checkNoParentDirectory(value),
];

function checkNoParentDirectory(value: string): string[] {
  if (value === ".") return ["must not be '.'"];
  if (value === "..") return ["must not be '..'"];
  return value.startsWith("..") ? ["must not start with '..'"] : [];
}
