import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import { eventually } from "@skerry/base/testing";
import { GrpcClient } from "./grpc-client.ts";
import { isGrpcError } from "./grpc-error.ts";

const ECHO = "/test.Echo/";
const bytes = (text: string): Buffer => Buffer.from(text);
const never = new AbortController().signal;

/** A method of grpc-js whose messages are plain bytes. */
function method(name: string, requestStream: boolean, responseStream: boolean): grpc.MethodDefinition<Buffer, Buffer> {
  const same = (value: Buffer): Buffer => value;
  return {
    path: ECHO + name,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

class EchoServer implements AsyncDisposable {
  readonly cancelled: string[] = [];
  readonly #socket: string;
  #server = new grpc.Server();

  constructor(socket: string) {
    this.#socket = socket;
  }

  async start(): Promise<void> {
    this.#server = new grpc.Server();
    this.#server.addService(
      {
        Say: method("Say", false, false),
        Count: method("Count", false, true),
        Chat: method("Chat", true, true),
        Hang: method("Hang", false, false),
      },
      {
        Say: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
          const text = call.request.toString();
          if (text === "fail") done({ code: grpc.status.NOT_FOUND, details: "Kein Schlüssel: 100%" });
          else if (text === "metadata") done(null, bytes(String(call.metadata.get("containerd-namespace"))));
          else if (text === "deadline") done(null, bytes(String(call.getDeadline() !== Infinity)));
          else done(null, Buffer.concat([bytes("re: "), call.request]));
        },
        Count: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
          call.on("cancelled", () => this.cancelled.push("Count"));
          const until = Number(call.request.toString());
          let n = 0;
          const more = (): void => {
            while (n < until && !call.cancelled)
              if (!call.write(bytes(String(n++)))) return void call.once("drain", more);
            call.end();
          };
          more();
        },
        Chat: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
          call.on("data", (message: Buffer) => {
            if (message.toString() === "enough")
              call.emit("error", { code: grpc.status.ALREADY_EXISTS, details: "seen it" });
            else call.write(message);
          });
          call.on("end", () => call.end());
        },
        Hang: (call: grpc.ServerUnaryCall<Buffer, Buffer>) => {
          call.on("cancelled", () => this.cancelled.push("Hang"));
        },
      },
    );
    const bind = promisify(this.#server.bindAsync.bind(this.#server));
    await bind(`unix:${this.#socket}`, grpc.ServerCredentials.createInsecure());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    await rm(this.#socket, { force: true });
  }
}

interface Scene extends AsyncDisposable {
  client: GrpcClient;
  server: EchoServer;
  socket: string;
}

