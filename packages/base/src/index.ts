/** What any daemon needs and Kubernetes has nothing to do with: time, retries, queues, files, logs, certificates. */
export { overlaps, parseCidr, type Cidr } from "./cidr.ts";
export { systemClock, timestamp, type Clock } from "./clock.ts";
export { backoff, type BackoffOptions } from "./backoff.ts";
export {
  readPidFile,
  signalProcess,
  startDaemon,
  startTimeOf,
  stopDaemon,
  stopProcess,
  waitForExit,
  writePidFile,
  type DaemonOptions,
  type ProcessId,
} from "./daemon.ts";
export { isMissingFile, namesIn, writeFileAtomic } from "./files.ts";
export { IdleCollector, processCollector, type Collector, type IdleCollectorOptions } from "./idle-collector.ts";
export { KeyedQueue, type KeyedQueueOptions, type Requeue } from "./keyed-queue.ts";
export { createLogger, silentLogger, type Logger, type LoggerOptions, type LogLevel } from "./log.ts";
export { LOG_FILE_LIMITS, olderPartsOf, rotateLogFile, type LogFileLimits } from "./log-file.ts";
export { CommandError, inNetworkNamespace, runCommand, type RunCommand } from "./process.ts";
export { Durations, METRICS_TYPE, MetricsPage, type Labels, type Samples } from "./metrics.ts";
export { proxiesOf, proxyFor, proxyUrl, shownProxy, type Proxies } from "./proxy.ts";
export { hasSystemd, unitWord } from "./systemd.ts";
export {
  CertificateError,
  checkPeerCertificate,
  verifyPeerCertificate,
  type CertificateExpectation,
  type CertificateProblem,
} from "./certificate-check.ts";
export {
  BACKDATE_MS,
  loadIdentity,
  loadOrCreateAuthority,
  loadOrIssue,
  renewalTime,
  saveIdentity,
  type LeafOptions,
} from "./certificate-files.ts";
export {
  assertAcceptableKey,
  createAuthority,
  createCsr,
  createKey,
  fingerprintOf,
  issueCertificate,
  keyFromPem,
  keyToPem,
  readCsr,
  toPem,
  type CertificateRequest,
  type CertificateUsage,
  type Identity,
  type Subject,
} from "./certificates.ts";
export { DerError } from "./der.ts";
export { protobufCodec, type ProtobufCodec, type ProtobufInput, type ProtobufMethod } from "./protobuf.ts";
export { ProtobufError } from "./protobuf-error.ts";
export type { ProtobufTable } from "./protobuf-table.ts";
