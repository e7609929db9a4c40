import { RuntimeError, type RuntimeErrorCode } from "../runtime.ts";
import { GrpcError } from "./grpc-error.ts";

/**
 * What a call that failed was about: the same status means different things about an image, about making or removing a part of a pod, and
 * about what the runtime has in its memory.
 */
export type Subject = "pod" | "image" | "memory";

/** Runtimes pass on what registries answer as text; these words are the distribution spec's and HTTP's. */
const UNAUTHORIZED =
  /\b(401|403) (Unauthorized|Forbidden)|unauthorized|authorization failed|pull access denied|insufficient_scope|no basic auth credentials/i;
const NOT_FOUND = /\bnot found\b|manifest unknown|name unknown|repository .* does not exist/i;

/** A failed call as the error that callers of a `Runtime` act on. What is no gRPC status, such as an abort, passes through. */
export function runtimeError(error: unknown, subject: Subject): unknown {
  if (!(error instanceof GrpcError)) return error;
  return new RuntimeError(codeOf(error, subject), error.message, { cause: error });
}

function codeOf({ code, message }: GrpcError, subject: Subject): RuntimeErrorCode {
  if (message.includes("no space left on device") || message.includes("disk quota exceeded")) return "DiskFull";
  if (code === "DeadlineExceeded" && subject === "pod") return "TimedOut";
  if (code === "Unavailable" || code === "DeadlineExceeded") {
    // What a registry did not answer is no failure of the runtime.
    return subject === "image" && message.includes("failed to pull") ? "ImagePullFailed" : "Unavailable";
  }
  if (/server is not initialized yet/.test(message)) return "Unavailable";
  if (message.includes("cannot delete running task")) return "StillRunning";
  if (/unexpected commit (digest|size)/.test(message)) return "Invalid";
  if (code === "AlreadyExists") return "AlreadyExists";
  if (code === "InvalidArgument" || code === "OutOfRange") return "Invalid";
  if (subject === "image") {
    if (code === "Unauthenticated" || code === "PermissionDenied" || UNAUTHORIZED.test(message))
      return "ImageUnauthorized";
    return code === "NotFound" || NOT_FOUND.test(message) ? "ImageNotFound" : "ImagePullFailed";
  }
  if (/is reserved for/.test(message)) return "AlreadyExists";
  if (code === "NotFound") return /\bimage\b/.test(message) ? "ImageNotFound" : "NotFound";
  return "Unknown";
}
