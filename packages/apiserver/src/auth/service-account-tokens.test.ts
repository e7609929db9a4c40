import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createKey } from "@skerry/base";
import { FakeClock } from "@skerry/base/testing";
import { ServiceAccountTokens } from "./service-account-tokens.ts";

const issuer = "https://kubernetes.default.svc.cluster.local";
const claims = { namespace: "default", serviceAccount: { name: "robot", uid: "u1" }, pod: { name: "p", uid: "u2" } };

const tokensWith = (rest: object = {}): { tokens: ServiceAccountTokens; clock: FakeClock } => {
  const clock = new FakeClock();
  return { clock, tokens: new ServiceAccountTokens({ key: createKey(), issuer, audiences: [issuer], clock, ...rest }) };
};

/** A token with a part replaced. */
function forge(token: string, part: 0 | 1 | 2, change: (text: string) => string): string {
  const parts = token.split(".");
  const text = Buffer.from(parts[part] ?? "", "base64url").toString("latin1");
  parts[part] = Buffer.from(change(text), "latin1").toString("base64url");
  return parts.join(".");
}

describe("ServiceAccountTokens", () => {
  it("knows its own tokens", () => {
    const { tokens } = tokensWith();
    const { token, expires } = tokens.issue(claims, 600);
    const found = tokens.verify(token);
    assert.equal(found?.serviceAccount.uid, "u1");
    assert.equal(found?.namespace, "default");
    assert.deepEqual(found?.pod, { name: "p", uid: "u2" });
    assert.deepEqual(found?.audiences, [issuer]);
    assert.equal(found?.expires, expires);
  });

  it("forgets them when their time is over", () => {
    const { tokens, clock } = tokensWith();
    const { token } = tokens.issue(claims, 600);
    clock.advance(599_000);
    assert.ok(tokens.verify(token));
    clock.advance(1_000);
    assert.equal(tokens.verify(token), undefined);
  });

  it("does not know tokens that were tampered with", () => {
    const { tokens } = tokensWith();
    const { token } = tokens.issue(claims, 600);
    assert.equal(tokens.verify(forge(token, 1, (text) => text.replaceAll("robot", "admin"))), undefined);
    assert.equal(tokens.verify(forge(token, 0, (text) => text.replace("ES256", "none"))), undefined);
    assert.equal(tokens.verify(forge(token, 0, (text) => text.replace("ES256", "HS256"))), undefined);
    assert.equal(tokens.verify(forge(token, 2, () => "")), undefined);
    assert.equal(tokens.verify("a.b.c"), undefined);
    assert.equal(tokens.verify(`${"a".repeat(20_000)}.b.c`), undefined);
    assert.equal(tokens.verify(""), undefined);
  });

  it("does not know those of another key or another issuer", () => {
    const { tokens } = tokensWith();
    assert.equal(tokens.verify(tokensWith().tokens.issue(claims, 600).token), undefined);
    const key = createKey();
    const other = tokensWith({ key, issuer: "https://elsewhere" }).tokens.issue(claims, 600).token;
    assert.equal(tokensWith({ key }).tokens.verify(other), undefined);
  });

  it("publishes its public key and nothing more of it", () => {
    const { tokens } = tokensWith();
    const text = JSON.stringify(tokens.keySet());
    assert.match(text, /"crv":"P-256"/);
    assert.ok(!text.includes('"d"'));
  });
});
