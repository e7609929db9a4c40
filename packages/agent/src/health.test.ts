import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempDisposable } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { HealthSocket, type HealthSocketOptions } from "./health.ts";

interface Place extends AsyncDisposable {
  file: string;
  /** Connects, and sends what it is given. */
  open: (text?: string) => Promise<Socket>;
}

async function listening(options: Partial<HealthSocketOptions>): Promise<Place> {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await mkdtempDisposable(path.join(tmpdir(), "skerry-health-")));
  const file = path.join(folder.path, "agent.sock");
  const status = (): Promise<never> => Promise.reject(new Error("not asked for"));
  const metrics = (): Promise<string> => Promise.resolve("");
  await stack.use(new HealthSocket({ file, status, metrics, ready: [], ...options })).start();
  const open = async (text = ""): Promise<Socket> => {
    const socket = connect(file);
    stack.defer(() => void socket.destroy());
    await once(socket, "connect");
    socket.resume();
    if (text !== "") socket.write(text);
    return socket;
  };
  return { file, open, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe("HealthSocket", () => {
  it("hangs up on one connection more than it has room for, and serves who comes when one has gone", async () => {
    await using place = await listening({});
    const first = await place.open();
    for (let count = 1; count < 16; count++) await place.open();
    await once(await place.open(), "close");
    first.end();
    await once(first, "close");
    const [answer] = (await once(get({ socketPath: place.file, path: "/livez", agent: false }), "response")) as [
      IncomingMessage,
    ];
    assert.equal(answer.statusCode, 200);
    answer.resume();
  });

  it("ends a connection whose request does not arrive in time, or has not begun", async () => {
    await using place = await listening({ requestMs: 50 });
    const late = ["", "GET /livez HTTP/1.1\r\nhost: e", "GET /livez HTTP/1.1\r\nhost: e\r\ncontent-length: 9\r\n\r\n"];
    await Promise.all(late.map(async (text) => once(await place.open(text), "close")));
  });
});
