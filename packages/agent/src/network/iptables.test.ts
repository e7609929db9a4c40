import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Iptables, optionOf } from "./iptables.ts";

const OUTPUT = String.raw`-P POSTROUTING ACCEPT
-N CNI-DN-0123
-A POSTROUTING -s 10.42.7.0/24 ! -d 10.42.7.0/24 -m comment --comment "skerry a b" -j MASQUERADE
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"skerry-a\" id: \"42\"" -m multiport --dports 80 -j CNI-DN-0123
`;

describe("Iptables", () => {
  it("cuts rules into words as the shell would, and gives them back as they were", async () => {
    const calls: string[][] = [];
    const run = async (_: string, args: readonly string[]): Promise<string> => {
      calls.push([...args]);
      return args.includes("-S") ? OUTPUT : "";
    };
    const iptables = new Iptables(run, new AbortController().signal);
    const [masquerade, hostPort, ...others] = await iptables.rules("nat");
    assert.ok(masquerade && hostPort);
    assert.deepEqual(others, []);
    assert.equal(masquerade.chain, "POSTROUTING");
    assert.equal(optionOf(masquerade, "--comment"), "skerry a b");
    assert.equal(optionOf(hostPort, "--comment"), 'dnat name: "skerry-a" id: "42"');
    assert.equal(optionOf(hostPort, "-j"), "CNI-DN-0123");
    assert.equal(optionOf(hostPort, "-s"), undefined);
    assert.deepEqual([...(await iptables.chains("nat"))], ["CNI-DN-0123"]);

    await iptables.remove("nat", masquerade);
    assert.equal(
      calls.at(-1)?.join("|"),
      "-w|10|-t|nat|-D|POSTROUTING|-s|10.42.7.0/24|!|-d|10.42.7.0/24|-m|comment|--comment|skerry a b|-j|MASQUERADE",
    );
  });
});
