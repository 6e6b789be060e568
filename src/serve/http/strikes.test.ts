/** Strikes: the last one that is allowed, the time after which they are forgotten, and who counts as one sender. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isTenonError } from "../../base/index.js";
import { networkOf, STRIKE_MS, Strikes } from "./strikes.js";

const refusal = (strikes: Strikes, sender: string, model: string, now: number): number => {
  try {
    strikes.check(() => sender, model, now);
    return 0;
  } catch (error) {
    assert.ok(isTenonError(error, "RATE_LIMITED"));
    return error.details.retryAfter as number;
  }
};

describe("strikes", () => {
  it("the last one allowed begins the refusal, of that sender on that model alone, for a minute", () => {
    const strikes = new Strikes(3);
    for (const now of [0, 10, 20]) {
      assert.equal(refusal(strikes, "a", "m", now), 0);
      strikes.add("a", "m", now);
    }
    assert.equal(refusal(strikes, "a", "m", 20), 60);
    assert.equal(refusal(strikes, "a", "m", STRIKE_MS + 19), 1);
    assert.equal(refusal(strikes, "a", "m", STRIKE_MS + 20), 0);
    assert.equal(refusal(strikes, "b", "m", 20), 0);
    assert.equal(refusal(strikes, "a", "n", 20), 0);
  });

  it("strikes of more than a minute ago do not count", () => {
    const strikes = new Strikes(3);
    for (const now of [0, 1000, STRIKE_MS]) strikes.add("a", "m", now);
    assert.equal(refusal(strikes, "a", "m", STRIKE_MS), 0);
    strikes.add("a", "m", STRIKE_MS + 1);
    assert.equal(refusal(strikes, "a", "m", STRIKE_MS + 1), 60);
  });

  it("who strikes again when the minute is over is refused again", () => {
    const strikes = new Strikes(1);
    strikes.add("a", "m", 0);
    strikes.add("a", "m", STRIKE_MS);
    assert.equal(refusal(strikes, "a", "m", STRIKE_MS + 1), 60);
  });

  it("off counts nothing", () => {
    const strikes = new Strikes("off");
    for (let now = 0; now < 1000; now++) strikes.add("a", "m", now);
    assert.equal(refusal(strikes, "a", "m", 1000), 0);
  });

  it("an address of IPv6 counts as its network", () => {
    assert.equal(networkOf("127.0.0.1"), "127.0.0.1");
    assert.equal(networkOf("::ffff:10.0.0.7"), "10.0.0.7");
    assert.equal(networkOf("2001:db8:1:2:3:4:5:6"), networkOf("2001:db8:1:2::9"));
    assert.notEqual(networkOf("2001:db8:1:2::9"), networkOf("2001:db8:1:3::9"));
    assert.equal(networkOf("fe80::1%eth0"), "fe80:0:0:0::/64");
    assert.equal(networkOf("::1"), "0:0:0:0::/64");
    assert.equal(networkOf(undefined), "");
  });
});
