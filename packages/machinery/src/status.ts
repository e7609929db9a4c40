import { errorList, type FieldError } from "./field-error.ts";
import { resourceOf, type Kind } from "./kind.ts";
import { quote } from "./quote.ts";

/** The reasons the Kubernetes API knows, and the HTTP code each travels with. Source: meta/v1 `StatusReason`. */
const HTTP_CODE = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServerTimeout: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
} as const;

export type StatusReason = keyof typeof HTTP_CODE;

/** One of several things that made a request fail. */
export interface StatusCause {
  /** A machine-readable cause: `FieldValueInvalid`, `FieldManagerConflict`, … */
  reason?: string;
  message?: string;
  /** The field, as a path: `spec.containers[0].name`. */
  field?: string;
}

/** What a failure is about. `kind` holds the resource (`pods`), except in Invalid, where it is the kind (`Pod`). */
export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  /** Trying again makes sense after so long. */
  retryAfterSeconds?: number;
}

/** The answer of the API that is not an object: meta/v1 `Status`. */
export interface Status {
  kind: "Status";
  apiVersion: "v1";
  metadata: { continue?: string; resourceVersion?: string };
  status: "Success" | "Failure";
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code: number;
}

export interface StatusErrorOptions extends ErrorOptions {
  details?: StatusDetails;
  /** Another HTTP code than the reason's own; a foreign server may send one. */
  code?: number;
  /** With Expired lists: a token to go on with, from inconsistent data. */
  continueToken?: string;
}

/** An error that means something to an API client. Anything else that escapes is an InternalError. */
export class StatusError extends Error {
  override name = "StatusError";
  readonly reason: StatusReason;
  /** The HTTP code. */
  readonly code: number;
  readonly details: StatusDetails | undefined;
  readonly continueToken: string | undefined;

  constructor(reason: StatusReason, message: string, options: StatusErrorOptions = {}) {
    super(message, options);
    this.reason = reason;
    this.code = options.code ?? HTTP_CODE[reason];
    this.details = options.details;
    this.continueToken = options.continueToken;
  }

  get retryAfterSeconds(): number | undefined {
    return this.details?.retryAfterSeconds;
  }

  /** The object that goes over the wire. */
  toStatus(): Status {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: this.continueToken === undefined ? {} : { continue: this.continueToken },
      status: "Failure",
      message: this.message,
      reason: this.reason,
      ...(this.details && { details: this.details }),
      code: this.code,
    };
  }

  /**
   * Reads the Status that a server sent. Whatever is missing follows from the HTTP code, so that any answer of a
   * server, proxy or balancer in between becomes a StatusError.
   */
  static fromStatus(body: unknown, httpCode = 500): StatusError {
    const status: Partial<Status> = isStatus(body) ? body : {};
    const code = typeof status.code === "number" && status.code >= 400 ? status.code : httpCode;
    const reason = isReason(status.reason) ? status.reason : reasonOfCode(code);
    const message = status.message ?? `The server answered with the HTTP code ${code} and no further information`;
    return new StatusError(reason, message, {
      code,
      ...(status.details && { details: status.details }),
      ...(status.metadata?.continue !== undefined && { continueToken: status.metadata.continue }),
    });
  }
}

const isReason = (reason: unknown): reason is StatusReason =>
  typeof reason === "string" && Object.hasOwn(HTTP_CODE, reason);

const isStatus = (body: unknown): body is Status =>
  typeof body === "object" && body !== null && "kind" in body && body.kind === "Status";

function reasonOfCode(code: number): StatusReason {
  if (code === 409) return "Conflict";
  if (code === 410) return "Gone";
  const known = Object.entries(HTTP_CODE).find(([, other]) => other === code);
  if (known) return known[0] as StatusReason;
  return code < 500 ? "BadRequest" : "InternalError";
}

/** Finds the status in an error or in what caused it. */
export function statusOf(error: unknown): StatusError | undefined {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (e instanceof StatusError) return e;
  }
  return undefined;
}

export const isNotFound = (error: unknown): boolean => statusOf(error)?.reason === "NotFound";
export const isAlreadyExists = (error: unknown): boolean => statusOf(error)?.reason === "AlreadyExists";
export const isConflict = (error: unknown): boolean => statusOf(error)?.reason === "Conflict";
export const isInvalid = (error: unknown): boolean => statusOf(error)?.reason === "Invalid";
export const isForbidden = (error: unknown): boolean => statusOf(error)?.reason === "Forbidden";
/** The revision asked for is compacted or unknown: list again. Gone is what older servers say. */
export const isExpired = (error: unknown): boolean => {
  const reason = statusOf(error)?.reason;
  return reason === "Expired" || reason === "Gone";
};

type Resource = Pick<Kind, "group" | "resource">;

/** Messages below are word for word what clients of Kubernetes print and search. */
const detailsOf = (of: Resource, name?: string): StatusDetails => ({
  ...(name !== undefined && name !== "" && { name }),
  ...(of.group !== "" && { group: of.group }),
  kind: of.resource,
});

