/** Plain heads: what is taken, and that everything else is left to node:http. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { plainHead } from "./plain-head.js";

const LINE = "POST /v2/models/m.1/versions/3/infer HTTP/1.1";
const head = (...lines: readonly string[]): string => lines.join("\r\n");

describe("plain heads", () => {
  it("are read as node:http reads them", () => {
    const plain = plainHead(head(LINE, "Host: localhost:8000", "CONTENT-LENGTH:  12 ", "x-a:\tb c\t"), 3);
    assert.equal(plain?.path, "/v2/models/m.1/versions/3/infer");
    assert.equal(plain.length, 12);
    assert.deepEqual({ ...plain.headers }, { host: "localhost:8000", "content-length": "12", "x-a": "b c" });
  });

  const usual = ["Host: a", "Content-Length: 5"];
  const others: Readonly<Record<string, readonly string[]>> = {
    "another verb": ["GET /v2/models/m/infer HTTP/1.1", ...usual],
    "another version": ["POST /v2/models/m/infer HTTP/1.0", ...usual],
    "a query": ["POST /v2/models/m/infer?x=1 HTTP/1.1", ...usual],
    "an escape": ["POST /v2/models/%6d/infer HTTP/1.1", ...usual],
    "another path": ["POST /v2/models/m HTTP/1.1", ...usual],
    "a whole URL": ["POST http://a/v2/models/m/infer HTTP/1.1", ...usual],
    "two spaces": ["POST  /v2/models/m/infer HTTP/1.1", ...usual],
    "no host": [LINE, "Content-Length: 5"],
    "two hosts": [LINE, ...usual, "host: b"],
    "no length": [LINE, "Host: a"],
    "two lengths": [LINE, ...usual, "Content-Length: 5"],
    "a list of lengths": [LINE, "Host: a", "Content-Length: 5, 5"],
    "a signed length": [LINE, "Host: a", "Content-Length: +5"],
    "a length with zeros in front": [LINE, "Host: a", "Content-Length: 05"],
    "a hexadecimal length": [LINE, "Host: a", "Content-Length: 0x5"],
    "a huge length": [LINE, "Host: a", "Content-Length: 99999999999"],
    chunks: [LINE, ...usual, "Transfer-Encoding: chunked"],
    "no chunks, said so": [LINE, ...usual, "Transfer-Encoding: identity"],
    "a space before the colon": [LINE, "Host: a", "Content-Length : 5"],
    "a folded line": [LINE, ...usual, "x: a", " b"],
    "a line without a colon": [LINE, ...usual, "x"],
    "an empty name": [LINE, ...usual, ": x"],
    "a bare newline": [LINE, "Host: a\nContent-Length: 5", "x: y"],
    "a bare return": [LINE, "Host: a\rx", "Content-Length: 5"],
    "a zero byte": [LINE, ...usual, "x: a\u0000b"],
    "the end of the connection": [LINE, ...usual, "Connection: close"],
    "an upgrade": [LINE, ...usual, "Connection: Upgrade", "Upgrade: h2c"],
    "an expectation": [LINE, ...usual, "Expect: 100-continue"],
    compression: [LINE, ...usual, "Content-Encoding: gzip"],
    "an origin": [LINE, ...usual, "Origin: https://a"],
    "too many": [LINE, ...usual, "a: 1", "b: 2"],
    "a name that is not ASCII": [LINE, ...usual, "x-ü: 1"],
    nothing: [""],
  };
  for (const [name, lines] of Object.entries(others)) {
    it(`are none with ${name}`, () => assert.equal(plainHead(head(...lines), 3), undefined));
  }

  it("may name what every object has", () => {
    assert.equal(plainHead(head(LINE, ...usual, "constructor: x"), 3)?.headers.constructor, "x");
    assert.equal(plainHead(head(LINE, ...usual, "__proto__: x"), 3)?.length, 5);
  });
});
