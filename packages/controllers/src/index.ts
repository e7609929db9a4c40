/** What makes wishes come true in the cloud: a folder per controller, the scheduler, and the manager that runs them. */
export { Controller, TerminalError, type ControllerOptions, type Reconcile } from "./controller.ts";
export { EventRecorder, referenceTo } from "./events.ts";
export { Manager, type ManagerOptions } from "./manager.ts";
export { LEASE_NAMESPACE } from "./node/node-lifecycle.ts";
