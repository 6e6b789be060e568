/** Key files: what a line may be, and that errors never repeat it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isTenonError } from "../../base/index.js";
import { parseKeyFile } from "./key-file.js";

const A = "a".repeat(64);
const B = "0B".repeat(32);

test("lines, comments, blank lines and rates are read", () => {
  const keys = parseKeyFile(`# all keys\n\nfirst sha256:${A}\r\n  b.2-c_d\tsha256:${B}  rate=2.5/s # slow\n`);
  assert.deepEqual(
    keys.map(({ name, hash, rate }) => [name, hash.toString("hex"), rate]),
    [
      ["first", A, undefined],
      ["b.2-c_d", B.toLowerCase(), 2.5],
    ],
  );
  assert.deepEqual(parseKeyFile("# none\n"), []);
});

test("a bad line is named by its number, and its text stays private", () => {
  for (const [line, problem] of [
    ["secret-key", "no key line"],
    [`one sha256:${A.slice(1)}`, "no key line"],
    [`one md5:${A}`, "no key line"],
    [`one sha256:${A} rate=3`, "no key line"],
    [`one sha256:${A} rate=0/s`, "a rate of 0"],
    [`one sha256:${A} more`, "no key line"],
    [`${"n".repeat(65)} sha256:${A}`, "no key line"],
    [`zero sha256:${B}`, "a name that an earlier line has"],
    [`one sha256:${"c".repeat(64)}`, "a hash that an earlier line has"],
  ] as const) {
    assert.throws(
      () => parseKeyFile(`zero sha256:${"c".repeat(64)}\n${line}`),
      (error) => {
        assert.ok(isTenonError(error, "CONFIG_INVALID"));
        assert.match(error.message, new RegExp(`line 2 of the key file holds ${problem}`));
        assert.ok(!error.message.includes(line));
        return true;
      },
    );
  }
});
