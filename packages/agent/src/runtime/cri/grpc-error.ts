/** The status codes of gRPC, in the order of their numbers. */
const GRPC_CODES = [
  "OK",
  "Cancelled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
] as const;

export type GrpcCode = (typeof GRPC_CODES)[number];

/** A call that the other end answered with a status other than OK, or that did not get through to it. */
export class GrpcError extends Error {
  override name = "GrpcError";
  readonly code: GrpcCode;

  constructor(code: GrpcCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The code with the number that a `grpc-status` field holds; a number that gRPC does not define is `Unknown`. */
export const grpcCodeOf = (status: string): GrpcCode => GRPC_CODES[Number(status)] ?? "Unknown";

/** Whether an error is a gRPC status of that code. */
export const isGrpcError = (error: unknown, code: GrpcCode): error is GrpcError =>
  error instanceof GrpcError && error.code === code;
