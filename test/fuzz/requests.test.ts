/** The request fuzzer, briefly: every kind is made, none does harm. `npm run fuzz -- --what requests` runs it longer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../support/random.js";
import { CALL_KINDS, hostileCall } from "./call-kinds.js";
import { Dice, hostileRequest, REQUEST_KINDS } from "./request-kinds.js";
import { fuzzRequests } from "./requests.js";

test("the same seed makes the same requests, and all kinds come", () => {
  const kinds = new Set<string>();
  for (let seed = 0; seed < 500; seed++) {
    const [first, second] = [0, 1].map(() => hostileRequest(new Dice(seededRandom(seed))));
    assert.deepEqual(first, second);
    kinds.add(first!.kind);
  }
  assert.equal(kinds.size, Object.keys(REQUEST_KINDS).length);
});

test("1,000 hostile requests: each is answered as it should be, and good ones in between are served", async () => {
  const report = await fuzzRequests({ protocol: "http", seed: 1, minutes: 0.5, most: 1000 });
  assert.deepEqual(report.defects, []);
  assert.ok(report.requests > 100);
});

test("the same seed makes the same calls of gRPC, and all kinds come", () => {
  const kinds = new Set<string>();
  for (let seed = 0; seed < 300; seed++) {
    const [first, second] = [0, 1].map(() => hostileCall(new Dice(seededRandom(seed))));
    assert.deepEqual(first, second);
    kinds.add(first!.kind);
  }
  assert.equal(kinds.size, Object.keys(CALL_KINDS).length);
});

test("200 hostile calls of gRPC: each gets its status, and good ones in between are served", async () => {
  const report = await fuzzRequests({ protocol: "grpc", seed: 1, minutes: 0.5, most: 200 });
  assert.deepEqual(report.defects, []);
  assert.ok(report.requests > 50);
});
