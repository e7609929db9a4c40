/** For `machine.ts`: answers every request over TLS with the body that it came with, on the port that it tells its parent. */
import https from "node:https";
import type { AddressInfo } from "node:net";

process.once("message", ({ cert, key }: { cert: string; key: string }) => {
  const server = https.createServer({ cert, key }, (request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.on("end", () => {
      response.writeHead(201, { "content-type": "application/json" });
      response.end(Buffer.concat(chunks));
    });
  });
  server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port));
});
