import http, { type Server } from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";

export interface HttpProxyOptions {
  /** The port of this machine that an authority (`cloud.example:10000`) leads to; none for what it does not let through. */
  leadsTo?: (authority: string) => number | undefined;
  /** What proves who asks: `user:password`. */
  credentials?: string;
}

/** A small HTTP proxy on loopback: it tunnels (CONNECT) to ports of this machine, fetches nothing, and remembers what it was asked for. */
export class HttpProxy implements AsyncDisposable {
  /** `CONNECT cloud.example:10000`, `GET http://debian.example/`. */
  readonly requests: string[] = [];
  readonly #server: Server;
  readonly #credentials: string | undefined;
  readonly #sockets = new Set<Socket>();

  private constructor({ leadsTo = () => undefined, credentials }: HttpProxyOptions) {
    this.#credentials = credentials;
    const wanted = credentials && `Basic ${Buffer.from(credentials).toString("base64")}`;
    this.#server = http.createServer((request, response) => {
      this.requests.push(`${request.method} ${request.url}`);
      response.writeHead(404).end();
    });
    this.#server.on("connect", (request, client: Socket, head) => {
      this.#hold(client);
      this.requests.push(`CONNECT ${request.url}`);
      const refuse = (status: string): void => void client.end(`HTTP/1.1 ${status}\r\n\r\n`);
      if (wanted !== request.headers["proxy-authorization"]) return refuse("407 Proxy Authentication Required");
      const port = leadsTo(request.url ?? "");
      if (port === undefined) return refuse("403 Forbidden");
      const there = this.#hold(net.connect(port, "127.0.0.1"));
      there.once("connect", () => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n");
        there.write(head);
        client.pipe(there).pipe(client);
      });
    });
  }

  static async start(options: HttpProxyOptions = {}): Promise<HttpProxy> {
    const proxy = new HttpProxy(options);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** Its address, with what it wants to be shown. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://${this.#credentials ? `${this.#credentials}@` : ""}127.0.0.1:${port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #hold(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }
}
