/** The classes of characters against what the engine knows, where that is the same version of Unicode. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  classOf,
  IDEOGRAPH,
  LETTER,
  NONSPACING,
  NUMBER,
  OTHER,
  PUNCTUATION,
  SPACE,
  WORD,
} from "./characters.js";
import { REFERENCE_UNICODE, rangesOf, WORD_CHARACTERS } from "./reference-unicode.js";

/** Where the reference's tables are of older versions of Unicode: code points in hexadecimal, ranges with a hyphen. */
const DIFFERENCES = {
  /** In Cf here, not there. */
  notOther: "890-891 8e2 110cd 13430-1343f",
  /** In P here, not there; and the other way round. */
  notPunctuation:
    "61d 9fd a76 c77 c84 1b4e-1b4f 1b7d-1b7f 2e43-2e4f 2e52-2e5d 10d6e 10ead 10ed0 10f55-10f59 " +
    "10f86-10f89 113d4-113d5 113d7-113d8 1144b-1144f 1145a-1145b 1145d 11660-1166c 116b9 1183b " +
    "11944-11946 119e2 11a3f-11a46 11a9a-11a9c 11a9e-11aa2 11b00-11b09 11be1 11c41-11c45 11c70-11c71 " +
    "11ef7-11ef8 11f43-11f4f 11fff 12ff1-12ff2 16d6d-16d6f 16e97-16e9a 16fe2 1e5ff 1e95e-1e95f",
  alsoPunctuation: "166d 111c9",
  /** In Mn here, not there; and the other way round. */
  notNonspacing:
    "7fd 897-89f 8ca-8e1 9fe afa-aff b55 c04 c3c d00 d3b-d3c d81 eba ece 180f 1885-1886 1abf-1add " +
    "1ae0-1aeb 1df6-1dfb a82c a8c5 a8ff a9bd 10d24-10d27 10d69-10d6d 10eab-10eac 10efa-10eff 10f46-10f50 " +
    "10f82-10f85 11070 11073-11074 110c2 111c9 111cf 1123e 11241 1133b 113bb-113c0 113ce 113d0 113d2 " +
    "113e1-113e2 11438-1143f 11442-11444 11446 1145e 1182f-11837 11839-1183a 1193b-1193c 1193e 11943 " +
    "119d4-119d7 119da-119db 119e0 11a01-11a0a 11a33-11a38 11a3b-11a3e 11a47 11a51-11a56 11a59-11a5b " +
    "11a8a-11a96 11a98-11a99 11b60 11b62-11b64 11b66 11c30-11c36 11c38-11c3d 11c3f 11c92-11ca7 " +
    "11caa-11cb0 11cb2-11cb3 11cb5-11cb6 11d31-11d36 11d3a 11d3c-11d3d 11d3f-11d45 11d47 11d90-11d91 " +
    "11d95 11d97 11ef3-11ef4 11f00-11f01 11f36-11f3a 11f40 11f42 11f5a 13440 13447-13455 1611e-16129 " +
    "1612d-1612f 16f4f 16fe4 1cf00-1cf2d 1cf30-1cf46 1e000-1e006 1e008-1e018 1e01b-1e021 1e023-1e024 " +
    "1e026-1e02a 1e08f 1e130-1e136 1e2ae 1e2ec-1e2ef 1e4ec-1e4ef 1e5ee-1e5ef 1e6e3 1e6e6 1e6ee-1e6ef " +
    "1e6f5 1e944-1e94a",
  alsoNonspacing: "1734 1171e",
} as const;

const EXCEPTIONS: readonly (readonly [flag: number, text: string, set: boolean])[] = [
  [LETTER | NUMBER | WORD, REFERENCE_UNICODE.unassigned, false],
  [OTHER, DIFFERENCES.notOther, false],
  [PUNCTUATION, DIFFERENCES.notPunctuation, false],
  [PUNCTUATION, DIFFERENCES.alsoPunctuation, true],
  [NONSPACING, DIFFERENCES.notNonspacing, false],
  [NONSPACING, DIFFERENCES.alsoNonspacing, true],
];

const PATTERNS: readonly (readonly [flag: number, pattern: string])[] = [
  [LETTER, "\\p{L}"],
  [NUMBER, "\\p{N}"],
  [SPACE, "\\p{White_Space}"],
  [PUNCTUATION, "[!-\\/:-@\\[-`\\{-~\\p{P}]"],
  [NONSPACING, "\\p{Mn}"],
  [OTHER, "[\\p{Cc}\\p{Cf}\\p{Co}]"],
  [WORD, WORD_CHARACTERS],
];

// The first is U+2B920, not the block's U+2B820, in the reference; its behaviour is the one to copy.
const IDEOGRAPHS: readonly (readonly [first: number, last: number])[] = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b920, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
];

test("classes are those of Unicode 17, but for the reference's differences", {
  skip: process.versions.unicode === "17.0" ? false : `this engine knows version ${process.versions.unicode}`,
}, () => {
  const expected = new Uint8Array(0x110000);
  for (let plane = 0; plane < 0x110000; plane += 0x1000) {
    const points = Array.from({ length: 0x1000 }, (_, i) => plane + i);
    const text = points
      .map((point) => String.fromCodePoint((point & 0x1ff800) === 0xd800 ? 0x61 : point))
      .join("");
    const width = plane < 0x10000 ? 1 : 2;
    for (const [flag, pattern] of PATTERNS) {
      for (const { 0: run, index } of text.matchAll(new RegExp(`${pattern}+`, "gv"))) {
        const first = plane + index / width;
        for (let i = 0; i < run.length / width; i++) expected[first + i]! |= flag;
      }
    }
  }
  for (const [flag, text, set] of EXCEPTIONS) {
    for (const [first, last] of rangesOf(text))
      for (let point = first; point <= last; point++)
        expected[point] = set ? expected[point]! | flag : expected[point]! & ~flag;
  }
  for (const [first, last] of IDEOGRAPHS)
    for (let point = first; point <= last; point++) expected[point]! |= IDEOGRAPH;
  expected.fill(0, 0xd800, 0xe000);
  for (let point = 0; point < 0x110000; point++)
    if (classOf(point) !== expected[point]) assert.equal(classOf(point), expected[point], point.toString(16));
});
