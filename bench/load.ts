import { once } from "node:events";
import https from "node:https";
import type { Access } from "../packages/cli/src/instance/kubeconfig.ts";

/** Requests over kept TLS connections, HTTP/1.1. */
export class Load {
  readonly #agent: https.Agent;
  readonly #port: number;
  lastRevision = "0";

  /** `knowsServer` false: whoever listens at the port will do. */
  constructor({ ca, certificate, key }: Access, port: number, knowsServer = true) {
    this.#port = port;
    const agent = { keepAlive: true, maxSockets: 256, ca, cert: certificate, key };
    this.#agent = new https.Agent({ ...agent, rejectUnauthorized: knowsServer });
  }

  /** How long the answer took to its last byte, in milliseconds. */
  timed(method: string, target: string, body: object | undefined, expected: number): Promise<number> {
    const started = performance.now();
    return new Promise((resolve, reject) => {
      const request = https.request(
        {
          agent: this.#agent,
          host: "127.0.0.1",
          port: this.#port,
          path: target,
          method,
          headers: { "content-type": "application/json", "user-agent": "bench/1" },
        },
        (response) => {
          let text = "";
          response.setEncoding("latin1");
          response.on("data", (chunk: string) => {
            if (text.length < 4_096) text += chunk;
          });
          response.on("end", () => {
            if (response.statusCode !== expected)
              reject(new Error(`${method} ${target}: ${response.statusCode} ${text}`));
            this.lastRevision = /"resourceVersion":"(\d+)"/.exec(text)?.[1] ?? this.lastRevision;
            resolve(performance.now() - started);
          });
          response.on("error", reject);
        },
      );
      request.on("error", reject);
      request.end(body && JSON.stringify(body));
    });
  }

  /** `total` calls by `width` clients, each with one at a time. */
  async parallel(width: number, total: number, call: (i: number) => Promise<number>): Promise<number[]> {
    const times: number[] = [];
    let next = 0;
    const client = async (): Promise<void> => {
      while (next < total) times.push(await call(next++));
    };
    await Promise.all(Array.from({ length: width }, client));
    return times;
  }

  async watch(target: string, signal: AbortSignal, seen: (name: string) => void): Promise<void> {
    const request = https.get({ agent: this.#agent, host: "127.0.0.1", port: this.#port, path: target, signal });
    const [response] = (await once(request, "response", { signal })) as [NodeJS.ReadableStream];
    let rest = "";
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const text = rest + chunk.toString("latin1");
      const end = text.lastIndexOf("\n") + 1;
      rest = text.slice(end);
      for (const [, name = ""] of text.slice(0, end).matchAll(/"name":"(watched-\d+)"/g)) seen(name);
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}
