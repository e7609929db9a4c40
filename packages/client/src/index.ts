/** The Kubernetes API from the caller's side: one interface over two transports, live copies, and who leads. */
export type {
  Client,
  DeleteOptions,
  EncodedList,
  ListOptions,
  Patch,
  Selection,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "./client.ts";
export { HttpsClient, type HttpsClientOptions } from "./https-client.ts";
export { Informer, type ChangeHandler, type IndexFunction, type InformerOptions } from "./informer.ts";
export { Informers } from "./informers.ts";
export { LeaderElection, type LeaderElectionOptions } from "./leader-election.ts";
