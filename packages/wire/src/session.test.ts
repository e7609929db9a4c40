import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { FakeClock } from "@skerry/base/testing";
import fc from "fast-check";
import { encodeFrame, FRAME, LANE, packPayload, type FrameType } from "./frame.ts";
import { memoryPair, type MemoryPairOptions } from "./memory-transport.ts";
import { encodePut, type Hello, type Welcome } from "./payloads.ts";
import type { StreamResponse } from "./request.ts";
import { refusal, Session, type SessionHandlers } from "./session.ts";
import type { FrameTransport, TransportEvents } from "./transport.ts";

const hello: Hello = { protocol: 1, version: "0", capabilities: [], node: "n1", epoch: 1, instance: "i", digest: "d" };
const welcome: Welcome = { protocol: 1, version: "0", capabilities: [], heartbeatMs: 5000, inSync: true };

function link(
  { hub = {}, edge = {} }: { hub?: SessionHandlers; edge?: SessionHandlers } = {},
  options: MemoryPairOptions = {},
) {
  const clock = options.clock ?? new FakeClock();
  const pair = memoryPair(options);
  const hubSession = new Session({
    transport: pair.a,
    side: "hub",
    clock,
    handlers: { hello: () => Promise.resolve(welcome), ...hub },
  });
  const edgeSession = new Session({ transport: pair.b, side: "edge", clock, handlers: edge });
  hubSession.start();
  edgeSession.start(hello);
  return { hub: hubSession, edge: edgeSession, cut: () => pair.cut() };
}

async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

async function textOf({ body }: StreamResponse): Promise<string> {
  let text = "";
  for await (const chunk of body) text += Buffer.from(chunk).toString();
  return text;
}

const never = new AbortController().signal;
const get = (path: string) => ({ method: "GET", path, headers: {} });

