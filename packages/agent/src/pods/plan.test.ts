import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Container, Pod, PodSpec } from "@skerry/machinery/types";
import { containerVersion } from "./container-version.ts";
import { absorb, newFacts, type PodFacts } from "./facts.ts";
import type { Instant, ObservedContainer, ObservedPod } from "./observed.ts";
import { planPod } from "./plan.ts";
import type { Step } from "./steps.ts";
import { noTroubles, type Troubles } from "./troubles.ts";

const T0 = Date.UTC(2026, 0, 1);
const at = (seconds = 0): Instant => ({ wallMs: T0 + seconds * 1000, monotonicMs: seconds * 1000, bootId: "boot-1" });

function podOf(spec: Partial<PodSpec> = {}, ...containers: Partial<Container>[]): Pod {
  const list = containers.length === 0 ? [{}] : containers;
  return {
    metadata: { namespace: "default", name: "web", uid: "u1" },
    spec: {
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      containers: list.map((one) => ({ name: "main", image: "app:1", imagePullPolicy: "IfNotPresent", ...one })),
      ...spec,
    },
  };
}

const PRESENT = new Map([["app:1", true]]);

const nothing: ObservedPod = {
  sandboxes: [],
  containers: [],
  images: PRESENT,
  prepared: false,
  resolvConf: false,
  residue: false,
  logs: false,
  oomed: new Set(),
};

const sandbox = (attempt = 0, ready = true) => ({ id: `s${attempt}`, attempt, ready, ips: ["10.42.0.2"] });

function instance(pod: Pod, over: Partial<ObservedContainer> = {}): ObservedContainer {
  const name = over.name ?? "main";
  const spec = pod.spec?.containers.find((one) => one.name === name);
  const attempt = over.attempt ?? 0;
  return {
    id: `${name}-${attempt}`,
    name,
    attempt,
    sandboxId: "s0",
    state: "running",
    version: spec ? containerVersion(spec) : "",
    image: spec?.image ?? "",
    imageId: "sha256:1",
    startedAtMs: over.state === "created" ? 0 : T0,
    finishedAtMs: 0,
    exitCode: 0,
    reason: "",
    message: "",
    endSeenAt: undefined,
    ...over,
  };
}

const exited = (pod: Pod, exitCode: number, over: Partial<ObservedContainer> = {}): ObservedContainer =>
  instance(pod, { state: "exited", exitCode, finishedAtMs: T0, endSeenAt: 0, ...over });

interface Scene {
  observed: Partial<ObservedPod>;
  facts?: PodFacts;
  troubles?: Partial<Troubles>;
  now?: Instant;
  deletion?: { graceSeconds: number };
  refused?: string;
  held?: string;
}

/** Absorbs and plans as the loop does. */
function plan(pod: Pod, { observed, facts, troubles, now = at(), deletion, refused = "", held = "" }: Scene): Step[] {
  const seen: ObservedPod = { ...nothing, prepared: true, resolvConf: true, residue: true, logs: true, ...observed };
  return planPod({
    wanted: { pod, deletion, refused, held },
    observed: seen,
    facts: absorb(facts ?? newFacts(pod, at()), pod, seen, now),
    troubles: { ...noTroubles(), ...troubles },
    now,
  });
}

const kinds = (steps: Step[]): string[] => steps.map((step) => step.do);

/** The facts after a sequence of looks. */
function remember(pod: Pod, ...looks: [Partial<ObservedPod>, Instant?][]): PodFacts {
  let facts = newFacts(pod, at());
  for (const [observed, now = at()] of looks) facts = absorb(facts, pod, { ...nothing, ...observed }, now);
  return facts;
}

