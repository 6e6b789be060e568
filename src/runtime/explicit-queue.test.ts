/** ExplicitQueue: the batches that Triton 2.51 forms from the same requests, by a virtual clock. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type ExplicitBatching, ExplicitQueue, type ExplicitRequest } from "./explicit-queue.js";

const RULES: ExplicitBatching = {
  preferred: [],
  maxDelayMs: 0,
  levels: 0,
  defaultLevel: 0,
  policy: { action: "reject", timeoutMs: 0, allowOverride: false, maxQueue: 0 },
  policies: new Map(),
  preserveOrdering: false,
};

interface Numbered extends ExplicitRequest {
  readonly id: number;
}

interface Given {
  readonly rows?: number;
  readonly width?: number;
  readonly level?: number;
  readonly timeoutMs?: number;
}

function request(id: number, { rows = 1, width = 4, level, timeoutMs }: Given = {}): Numbered {
  return {
    id,
    member: { inputs: [], rows, into: undefined },
    batchKey: String(width),
    outputs: [],
    rank: 0,
    arrivedAt: 0,
    deadlineAt: Number.POSITIVE_INFINITY,
    priority: 0,
    level,
    queueTimeoutMs: timeoutMs,
  };
}

/** Runs everything by one instance: the ids of each batch, and of what was refused. Waits advance the clock. */
function run(
  rules: Partial<ExplicitBatching>,
  given: readonly Given[],
  hold = given.length,
  startAt = 0,
): string {
  const queue = new ExplicitQueue<Numbered>({ ...RULES, ...rules }, 8);
  const requests = given.map((each, id) => request(id, each));
  const refused: number[] = [];
  const batches: string[] = [];
  let now = startAt;
  const add = (some: readonly Numbered[]): void => {
    for (const each of some) {
      if (queue.fullAt(each) === undefined) queue.push(each);
      else refused.push(each.id);
    }
  };
  add(requests.slice(0, hold));
  let more = hold < requests.length;
  while (queue.length > 0 || more) {
    refused.push(...queue.expire(now).map(({ id }) => id));
    const { members, waitMs } = queue.form(now);
    if (members.length > 0) {
      assert.deepEqual(queue.take(now), members);
      batches.push(members.map(({ id }) => id).join(" "));
    } else if (waitMs !== undefined) now += waitMs;
    if (more) {
      add(requests.slice(hold));
      more = false;
    }
  }
  assert.equal(queue.rows, 0);
  return `${batches.join(" | ")}${refused.length === 0 ? "" : ` refused ${refused.join(" ")}`}`;
}

const ones = (count: number): Given[] => Array.from({ length: count }, () => ({}));
const sizes = (...rows: number[]): Given[] => rows.map((each) => ({ rows: each }));
const widths = (...all: number[]): Given[] => all.map((width) => ({ width }));
const policy = (given: Partial<ExplicitBatching["policy"]>): Partial<ExplicitBatching> => ({
  policy: { ...RULES.policy, ...given },
});

suite("explicit batching, as Triton 2.51 was seen to do it", () => {
  const rows: readonly (readonly [string, string, string])[] = [
    ["{}", run({}, ones(10)), "0 1 2 3 4 5 6 7 | 8 9"],
    ["preferred 4", run({ preferred: [4] }, ones(10)), "0 1 2 3 | 4 5 6 7 | 8 9"],
    [
      "preferred 2 and 6, delay",
      run({ preferred: [2, 6], maxDelayMs: 300 }, ones(9), 6),
      "0 1 2 3 4 5 | 6 7 | 8",
    ],
    [
      "preferred 4 and 8, several rows",
      run({ preferred: [4, 8] }, sizes(1, 1, 1, 1, 1, 2, 2, 1, 1, 1)),
      "0 1 2 3 | 4 5 6 7 8 9",
    ],
    [
      "several rows that overflow",
      run({}, sizes(3, 3, 3, 3, 8, 8, 1, 1, 1, 1)),
      "0 1 | 2 3 | 4 | 5 | 6 7 8 9",
    ],
    ["other shapes cut", run({}, widths(4, 4, 5, 4, 5, 5, 4, 4, 4, 4)), "0 1 | 2 | 3 | 4 5 | 6 7 8 9"],
    [
      "other shapes cut at once, in spite of a delay",
      run({ preferred: [8], maxDelayMs: 300 }, widths(4, 4, 4, 5, 4, 4)),
      "0 1 2 | 3 | 4 5",
    ],
    [
      "levels",
      run(
        { levels: 3, defaultLevel: 2 },
        [3, 3, 3, 1, 1, 1].map((level) => ({ level })),
      ),
      "3 4 5 0 1 2",
    ],
    [
      "a level that there is not is the default",
      run({ levels: 2, defaultLevel: 1 }, [{ level: 2 }, { level: 9 }, { level: 0 }, {}]),
      "1 2 3 0",
    ],
    ["a queue of two", run(policy({ maxQueue: 2 }), ones(8), 8), "0 1 refused 2 3 4 5 6 7"],
    ["refused in time", run(policy({ timeoutMs: 1 }), ones(6), 6, 2), " refused 0 1 2 3 4 5"],
    ["delayed", run(policy({ timeoutMs: 1, action: "delay" }), ones(6), 6, 2), "0 1 2 3 4 5"],
    [
      "a shorter time of its own",
      run(policy({ timeoutMs: 100, allowOverride: true }), [{}, { timeoutMs: 1 }, {}], 3, 2),
      "0 2 refused 1",
    ],
    [
      "no longer time of its own",
      run(policy({ timeoutMs: 1, allowOverride: true }), [{ timeoutMs: 1000 }], 1, 2),
      " refused 0",
    ],
    [
      "a time of its own where that is not allowed",
      run(policy({ timeoutMs: 100 }), [{ timeoutMs: 1 }], 1, 2),
      "0",
    ],
  ];
  for (const [name, got, expected] of rows) test(name, () => assert.equal(got, expected));

  test("what is delayed waits behind its level, not behind lower ones", () => {
    const queue = new ExplicitQueue<Numbered>(
      { ...RULES, levels: 2, defaultLevel: 2, ...policy({ action: "delay", timeoutMs: 5 }) },
      8,
    );
    queue.push(request(0, { level: 1 }));
    queue.push({ ...request(1, { level: 1 }), arrivedAt: 9 });
    queue.push({ ...request(2, { level: 2 }), arrivedAt: 9 });
    assert.deepEqual(queue.expire(10), []);
    assert.deepEqual(
      queue.take(10).map(({ id }) => id),
      [1, 0, 2],
    );
    assert.equal(queue.nextExpiry(), Number.POSITIVE_INFINITY);
  });
});