describe("Session", () => {
  it("opens with a greeting and parts with a reason that the other side hears", async () => {
    const { hub, edge } = link();
    assert.deepEqual(await edge.opened, welcome);
    edge.close({ reason: "shutdown", message: "restarting", retryAfterMs: 100 });
    assert.deepEqual(await hub.ended, { reason: "shutdown", message: "restarting", retryAfterMs: 100, by: "peer" });
    assert.equal((await edge.ended).by, "us");
  });

  it("tells the edge why its greeting was refused", async () => {
    const { edge } = link({
      hub: { hello: () => Promise.reject(refusal("stale-epoch", "There is a newer one", { epoch: 9 })) },
    });
    await assert.rejects(edge.opened, /stale-epoch/);
    assert.deepEqual(await edge.ended, {
      reason: "stale-epoch",
      message: "There is a newer one",
      epoch: 9,
      by: "peer",
    });
  });

  it("gives up a greeting that does not come", async () => {
    const clock = new FakeClock();
    const { a } = memoryPair();
    const session = new Session({ transport: a, side: "hub", clock, handlers: {} });
    session.start();
    clock.advance(10_000);
    assert.equal((await session.ended).reason, "handshake-timeout");
    assert.equal(clock.pending, 0);
  });

  it("notices a dead peer within ten seconds, on both sides, and not a live one", async () => {
    const clock = new FakeClock();
    let isDead = false;
    // Nothing arrives any more, and nobody says so.
    const hushed = (transport: FrameTransport): FrameTransport => ({
      start: (events: TransportEvents) =>
        transport.start({ ...events, frame: (bytes) => (isDead ? undefined : events.frame(bytes)) }),
      send: (frame) => transport.send(frame),
      get buffered() {
        return transport.buffered;
      },
      close: () => transport.close(),
    });
    const { a, b } = memoryPair();
    const hub = new Session({
      transport: hushed(a),
      side: "hub",
      clock,
      handlers: { hello: () => Promise.resolve(welcome) },
    });
    const edge = new Session({ transport: hushed(b), side: "edge", clock, handlers: {} });
    hub.start();
    edge.start(hello);
    await edge.opened;
    for (let i = 0; i < 100; i++) {
      clock.advance(1000);
      for (let j = 0; j < 4; j++) await turn();
    }
    assert.ok(hub.isOpen && edge.isOpen);
    isDead = true;
    for (let i = 0; i < 10; i++) {
      clock.advance(1000);
      await turn();
    }
    assert.ok(!hub.isOpen && !edge.isOpen);
    assert.equal((await edge.ended).reason, "heartbeat-lost");
    assert.equal((await hub.ended).reason, "heartbeat-lost");
  });

  it("ends by name at a frame that is malformed, or has no business there", async () => {
    const cases: [string, Uint8Array][] = [
      ["noise", Uint8Array.of(0xff, 0xff)],
      ["empty", new Uint8Array(0)],
      ["second hello", encodeFrame(LANE.control, FRAME.hello, { payload: packPayload(Buffer.from("{}")) })],
      ["put to a hub", encodeFrame(LANE.state, FRAME.put, { seq: 1, payload: put("x") })],
      ["a channel of the hub's", encodeFrame(LANE.stream, FRAME.open, { channel: 1 })],
      ["open without head", encodeFrame(LANE.stream, FRAME.open, { channel: 2 })],
    ];
    for (const [what, bytes] of cases) {
      const pair = memoryPair();
      const hub = new Session({
        transport: pair.a,
        side: "hub",
        clock: new FakeClock(),
        handlers: { hello: () => Promise.resolve(welcome) },
      });
      hub.start();
      pair.b.start({ frame: () => {}, drained: () => {}, closed: () => {} });
      pair.b.send(encodeFrame(LANE.control, FRAME.hello, { payload: packPayload(Buffer.from(JSON.stringify(hello))) }));
      await hub.opened;
      pair.b.send(bytes);
      assert.equal((await hub.ended).reason, "malformed-frame", what);
    }
  });

  it("survives whatever a peer sends, or ends by name", async () => {
    const frame = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc
        .tuple(fc.constantFrom(...Object.values(FRAME)), fc.nat(4), fc.nat(5), fc.uint8Array({ maxLength: 40 }))
        .map(([type, channel, seq, bytes]) =>
          encodeFrame(LANE.state, type, { channel, seq, payload: { bytes, compressed: false } }),
        ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 8 }), async (frames) => {
        const { a, b } = memoryPair();
        const quiet = { held: () => {}, report: () => {}, message: () => {}, stateAck: () => {}, messageAck: () => {} };
        const handlers: SessionHandlers = { hello: () => Promise.resolve(welcome), ...quiet };
        const hub = new Session({ transport: a, side: "hub", clock: new FakeClock(), handlers });
        hub.start();
        b.start({ frame: () => {}, drained: () => {}, closed: () => {} });
        b.send(encodeFrame(LANE.control, FRAME.hello, { payload: packPayload(Buffer.from(JSON.stringify(hello))) }));
        await hub.opened;
        for (const bytes of frames) b.send(bytes);
        await turn();
        await turn();
        if (!hub.isOpen) {
          const { reason, by } = await hub.ended;
          // A goodbye may be among what was sent.
          assert.ok(by === "peer" || reason === "malformed-frame", `${by} ${reason}`);
        }
        hub.close({ reason: "shutdown", message: "" });
      }),
      { numRuns: 300 },
    );
  });

  it("sends what is urgent before what waits in lower lanes, when the network is slow", async () => {
    const sent: number[] = [];
    let events: TransportEvents | undefined;
    let buffered = 0;
    const slow: FrameTransport = {
      start: (given) => void (events = given),
      send: (frame) => {
        sent.push(frame[1] ?? 0);
        buffered += frame.length;
      },
      get buffered() {
        return buffered;
      },
      close: () => {},
    };
    const session = new Session({ transport: slow, side: "edge", clock: new FakeClock(), handlers: {} });
    session.start(hello);
    events?.frame(
      encodeFrame(LANE.control, FRAME.welcome, { payload: packPayload(Buffer.from(JSON.stringify(welcome))) }),
    );
    buffered = 1 << 20;
    const message = { id: "1", topic: "t", ttlMs: 0, bytes: new Uint8Array(0) };
    const bulk = session.request({ ...get("/a"), body: chunks("x") }, never, { bulk: true });
    session.message(1, message);
    session.acknowledgeState(1);
    sent.length = 0;
    buffered = 0;
    events?.drained();
    const order: FrameType[] = [FRAME.stateAck, FRAME.message, FRAME.open];
    assert.deepEqual(sent.slice(0, 3), order);
    session.close({ reason: "shutdown", message: "" });
    await assert.rejects(bulk);
  });

  it("holds a lane to its budget while the others go on", async () => {
    const clock = new FakeClock();
    const { a, b } = memoryPair();
    const seen: number[] = [];
    b.start({ frame: (frame) => void seen.push(frame[1] ?? 0), drained: () => {}, closed: () => {} });
    let freeAt = 1000;
    const session = new Session({
      transport: a,
      side: "edge",
      clock,
      handlers: {},
      budget: (lane) => (lane === LANE.status ? Math.max(0, freeAt - clock.monotonic()) : 0),
    });
    session.start(hello);
    session.report(1, { resource: "pods", namespace: "", name: "", uid: "", gone: false, bytes: new Uint8Array(0) });
    session.acknowledgeState(1);
    await turn();
    await turn();
    assert.deepEqual(seen, [FRAME.hello, FRAME.stateAck]);
    freeAt = 0;
    clock.advance(1000);
    await turn();
    await turn();
    assert.deepEqual(seen, [FRAME.hello, FRAME.stateAck, FRAME.report]);
    session.close({ reason: "shutdown", message: "" });
  });
});