describe("planPod() for a pod that is to run", () => {
  it("makes everything in order, from nothing", () => {
    assert.deepEqual(plan(podOf(), { observed: nothing }), [
      { do: "resolv-conf" },
      { do: "cgroup" },
      { do: "volumes" },
      { do: "run-sandbox", attempt: 0 },
      { do: "create", container: "main", attempt: 0 },
      { do: "start", container: "main", id: undefined },
    ]);
  });

  it("plans nothing once the pod is as wanted", () => {
    const pod = podOf();
    assert.deepEqual(plan(pod, { observed: { sandboxes: [sandbox()], containers: [instance(pod)] } }), []);
  });

  it("pulls an image that is not on the machine before it makes the container", () => {
    const steps = plan(podOf(), { observed: { sandboxes: [sandbox()], images: new Map([["app:1", false]]) } });
    assert.deepEqual(steps[0], { do: "pull", container: "main", image: "app:1", needed: true });
    assert.deepEqual(kinds(steps), ["pull", "create", "start"]);
  });

  it("pulls for the policy Always once, and takes what the pod has run already for a further instance", () => {
    const pod = podOf({}, { imagePullPolicy: "Always" });
    assert.deepEqual(kinds(plan(pod, { observed: { sandboxes: [sandbox()] } })), ["pull", "create", "start"]);
    const observed = { sandboxes: [sandbox()], containers: [exited(pod, 1)] };
    assert.deepEqual(kinds(plan(pod, { observed })), ["create", "start", "remove"]);
  });

  it("starts what was made and not started", () => {
    const pod = podOf();
    const observed = { sandboxes: [sandbox()], containers: [instance(pod, { state: "created" })] };
    assert.deepEqual(plan(pod, { observed }), [{ do: "start", container: "main", id: "main-0" }]);
  });

  it("looks at what runs once before it starts it, and puts the start on record first", () => {
    const pod = podOf({ restartPolicy: "Never" });
    assert.deepEqual(kinds(plan(pod, { observed: { sandboxes: [sandbox()] } })), ["create"]);
    const observed = { sandboxes: [sandbox()], containers: [instance(pod, { state: "created" })] };
    assert.deepEqual(plan(pod, { observed }), [
      { do: "intend", container: "main", id: "main-0" },
      { do: "start", container: "main", id: "main-0" },
    ]);
    const facts = remember(pod, [observed]);
    const [main] = Object.values(facts.containers);
    assert.ok(main);
    const intended = { ...facts, containers: { main: { ...main, intended: true } } };
    assert.deepEqual(kinds(plan(pod, { observed, facts: intended })), ["start"]);
  });

  it("brings volumes up to date beside what runs", () => {
    const pod = podOf();
    const observed = { sandboxes: [sandbox()], containers: [instance(pod)], prepared: false };
    assert.deepEqual(kinds(plan(pod, { observed })), ["cgroup", "volumes"]);
  });

  it("brings the name servers of a pod that runs up to date and touches nothing else", () => {
    const pod = podOf();
    const observed = { sandboxes: [sandbox()], containers: [instance(pod)], resolvConf: false };
    assert.deepEqual(plan(pod, { observed }), [{ do: "resolv-conf" }]);
  });

  it("replaces only the container whose image changed, pulling before it stops", () => {
    const before = podOf({}, { name: "a" }, { name: "b" });
    const after = podOf({}, { name: "a", image: "app:2" }, { name: "b" });
    const containers = [instance(before, { name: "a" }), instance(before, { name: "b" })];
    const images = new Map([["app:2", false]]);
    assert.deepEqual(plan(after, { observed: { sandboxes: [sandbox()], containers, images } }), [
      { do: "pull", container: "a", image: "app:2", needed: true },
      { do: "stop", targets: [{ container: "a", id: "a-0", why: "changed" }], graceSeconds: 30 },
    ]);
    const stopped = [exited(before, 143, { name: "a" }), instance(before, { name: "b" })];
    const facts = remember(
      before,
      [{ sandboxes: [sandbox()], containers }],
      [{ sandboxes: [sandbox()], containers: stopped }],
    );
    const observed = { sandboxes: [sandbox()], containers: stopped, images: new Map([["app:2", true]]) };
    assert.deepEqual(plan(after, { observed, facts }), [
      { do: "create", container: "a", attempt: 1 },
      { do: "start", container: "a", id: undefined },
      { do: "remove", container: "a", id: "a-0" },
    ]);
  });

  it("does not restart what another release's agent made with a version that this one cannot compute", () => {
    const pod = podOf();
    const observed = { sandboxes: [sandbox()], containers: [instance(pod, { version: "v9-abc" })] };
    assert.deepEqual(plan(pod, { observed }), []);
  });

  it("makes no sandbox while the network is not there, and minds what has one", () => {
    const pod = podOf();
    assert.deepEqual(kinds(plan(pod, { observed: nothing, held: "no network" })), ["wait"]);
    const observed = { sandboxes: [sandbox()], containers: [exited(pod, 1)] };
    assert.deepEqual(kinds(plan(pod, { observed, held: "no network" })), ["create", "start", "remove"]);
  });

  it("leaves a refused pod alone", () => {
    assert.deepEqual(plan(podOf(), { observed: nothing, refused: "init containers" }), []);
  });

  it("waits out a failed pull, and starts the pod's other containers meanwhile", () => {
    const pod = podOf({}, { name: "a" }, { name: "b" });
    const trouble = { reason: "ErrImagePull", message: "no", failures: 1, since: 0, retryAt: 10_000 };
    const steps = plan(pod, {
      observed: { sandboxes: [sandbox()] },
      troubles: { containers: new Map([["a", trouble]]) },
      now: at(4),
    });
    assert.deepEqual(steps, [
      { do: "create", container: "b", attempt: 0 },
      { do: "start", container: "b", id: undefined },
      { do: "wait", ms: 6000 },
    ]);
  });
});

