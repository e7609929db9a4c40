import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import tls from "node:tls";

/**
 * Asks a hub for a link with each certificate it is told, and prints the status and words of each answer, a line each: `node knock.child.ts
 * PORT`, then on standard input the name of a file with key and certificates, a line each.
 */
const port = Number(process.argv[2]);
for await (const file of createInterface({ input: process.stdin })) {
  const pem = await readFile(file);
  const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false, key: pem, cert: pem });
  await once(socket, "secureConnect");
  socket.write(
    "GET /link HTTP/1.1\r\nhost: skerry-hub\r\nconnection: upgrade\r\nupgrade: websocket\r\n" +
      "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: skerry.v1\r\n\r\n",
  );
  let text = "";
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    text += chunk.toString("latin1");
    if (text.startsWith("HTTP/1.1 101")) break;
  }
  socket.destroy();
  const [, status = ""] = /^HTTP\/1\.1 (\d+)/.exec(text) ?? [];
  const body = status === "101" ? "" : text.slice(text.indexOf("\r\n\r\n") + 4);
  console.log(`${status} ${body.replaceAll(/\s+/g, " ").trim()}`);
}