async function scene(maxMessageBytes = 1024 * 1024): Promise<Scene> {
  const dir = await mkdtemp(path.join(tmpdir(), "skerry-grpc-"));
  const socket = path.join(dir, "s");
  const server = new EchoServer(socket);
  await server.start();
  const client = new GrpcClient({ socketPath: socket, maxMessageBytes });
  return {
    client,
    server,
    socket,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

describe("GrpcClient", () => {
  it("asks and is answered, with metadata and deadline", async () => {
    await using s = await scene();
    const say = async (text: string): Promise<string> =>
      Buffer.from(
        await s.client.unary(`${ECHO}Say`, bytes(text), {
          signal: never,
          timeoutMs: 5000,
          metadata: { "containerd-namespace": "k8s.io" },
        }),
      ).toString();
    assert.equal(await say("hello"), "re: hello");
    assert.equal(await say("metadata"), "k8s.io");
    assert.equal(await say("deadline"), "true");
    assert.equal((await say("x".repeat(300_000))).length, 300_004);
  });

  it("gives the server's status and message, umlauts and percent signs included", async () => {
    await using s = await scene();
    await assert.rejects(s.client.unary(`${ECHO}Say`, bytes("fail"), { signal: never }), {
      name: "GrpcError",
      code: "NotFound",
      message: "Kein Schlüssel: 100%",
    });
    await assert.rejects(s.client.unary(`${ECHO}Absent`, bytes(""), { signal: never }), { code: "Unimplemented" });
  });

  it("reads a stream at the reader's pace, and ends the call when the reader leaves", async () => {
    await using s = await scene();
    let seen = 0;
    for await (const message of s.client.serverStream(`${ECHO}Count`, bytes("2000"), { signal: never }))
      assert.equal(Buffer.from(message).toString(), String(seen++));
    assert.equal(seen, 2000);

    for await (const _ of s.client.serverStream(`${ECHO}Count`, bytes("100000000"), { signal: never })) break;
    await eventually(() => s.server.cancelled.includes("Count"));
  });

  it("lets both sides talk, and tells a sender that the server has ended the call", async () => {
    await using s = await scene();
    await using call = s.client.open(`${ECHO}Chat`, { signal: never });
    const answers = call[Symbol.asyncIterator]();
    for (const text of ["a", "b"]) {
      await call.send(bytes(text));
      assert.equal(Buffer.from((await answers.next()).value as Uint8Array).toString(), text);
    }
    await call.send(bytes("enough"));
    await assert.rejects(answers.next(), { code: "AlreadyExists", message: "seen it" });
    await assert.rejects(
      async () => {
        for (;;) await call.send(bytes("c"));
      },
      { code: "AlreadyExists" },
    );
  });

  it("ends with OK when both have said everything", async () => {
    await using s = await scene();
    await using call = s.client.open(`${ECHO}Chat`, { signal: never });
    await call.send(bytes("a"));
    call.end();
    const seen: string[] = [];
    for await (const message of call) seen.push(Buffer.from(message).toString());
    assert.deepEqual(seen, ["a"]);
  });

  it("fails with DeadlineExceeded in time, and the server hears of it", async () => {
    await using s = await scene();
    await assert.rejects(s.client.unary(`${ECHO}Hang`, bytes(""), { signal: never, timeoutMs: 50 }), {
      code: "DeadlineExceeded",
    });
    await eventually(() => s.server.cancelled.includes("Hang"));
  });

  it("fails with the signal's reason when aborted, before and during a call", async () => {
    await using s = await scene();
    const reason = new Error("shutting down");
    await assert.rejects(s.client.unary(`${ECHO}Say`, bytes(""), { signal: AbortSignal.abort(reason) }), reason);
    const abort = new AbortController();
    const call = s.client.unary(`${ECHO}Hang`, bytes(""), { signal: abort.signal });
    await s.client.unary(`${ECHO}Say`, bytes("made"), { signal: never });
    abort.abort(reason);
    await assert.rejects(call, reason);
    await eventually(() => s.server.cancelled.includes("Hang"));
  });

  it("refuses a message beyond the limit, either way", async () => {
    await using s = await scene(1000);
    await assert.rejects(s.client.unary(`${ECHO}Say`, Buffer.alloc(1001), { signal: never }), {
      code: "ResourceExhausted",
    });
    await assert.rejects(s.client.unary(`${ECHO}Say`, Buffer.alloc(998), { signal: never }), {
      code: "ResourceExhausted",
    });
    assert.equal((await s.client.unary(`${ECHO}Say`, Buffer.alloc(996), { signal: never })).byteLength, 1000);
  });

  it("fails with Unavailable while nobody listens, and works again once somebody does", async () => {
    await using s = await scene();
    const hang = s.client.unary(`${ECHO}Hang`, bytes(""), { signal: never });
    await s.client.unary(`${ECHO}Say`, bytes("made"), { signal: never });
    await Promise.all([
      assert.rejects(hang, (error) => isGrpcError(error, "Unavailable")),
      s.server[Symbol.asyncDispose](),
    ]);
    await assert.rejects(
      s.client.unary(`${ECHO}Say`, bytes("x"), { signal: never, timeoutMs: 5000 }),
      (error: Error) => {
        assert.ok(isGrpcError(error, "Unavailable"));
        assert.match(error.message, /ENOENT/);
        return true;
      },
    );
    await s.server.start();
    assert.equal(String(Buffer.from(await s.client.unary(`${ECHO}Say`, bytes("x"), { signal: never }))), "re: x");
  });

  it("keeps its deadline towards a server that accepts and says nothing", async () => {
    const dir = await mkdtemp(path.join(tmpdir(), "skerry-grpc-"));
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(path.join(dir, "s"), resolve));
    const client = new GrpcClient({ socketPath: path.join(dir, "s") });
    await assert.rejects(client.unary(`${ECHO}Say`, bytes(""), { signal: never, timeoutMs: 50 }), {
      code: "DeadlineExceeded",
    });
    await client[Symbol.asyncDispose]();
    server.close();
    await rm(dir, { recursive: true, force: true });
  });
});