describe("planPod() after a container ended", () => {
  const observedAfter = (pod: Pod, exitCode: number): Partial<ObservedPod> => ({
    sandboxes: [sandbox()],
    containers: [exited(pod, exitCode)],
  });

  const table: [policy: string, exitCode: number, restarts: boolean][] = [
    ["Always", 0, true],
    ["Always", 1, true],
    ["OnFailure", 0, false],
    ["OnFailure", 1, true],
    ["Never", 0, false],
    ["Never", 1, false],
  ];
  for (const [restartPolicy, exitCode, restarts] of table) {
    it(`with policy ${restartPolicy} and exit code ${exitCode} ${restarts ? "starts it again" : "lets it be"}`, () => {
      const pod = podOf({ restartPolicy });
      const steps = kinds(plan(pod, { observed: observedAfter(pod, exitCode) }));
      assert.deepEqual(
        steps,
        restarts ? ["create", "start", "remove"] : ["stop-sandbox", "remove-sandbox", "teardown"],
      );
    });
  }

  it("waits 10 s, 20 s, … 300 s before each further start, and forgets after ten good minutes", () => {
    const pod = podOf();
    const waits: number[] = [];
    let facts = newFacts(pod, at());
    for (let attempt = 0; attempt < 8; attempt++) {
      const observed: ObservedPod = { ...nothing, sandboxes: [sandbox()], containers: [exited(pod, 1, { attempt })] };
      facts = absorb(facts, pod, observed, at());
      waits.push((facts.containers["main"]?.backoffMs ?? -1) / 1000);
    }
    assert.deepEqual(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    const good = exited(pod, 1, { attempt: 8, finishedAtMs: T0 + 601_000 });
    facts = absorb(facts, pod, { ...nothing, sandboxes: [sandbox()], containers: [good] }, at(601));
    const next = instance(pod, { attempt: 9 });
    facts = absorb(facts, pod, { ...nothing, sandboxes: [sandbox()], containers: [next] }, at(601));
    assert.equal(facts.containers["main"]?.backoffMs, 10_000);
  });

  it("takes no start that was cut off with the agent for a crash", () => {
    const pod = podOf();
    const cutOff = { reason: "StartError", message: "failed to start containerd task: context canceled: unknown" };
    const refused = { reason: "StartError", message: "failed to start containerd task: no such file" };
    const waits = [cutOff, cutOff, refused, cutOff].reduce(
      ({ facts, seen }, why, attempt) => {
        const ended = exited(pod, 128, { attempt, ...why });
        const next = absorb(facts, pod, { ...nothing, sandboxes: [sandbox()], containers: [ended] }, at());
        const again = instance(pod, { attempt: attempt + 1 });
        const after = absorb(next, pod, { ...nothing, sandboxes: [sandbox()], containers: [again] }, at());
        return { facts: next, seen: [...seen, after.containers["main"]?.backoffMs] };
      },
      { facts: newFacts(pod, at()), seen: [] as (number | undefined)[] },
    ).seen;
    assert.deepEqual(waits, [0, 0, 10_000, 10_000]);
  });

  const crashedTwice = (pod: Pod): PodFacts =>
    remember(
      pod,
      [{ sandboxes: [sandbox()], containers: [exited(pod, 1)] }],
      [{ sandboxes: [sandbox()], containers: [exited(pod, 1, { attempt: 1 })] }],
    );

  it("removes what could not be started before it makes the next one, for it may run all the same", () => {
    const pod = podOf();
    const containers = [exited(pod, 128, { reason: "StartError", message: "context canceled" })];
    const observed = { sandboxes: [sandbox()], containers };
    const facts = remember(pod, [observed]);
    assert.deepEqual(kinds(plan(pod, { observed, facts, now: at(11) })), ["remove", "create", "start"]);
  });

  it("says how long is left of the wait", () => {
    const pod = podOf();
    const observed = { sandboxes: [sandbox()], containers: [exited(pod, 1, { attempt: 1 })] };
    assert.deepEqual(plan(pod, { observed, facts: crashedTwice(pod), now: at(4) }), [{ do: "wait", ms: 6000 }]);
  });

  it("does not wait for ever when the wall clock jumped back", () => {
    const pod = podOf();
    const observed = { sandboxes: [sandbox()], containers: [exited(pod, 1, { attempt: 1 })] };
    const jumped = { ...at(10), wallMs: T0 - 86_400_000 };
    assert.deepEqual(kinds(plan(pod, { observed, facts: crashedTwice(pod), now: jumped })), [
      "create",
      "start",
      "remove",
    ]);
  });

  it("makes no sandbox anew for a pod that has ended, wherever its records went", () => {
    const pod = podOf({ restartPolicy: "Never" });
    const facts = remember(pod, [{ sandboxes: [sandbox()], containers: [exited(pod, 0)] }]);
    assert.deepEqual(plan(pod, { observed: { residue: false }, facts }), []);
  });
});

describe("planPod() for a sandbox that died", () => {
  it("stops the old, runs the next attempt, removes the old, then makes the containers anew", () => {
    const pod = podOf();
    const observed = { sandboxes: [sandbox(0, false)], containers: [exited(pod, 255)] };
    assert.deepEqual(plan(pod, { observed }), [
      { do: "stop-sandbox", id: "s0" },
      { do: "run-sandbox", attempt: 1 },
      { do: "remove-sandbox", id: "s0" },
      { do: "create", container: "main", attempt: 1 },
      { do: "start", container: "main", id: undefined },
    ]);
  });

  it("first ends what still runs in it", () => {
    const pod = podOf();
    const observed = { sandboxes: [sandbox(0, false)], containers: [instance(pod)] };
    assert.deepEqual(kinds(plan(pod, { observed })), ["stop", "stop-sandbox"]);
  });

  it("lets a Never pod end, with the containers that had not run yet", () => {
    const pod = podOf({ restartPolicy: "Never" }, { name: "a" }, { name: "b" });
    const facts = remember(pod, [{ sandboxes: [sandbox()], containers: [instance(pod, { name: "a" })] }]);
    const after = absorb(
      facts,
      pod,
      { ...nothing, sandboxes: [sandbox(0, false)], containers: [exited(pod, 255, { name: "a" })] },
      at(),
    );
    assert.deepEqual(after.final, { phase: "Failed" });
    assert.equal(after.containers["b"]?.ended?.reason, "ContainerStatusUnknown");
  });

  it("takes the number after the last one it remembers when no record is left", () => {
    const pod = podOf();
    const facts = remember(pod, [
      { sandboxes: [sandbox(3)], containers: [instance(pod, { attempt: 2, sandboxId: "s3" })] },
    ]);
    assert.deepEqual(plan(pod, { observed: nothing, facts }).slice(3), [
      { do: "run-sandbox", attempt: 4 },
      { do: "create", container: "main", attempt: 3 },
      { do: "start", container: "main", id: undefined },
    ]);
  });

  it("keeps the newest of two that are ready and ends the other with what runs in it", () => {
    const pod = podOf();
    const containers = [
      instance(pod, { attempt: 1, id: "new", sandboxId: "s1" }),
      instance(pod, { attempt: 0, id: "old", sandboxId: "s0" }),
    ];
    assert.deepEqual(plan(pod, { observed: { sandboxes: [sandbox(1), sandbox(0)], containers } }), [
      { do: "stop", targets: [{ container: "main", id: "old", why: "stray" }], graceSeconds: 30 },
      { do: "stop-sandbox", id: "s0" },
      { do: "remove-sandbox", id: "s0" },
    ]);
  });
});

describe("planPod() for a pod that is to go", () => {
  const deletion = { graceSeconds: 5 };

  it("stops everything at once, looks how it ended, and only then removes", () => {
    const pod = podOf({}, { name: "a" }, { name: "b" });
    const running = {
      sandboxes: [sandbox()],
      containers: [instance(pod, { name: "a" }), instance(pod, { name: "b" })],
    };
    const [stop, ...rest] = plan(pod, { observed: running, deletion });
    assert.equal(stop?.do === "stop" && stop.targets.length, 2);
    assert.equal(stop?.do === "stop" && stop.graceSeconds, 5);
    assert.deepEqual(rest, []);
    const ended = {
      sandboxes: [sandbox()],
      containers: [exited(pod, 143, { name: "a" }), exited(pod, 0, { name: "b" })],
    };
    assert.deepEqual(plan(pod, { observed: ended, deletion }), [
      { do: "stop-sandbox", id: "s0" },
      { do: "remove-sandbox", id: "s0" },
      { do: "teardown", keepLogs: false },
      { do: "finish" },
    ]);
  });

  it("finishes at once when nothing of it is here", () => {
    assert.deepEqual(plan(podOf(), { observed: { residue: false, logs: false }, deletion }), [{ do: "finish" }]);
  });

  it("plans nothing more once the cloud was told", () => {
    const pod = podOf();
    const facts = { ...newFacts(pod, at()), finished: true };
    assert.deepEqual(plan(pod, { observed: { residue: false, logs: false }, deletion, facts }), []);
  });

  it("removes the logs of a pod that had ended before it was deleted", () => {
    const pod = podOf({ restartPolicy: "Never" });
    const facts = remember(pod, [{ sandboxes: [sandbox()], containers: [exited(pod, 0)] }]);
    const steps = plan(pod, { observed: { residue: false, logs: true }, deletion, facts });
    assert.deepEqual(steps, [{ do: "teardown", keepLogs: false }, { do: "finish" }]);
  });

  it("ends a pod that outlived its deadline", () => {
    const pod = podOf({ activeDeadlineSeconds: 60 });
    const observed = { sandboxes: [sandbox()], containers: [instance(pod)] };
    const facts = remember(pod, [observed]);
    assert.deepEqual(plan(pod, { observed, facts, now: at(20) }), [{ do: "wait", ms: 40_000 }]);
    assert.deepEqual(kinds(plan(pod, { observed, facts, now: at(61) })), ["stop"]);
  });
});
