/** Stand-ins for the parts of an edge that tests own: a container runtime without containers. */
export { FakeRuntime, type FakeCall, type FakeRuntimeOptions } from "./runtime/fake/fake-runtime.ts";
export { loadMachine, newMachine, saveMachine, type Machine } from "./runtime/fake/machine.ts";
export { scriptOf, type Script } from "./runtime/fake/script.ts";
export { noCgroups } from "./pods/cgroups.ts";
export { noMounts } from "./volumes/mounts.ts";
export { runtimeContract, type RuntimeUnderTest } from "./runtime/runtime-contract.ts";
