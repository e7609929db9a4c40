import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { proxiesOf, proxyFor, proxyUrl, shownProxy } from "./proxy.ts";

describe("proxiesOf()", () => {
  it("reads small letters and capitals, and tells none from nothing said", () => {
    assert.deepEqual(proxiesOf({ https_proxy: "http://p:1", HTTP_PROXY: "http://q:2", NO_PROXY: "a.example" }), {
      http: "http://q:2",
      https: "http://p:1",
      no: "a.example",
    });
    assert.deepEqual(proxiesOf({ HTTPS_PROXY: "" }), { http: "", https: "", no: "" });
    assert.equal(proxiesOf({ PATH: "/bin", NO_PROXY: "a.example" }), undefined);
  });
});

describe("proxyUrl()", () => {
  it("takes what leads to an HTTP proxy, and shows it without its password", () => {
    assert.equal(shownProxy(proxyUrl("http://me:s%C3%A4cret@proxy.example:3128/")!), "http://proxy.example:3128");
    assert.equal(shownProxy(proxyUrl("proxy.example:3128")!), "http://proxy.example:3128");
    for (const text of ["", "socks5://proxy.example", "http://", "http://me:50%@proxy.example"])
      assert.equal(proxyUrl(text), undefined, text);
  });
});

describe("proxyFor()", () => {
  const through = (host: string, no: string, port = 10_000): boolean =>
    proxyFor({ http: "", https: "http://proxy.example:3128", no }, { host, port }) !== undefined;

  it("goes through the proxy but to what NO_PROXY names", () => {
    assert.ok(through("cloud.example", ""));
    for (const no of ["*", "example", ".example", "*.example", "a.test, CLOUD.example", "cloud.example:10000"])
      assert.ok(!through("cloud.example", no), no);
    for (const no of ["loud.example", "a.cloud.example", "cloud.example:443", "10.0.0.0/8", ","])
      assert.ok(through("cloud.example", no), no);
  });

  it("knows addresses and networks", () => {
    for (const no of ["10.1.2.3", "10.1.2.3:10000", "10.0.0.0/8"]) assert.ok(!through("10.1.2.3", no), no);
    for (const no of ["10.1.2.4", "10.1.2.3:443", "10.2.0.0/16", "10.0.0.0/99", "3", "fd00::/8"])
      assert.ok(through("10.1.2.3", no), no);
    for (const no of ["fd00::1", "[fd00::1]:10000", "fd00::/8"]) assert.ok(!through("fd00::1", no), no);
    assert.ok(through("fd00::1", "fe80::/10"));
  });

  it("never leads to this machine itself", () => {
    for (const host of ["localhost", "127.0.0.1", "127.1.2.3", "::1"]) assert.ok(!through(host, ""), host);
  });
});
