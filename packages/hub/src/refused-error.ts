import type { CertificateProblem } from "@skerry/base";

/** A request was refused: an HTTP status, and a sentence for the person at the machine. */
export class RefusedError extends Error {
  override name = "RefusedError";
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  /** What is wrong with the asker's certificate. */
  readonly problem: CertificateProblem | undefined;

  constructor(
    status: number,
    message: string,
    { retryAfterMs, problem }: { retryAfterMs?: number; problem?: CertificateProblem | undefined } = {},
  ) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.problem = problem;
  }
}
