import assert from "node:assert/strict";
import { it } from "node:test";
import { sourceOf } from "./source.ts";

it("sourceOf() is an IPv4 address, however it is written", () => {
  assert.equal(sourceOf("192.0.2.7"), "192.0.2.7");
  assert.equal(sourceOf("::ffff:192.0.2.7"), "192.0.2.7");
});

it("sourceOf() is the /64 of an IPv6 address, however it is written", () => {
  assert.equal(sourceOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(sourceOf("2001:DB8:0001:2::"), "2001:db8:1:2::/64");
  assert.equal(sourceOf("2001:db8::ffff"), "2001:db8:0:0::/64");
  assert.equal(sourceOf("fe80::1%eth0"), sourceOf("fe80::2%eth0"));
  assert.notEqual(sourceOf("2001:db8:1:3::1"), sourceOf("2001:db8:1:2::1"));
});

it("sourceOf() keeps what is no address apart from those that are", () => {
  assert.equal(sourceOf(""), "");
});
