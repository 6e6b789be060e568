/** `s3://bucket/key` as requests to S3 or a server of its kind: where they go, and how they are signed. */
import type { IncomingHttpHeaders } from "node:http";
import { TenonError } from "../../base/index.js";
import type { Location } from "./location.js";
import { type Credentials, percentEncoded, queryOf, signedGet } from "./sigv4.js";

export interface S3Options {
  /** Default `AWS_REGION`, `AWS_DEFAULT_REGION`, else us-east-1; a bucket of another region is found by what S3 answers. */
  readonly region?: string;
  /** A server of the same protocol, such as MinIO. Default `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, else Amazon's own. */
  readonly endpoint?: string;
  /**
   * `null`: requests are not signed, for public buckets. Default `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
   * `AWS_SESSION_TOKEN`; where they are not set, null.
   */
  readonly credentials?: Credentials | null;
}

interface Settings {
  readonly region: string;
  readonly endpoint: URL | undefined;
  readonly credentials: Credentials | null;
}

/** An S3 URL in its parts; the key may hold wildcards, or be a prefix. */
export interface S3Url {
  readonly bucket: string;
  readonly key: string;
}

/** Throws USAGE for what is no `s3://bucket/key`. */
export function parseS3(text: string): S3Url {
  const match = /^s3:\/\/([A-Za-z0-9][A-Za-z0-9._-]{1,254})\/(.*)$/is.exec(text);
  if (match === null || match[1]!.includes(".."))
    throw new TenonError("USAGE", {
      problem: "this is no URL of S3",
      given: text.slice(0, 200),
      expected: "s3://bucket/key, s3://bucket/prefix/ or s3://bucket/a/*.parquet",
    });
  return { bucket: match[1]!, key: match[2]! };
}

function settingsOf(options: S3Options = {}): Settings {
  const { env } = process;
  const region = options.region ?? (env.AWS_REGION || env.AWS_DEFAULT_REGION || "us-east-1");
  if (!/^[a-z0-9-]+$/i.test(region))
    throw new TenonError("USAGE", { problem: "this is no region of S3", given: region });
  const endpoint = options.endpoint ?? (env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL);
  return {
    region,
    endpoint: endpoint === undefined || endpoint === "" ? undefined : endpointOf(endpoint),
    credentials: options.credentials === undefined ? credentialsOf(env) : options.credentials,
  };
}

function endpointOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.search === "")
    return url;
  throw new TenonError("USAGE", {
    problem: "the endpoint of S3 is no plain http or https URL",
    given: url === undefined ? text.slice(0, 200) : `${url.protocol}//${url.host}`,
    expected: "such as https://minio.example:9000",
  });
}

/** Throws CONFIG_INVALID where half of the credentials are set. */
function credentialsOf(env: NodeJS.ProcessEnv): Credentials | null {
  const [accessKeyId = "", secretAccessKey = ""] = [env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY];
  if (accessKeyId === "" && secretAccessKey === "") return null;
  if (accessKeyId === "" || secretAccessKey === "")
    throw new TenonError("CONFIG_INVALID", {
      problem: "one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set without the other",
      do: "set both, or none for public buckets",
    });
  const token = env.AWS_SESSION_TOKEN;
  return {
    accessKeyId,
    secretAccessKey,
    ...(token === undefined || token === "" ? {} : { sessionToken: token }),
  };
}

/** The place of an object. Throws USAGE. */
export function s3Location(
  text: string,
  options: S3Options | undefined,
  privateHosts: readonly string[],
): Location {
  const { bucket, key } = parseS3(text);
  if (key === "" || key.split("/").some((part) => part === "." || part === ".."))
    throw new TenonError("USAGE", {
      problem: "the key of an S3 object",
      given: text.slice(0, 200),
      expected: "a name without parts . and ..",
    });
  return placeIn(bucket, key, {}, settingsOf(options), privateHosts);
}

/** The place of a bucket's list of objects: `parameters` of ListObjectsV2. */
export function s3List(
  bucket: string,
  parameters: Readonly<Record<string, string>>,
  options: S3Options | undefined,
  privateHosts: readonly string[],
): Location {
  return placeIn(
    bucket,
    "",
    { "list-type": "2", "encoding-type": "url", ...parameters },
    settingsOf(options),
    privateHosts,
  );
}

function placeIn(
  bucket: string,
  key: string,
  parameters: Readonly<Record<string, string>>,
  settings: Settings,
  privateHosts: readonly string[],
): Location {
  const { region, endpoint, credentials } = settings;
  const url = new URL(bucketUrl(bucket, settings));
  url.pathname += key.split("/").map(percentEncoded).join("/");
  url.search = queryOf(parameters);
  return {
    name: `s3://${bucket}/${key}`,
    url,
    // Who names an endpoint means it, wherever it is; a bucket's name cannot lead elsewhere.
    privateHosts: endpoint === undefined ? privateHosts : [...privateHosts, hostOf(endpoint)],
    headers: (wanted) =>
      credentials === null ? wanted : signedGet(url, wanted, credentials, region, new Date()),
    moved(status: number, headers: IncomingHttpHeaders) {
      const other = headers["x-amz-bucket-region"];
      if (typeof other !== "string" || other === region || !/^[a-z0-9-]+$/.test(other)) return undefined;
      if (status !== 301 && status !== 307 && status !== 400) return undefined;
      return placeIn(bucket, key, parameters, { ...settings, region: other }, privateHosts);
    },
  };
}

/** With "/" at its end. Buckets with a dot have no certificate under their own name. */
function bucketUrl(bucket: string, { region, endpoint }: Settings): string {
  if (endpoint !== undefined) return `${endpoint.href.replace(/\/$/, "")}/${bucket}/`;
  const host = `s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
  return /[._]/.test(bucket) ? `https://${host}/${bucket}/` : `https://${bucket}.${host}/`;
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "");
}
