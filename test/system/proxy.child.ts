/** A proxy that lets those through who know `argv[2]`, to the ports of this machine that the rest names (`cloud.example:10000`). Prints its address, then what it is asked for. */
import { HttpProxy } from "../http-proxy.ts";

const [credentials = "", ...authorities] = process.argv.slice(2);
const proxy = await HttpProxy.start({
  credentials,
  leadsTo: (authority) => {
    console.log(`CONNECT ${authority}`);
    return authorities.includes(authority) ? Number(authority.split(":")[1]) : undefined;
  },
});
console.log(proxy.url);