describe("Session.request()", () => {
  it("carries requests with bodies both ways, many at once", async () => {
    const echo = async (request: { path: string; body: AsyncIterable<Uint8Array> }): Promise<StreamResponse> => {
      let text = request.path;
      for await (const chunk of request.body) text += Buffer.from(chunk).toString();
      return { status: 207, headers: { "x-from": "other" }, body: chunks(text, "!") };
    };
    const { hub, edge } = link({ hub: { request: echo }, edge: { request: echo } });
    await edge.opened;
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const from = i % 2 ? hub : edge;
        const answer = await from.request({ ...get(`/${i}`), body: chunks("a", "b") }, never);
        assert.equal(answer.status, 207);
        assert.deepEqual(answer.headers, { "x-from": "other" });
        assert.equal(await textOf(answer), `/${i}ab!`);
      }),
    );
  });

  it("carries a large body whole and in order", async () => {
    const part = Buffer.alloc(100_000);
    for (let i = 0; i < part.length; i++) part[i] = (i * 31) % 251;
    const { hub, edge } = link({
      edge: {
        request: () =>
          Promise.resolve({ status: 200, headers: {}, body: chunks(...Array.from({ length: 30 }, () => part)) }),
      },
    });
    await edge.opened;
    const { body } = await hub.request(get("/"), never);
    const parts: Uint8Array[] = [];
    for await (const chunk of body) parts.push(chunk);
    assert.ok(Buffer.concat(parts).equals(Buffer.concat(Array.from({ length: 30 }, () => part))));
  });

  it("lets a slow reader slow its writer and nobody else", async () => {
    let written = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        written += 10_000;
        yield Buffer.alloc(10_000, "x");
      }
    }
    const reports: number[] = [];
    const { hub, edge } = link({
      edge: { request: () => Promise.resolve({ status: 200, headers: {}, body: endless() }) },
      hub: { report: (seq) => void reports.push(seq) },
    });
    await edge.opened;
    const { body } = await hub.request(get("/"), never);
    const reader = body[Symbol.asyncIterator]();
    await reader.next();
    for (let i = 0; i < 50; i++) await turn();
    const stuckAt = written;
    assert.ok(stuckAt < 400_000, `${stuckAt}`);
    for (let seq = 1; seq <= 10; seq++) {
      edge.report(seq, { resource: "pods", namespace: "", name: "", uid: "", gone: false, bytes: Buffer.alloc(1000) });
    }
    for (let i = 0; i < 5; i++) await turn();
    assert.equal(reports.length, 10);
    assert.equal(written, stuckAt);
    for (let i = 0; i < 30; i++) await reader.next();
    for (let i = 0; i < 20; i++) await turn();
    assert.ok(written > stuckAt);
    await reader.return?.(undefined);
  });

  it("stops the writer when the asker aborts, or stops reading", async () => {
    const stopped: string[] = [];
    const { hub, edge } = link({
      edge: {
        request: async ({ path }, signal) => {
          signal.addEventListener("abort", () => stopped.push(path));
          async function* slow(): AsyncGenerator<Uint8Array> {
            for (;;) {
              yield Buffer.from("x");
              await turn();
              if (signal.aborted) return;
            }
          }
          return { status: 200, headers: {}, body: slow() };
        },
      },
    });
    await edge.opened;
    const abort = new AbortController();
    const first = await hub.request(get("/aborted"), abort.signal);
    const second = await hub.request(get("/left"), never);
    abort.abort(new Error("enough"));
    await assert.rejects(textOf(first), /enough/);
    for await (const _ of second.body) break;
    for (let i = 0; i < 10; i++) await turn();
    assert.deepEqual(stopped.toSorted(), ["/aborted", "/left"]);
  });

  it("answers 500 for a handler that throws, and 501 where there is none", async () => {
    const { hub, edge } = link({ edge: { request: () => Promise.reject(new Error("no such pod")) } });
    await edge.opened;
    const failed = await hub.request(get("/"), never);
    assert.equal(failed.status, 500);
    assert.equal(await textOf(failed), "no such pod");
    assert.equal((await edge.request(get("/"), never)).status, 501);
  });

  it("fails with what was lost when the link is cut, before the head and after", async () => {
    const { hub, edge, cut } = link({
      edge: {
        request: async ({ path }, signal) => {
          if (path === "/late") await new Promise((_, reject) => signal.addEventListener("abort", reject));
          async function* hang(): AsyncGenerator<Uint8Array> {
            yield Buffer.from("part");
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
          }
          return { status: 200, headers: {}, body: hang() };
        },
      },
    });
    await edge.opened;
    const late = hub.request(get("/late"), never);
    const begun = await hub.request(get("/begun"), never);
    const reader = begun.body[Symbol.asyncIterator]();
    assert.equal(Buffer.from((await reader.next()).value as Uint8Array).toString(), "part");
    cut();
    await assert.rejects(late, /link was lost/);
    await assert.rejects(reader.next() as Promise<unknown>, /link was lost/);
  });
});

function put(uid: string) {
  return encodePut({ resource: "pods", namespace: "default", name: "web", uid, hash: "h" }, Buffer.from("{}"));
}
