/** RegionPool: regions never overlap, and all of the mapping comes back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Mapping } from "./libc.js";
import { REGION_UNIT, type Region, RegionPool } from "./region-pool.js";

const BYTES = 1 << 22;

function memory(): { mapping: Mapping; discarded: Region[] } {
  const discarded: Region[] = [];
  const mapping = {
    buffer: new ArrayBuffer(0),
    discard: (offset: number, bytes: number) => void discarded.push({ offset, bytes }),
    unmap: () => undefined,
  };
  return { mapping, discarded };
}

test("regions lie apart, inside the mapping and on its grid; what was given back is whole again", () => {
  const step = fc.oneof(fc.record({ take: fc.nat(BYTES) }), fc.record({ give: fc.nat(20) }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pool = new RegionPool(memory().mapping, BYTES);
      const held: Region[] = [];
      for (const one of steps) {
        if ("take" in one) {
          const region = pool.take(one.take);
          if (region === undefined) continue;
          assert.ok(region.bytes >= one.take && region.offset % REGION_UNIT === 0);
          assert.ok(region.offset + region.bytes <= BYTES);
          for (const other of held)
            assert.ok(
              region.offset >= other.offset + other.bytes || other.offset >= region.offset + region.bytes,
            );
          held.push(region);
        } else if (held.length > 0) pool.give(held.splice(one.give % held.length, 1)[0]!);
      }
      for (const region of held) pool.give(region);
      assert.deepEqual(pool.take(BYTES), { offset: 0, bytes: BYTES });
    }),
  );
});

test("more than the mapping has is refused; large regions give their pages back", () => {
  const { mapping, discarded } = memory();
  const pool = new RegionPool(mapping, BYTES);
  assert.equal(pool.take(BYTES + 1), undefined);
  const whole = pool.take(BYTES)!;
  assert.equal(pool.take(1), undefined);
  pool.give(whole);
  assert.deepEqual(discarded, []);
  pool.trim();
  assert.deepEqual(discarded, [whole]);
});