export const badRequest = (message: string, options?: StatusErrorOptions): StatusError =>
  new StatusError("BadRequest", message, options);

export const unauthorized = (message = "Unauthorized"): StatusError => new StatusError("Unauthorized", message);

/** `of` is absent for paths that are no resource. */
export function forbidden(of: Resource | undefined, name: string, why: string): StatusError {
  if (of === undefined) return new StatusError("Forbidden", `forbidden: ${why}`, { details: {} });
  const subject = name === "" ? resourceOf(of) : `${resourceOf(of)} ${quote(name)}`;
  return new StatusError("Forbidden", `${subject} is forbidden: ${why}`, { details: detailsOf(of, name) });
}

export const notFound = (of: Resource, name: string): StatusError =>
  new StatusError("NotFound", `${resourceOf(of)} ${quote(name)} not found`, { details: detailsOf(of, name) });

/** For a path under which nothing is served. */
export const resourceNotFound = (): StatusError =>
  new StatusError("NotFound", "the server could not find the requested resource", { details: {} });

export const methodNotAllowed = (of: Resource, action: string): StatusError =>
  new StatusError("MethodNotAllowed", `${action} is not supported on resources of kind ${quote(resourceOf(of))}`, {
    details: detailsOf(of),
  });

/** `accepted` are media types. */
export const notAcceptable = (accepted: readonly string[]): StatusError =>
  new StatusError("NotAcceptable", `only the following media types are accepted: ${accepted.join(", ")}`);

/** `accepted` are media types. */
export const unsupportedMediaType = (accepted: readonly string[]): StatusError =>
  new StatusError(
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
  );

export const alreadyExists = (of: Resource, name: string): StatusError =>
  new StatusError("AlreadyExists", `${resourceOf(of)} ${quote(name)} already exists`, {
    details: detailsOf(of, name),
  });

/** What an update is told whose resourceVersion is not the stored one. */
export const OBJECT_MODIFIED =
  "the object has been modified; please apply your changes to the latest version and try again";

export const conflict = (of: Resource, name: string, why: string = OBJECT_MODIFIED): StatusError =>
  new StatusError("Conflict", `Operation cannot be fulfilled on ${resourceOf(of)} ${quote(name)}: ${why}`, {
    details: detailsOf(of, name),
  });

export const gone = (message: string): StatusError => new StatusError("Gone", message);

export const expired = (message: string, continueToken?: string): StatusError =>
  new StatusError("Expired", message, continueToken === undefined ? {} : { continueToken });

export const requestEntityTooLarge = (message: string): StatusError =>
  new StatusError("RequestEntityTooLarge", `Request entity too large: ${message}`);

/** A request that is understood and well-formed, but whose object breaks the rules of its kind. */
export function invalid(of: Pick<Kind, "group" | "kind">, name: string, errors: readonly FieldError[]): StatusError {
  const kind = of.group === "" ? of.kind : `${of.kind}.${of.group}`;
  const why = errors.length === 0 ? "" : `: ${errorList(errors)}`;
  return new StatusError("Invalid", `${kind} ${quote(name)} is invalid${why}`, {
    details: {
      ...(name !== "" && { name }),
      ...(of.group !== "" && { group: of.group }),
      kind: of.kind,
      causes: errors.map(({ type, field, message }) => ({ reason: type, message, field })),
    },
  });
}

export const tooManyRequests = (message: string, retryAfterSeconds: number): StatusError =>
  new StatusError("TooManyRequests", message, { details: { retryAfterSeconds } });

/** Our own mistake. The message is for the client: what went wrong inside belongs into `cause`, and into the log. */
export const internalError = (message: string, cause?: unknown): StatusError =>
  new StatusError("InternalError", `Internal error occurred: ${message}`, {
    details: { causes: [{ message }] },
    ...(cause !== undefined && { cause }),
  });

export const serverTimeout = (of: Resource, operation: string, retryAfterSeconds: number): StatusError =>
  new StatusError(
    "ServerTimeout",
    `The ${operation} operation against ${resourceOf(of)} could not be completed at this time, please try again.`,
    { details: { ...detailsOf(of, operation), retryAfterSeconds } },
  );

export const serviceUnavailable = (message: string, retryAfterSeconds?: number): StatusError =>
  new StatusError(
    "ServiceUnavailable",
    message,
    retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } },
  );

export const timeout = (message: string, retryAfterSeconds = 0): StatusError =>
  new StatusError("Timeout", `Timeout: ${message}`, { details: { retryAfterSeconds } });

/** A watch or read asks for a revision that is not there yet. */
export const resourceVersionTooLarge = (asked: string, current: string): StatusError =>
  new StatusError("Timeout", `Timeout: Too large resource version: ${asked}, current: ${current}`, {
    details: {
      causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
      retryAfterSeconds: 1,
    },
  });
