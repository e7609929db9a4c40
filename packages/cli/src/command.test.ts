import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseCall, type Command } from "./command.ts";
import { status } from "./commands/status.ts";
import { tokenCreate } from "./commands/token.ts";
import { up } from "./commands/up.ts";
import { settingsRequest } from "./instance/request.ts";
import type { Settings } from "./instance/settings.ts";
import { TEST_SETTINGS } from "./instance/test-settings.ts";

const never = new AbortController().signal;

describe("parseCall()", () => {
  const misuse = (command: Command, ...words: string[]): string => {
    try {
      parseCall(command, words, {}, never);
    } catch (error) {
      assert.equal((error as { exitCode?: number }).exitCode, 2);
      return (error as Error).message.replace(/; see .*/, "");
    }
    return "taken";
  };

  it("says in one line that an option has no value, be there none or one that looks like an option", () => {
    const ttl = "--ttl needs a value (one that begins with - is written --ttl=VALUE)";
    assert.equal(misuse(tokenCreate, "--ttl", "-5m"), ttl);
    assert.equal(misuse(tokenCreate, "--ttl"), ttl);
    assert.equal(misuse(status, "-o", "--x"), "-o needs a value (one that begins with - is written -oVALUE)");
    assert.match(misuse(status, "--output", "-x"), /^--output needs a value /);
    assert.equal(misuse(tokenCreate, "--ttl="), "--ttl needs a value");
  });

  it("says of an unknown option that it is unknown", () => {
    assert.equal(misuse(status, "--x"), "Unknown option '--x'");
  });
});

describe("settingsRequest()", () => {
  const refusal = (words: string[], env: NodeJS.ProcessEnv = {}, kept?: Settings): string => {
    try {
      settingsRequest(parseCall(up, words, env, never), { roles: ["cloud", "edge"], sample: false }, kept);
    } catch (error) {
      return (error as Error).message;
    }
    return "taken";
  };

  it("takes ports in decimal digits alone, from flags and the environment", () => {
    for (const text of ["0x10", "1e3", "+80", "8_0", " 80", "80.0", "0", "65536"]) {
      assert.equal(refusal([`--api-port=${text}`]), `--api-port takes a port between 1 and 65535, not "${text}"`);
      assert.match(refusal([], { SKERRY_LINK_PORT: text }), /^SKERRY_LINK_PORT takes a port/);
    }
    assert.equal(refusal(["--api-port=80"], { SKERRY_LINK_PORT: "65535" }), "taken");
  });

  it("takes no two ports that are one, be it one that is asked for and one that the cloud has", () => {
    assert.equal(refusal(["--api-port=80", "--link-port=80"]), "--api-port and --link-port must differ");
    assert.equal(refusal(["--api-port=10000"]), "--api-port and the port that edges dial into, 10000, must differ");
    assert.equal(refusal([], { SKERRY_LINK_PORT: "6443" }), "SKERRY_LINK_PORT and the API's port, 6443, must differ");
    const kept = { ...TEST_SETTINGS, apiPort: 7443 };
    assert.equal(refusal(["--link-port=7443"], {}, kept), "--link-port and the API's port, 7443, must differ");
    assert.equal(refusal(["--link-port=6443"], {}, kept), "taken");
    assert.equal(refusal([], {}, kept), "taken");
  });

  it("takes as a node's name what the cloud takes", () => {
    for (const name of ["UPPER_Case!", "-a", "a..b", "n".repeat(254)]) {
      assert.match(
        refusal([`--node-name=${name}`]),
        /^--node-name takes lower-case letters and digits, .*, not "/,
        name,
      );
      assert.match(refusal([], { SKERRY_NODE_NAME: name }), /^SKERRY_NODE_NAME takes /, name);
    }
    for (const name of ["n1", "edge-1.example", "n".repeat(253)]) assert.equal(refusal(["--node-name", name]), "taken");
  });
});
