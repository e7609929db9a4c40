import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { ContainerSpec, ContainerState, ImageStatus, SandboxSpec } from "../runtime.ts";

/**
 * What a fake runtime remembers: the part that outlives an agent. Held by a test in memory, or in a file, so that an agent's
 * process can be killed and another takes over.
 */
export interface Machine {
  nextId: number;
  images: ImageStatus[];
  sandboxes: Record<string, FakeSandbox>;
  containers: Record<string, FakeContainer>;
  /** Rules of a real runtime that an agent broke: a container that ran twice, an image that was not there. Empty in a sound test. */
  violations: string[];
  /** How often each container of a pod was started: `uid/container`. */
  starts: Record<string, number>;
}

export interface FakeSandbox {
  id: string;
  spec: SandboxSpec;
  ready: boolean;
  /** Its address and host ports are given back. */
  stopped: boolean;
  ip: string;
  createdAtMs: number;
}

export interface FakeContainer {
  id: string;
  sandboxId: string;
  spec: ContainerSpec;
  state: ContainerState;
  createdAtMs: number;
  startedAtMs: number;
  finishedAtMs: number;
  exitCode: number;
  reason: string;
  /** When its script ends it, on the wall clock. */
  endsAtMs: number | undefined;
}

export const newMachine = (): Machine => ({
  nextId: 1,
  images: [],
  sandboxes: {},
  containers: {},
  violations: [],
  starts: {},
});

/** Reads a machine from its file; a new one when there is none. */
export function loadMachine(file: string): Machine {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Machine) : newMachine();
}

/** Replaces the file at once: a killed process leaves the machine as it was before or after a call, never between. */
export function saveMachine(file: string, machine: Machine): void {
  writeFileSync(`${file}.tmp`, JSON.stringify(machine));
  renameSync(`${file}.tmp`, file);
}
