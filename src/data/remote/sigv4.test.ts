/** Signatures against the examples of Amazon's documentation ("Signature Calculations for the Authorization Header"). */
import assert from "node:assert/strict";
import { it } from "node:test";
import { s3List, s3Location } from "./s3.js";
import { parsePage } from "./s3-list.js";
import { queryOf, signedGet } from "./sigv4.js";

const credentials = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
const now = new Date("2013-05-24T00:00:00Z");

function signature(url: string, headers: Record<string, string> = {}): string | undefined {
  const { authorization } = signedGet(new URL(url), headers, credentials, "us-east-1", now);
  return /Signature=(\w+)$/.exec(authorization!)?.[1];
}

it("signs an object's range and a list as Amazon's examples say", () => {
  assert.equal(
    signature("https://examplebucket.s3.amazonaws.com/test.txt", { range: "bytes=0-9" }),
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  );
  const query = queryOf({ prefix: "J", "max-keys": "2" });
  assert.equal(
    signature(`https://examplebucket.s3.amazonaws.com/?${query}`),
    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
  );
});

it("places buckets, keys and endpoints", () => {
  const place = (text: string, options: object = {}): string =>
    s3Location(text, { credentials: null, region: "eu-west-1", ...options }, []).url.href;
  assert.equal(
    place("s3://some-bucket/a b/c+d.csv"),
    "https://some-bucket.s3.eu-west-1.amazonaws.com/a%20b/c%2Bd.csv",
  );
  assert.equal(place("s3://a.b/x"), "https://s3.eu-west-1.amazonaws.com/a.b/x");
  assert.equal(place("s3://abc/x", { endpoint: "http://127.0.0.1:9000/" }), "http://127.0.0.1:9000/abc/x");
  assert.equal(place("s3://abc/x", { region: "cn-north-1" }), "https://abc.s3.cn-north-1.amazonaws.com.cn/x");
  const moved = s3List("abc", { prefix: "p/" }, { credentials: null, region: "eu-west-1" }, []).moved!(301, {
    "x-amz-bucket-region": "us-east-2",
  });
  assert.equal(
    moved?.url.href,
    "https://abc.s3.us-east-2.amazonaws.com/?encoding-type=url&list-type=2&prefix=p%2F",
  );
  for (const wrong of ["s3://abc/a/../b", "s3://abc/", "s3://a..b/c", "s3://abc#/x", "s3://abc"])
    assert.throws(() => place(wrong), { code: "USAGE" }, wrong);
  assert.throws(() => place("s3://abc/x", { endpoint: "ftp://x" }), { code: "USAGE" });
  assert.throws(() => place("s3://abc/x", { region: "evil.example/" }), { code: "USAGE" });
});

it("reads pages of a list", () => {
  const page = (body: string): ReturnType<typeof parsePage> =>
    parsePage(`<?xml version="1.0"?><ListBucketResult xmlns="x">${body}</ListBucketResult>`, "s3://b/");
  assert.deepEqual(page("<Contents><Key>a&amp;b&#x20AC;.csv</Key><Size>1</Size></Contents>"), {
    keys: ["a&b€.csv"],
    next: undefined,
  });
  assert.deepEqual(
    page(
      "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t&lt;</NextContinuationToken><Contents><Key>a+b%2Bc</Key></Contents>",
    ),
    { keys: ["a b+c"], next: "t<" },
  );
  assert.throws(() => page("<IsTruncated>true</IsTruncated>"), { code: "FILE_INVALID" });
  assert.throws(() => parsePage("<html>", "s3://b/"), { code: "FILE_INVALID" });
});
