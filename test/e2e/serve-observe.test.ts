/** What clients may see and set of traces and logs, and the spans that a user's OpenTelemetry gets. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Context, context, propagation, type Span, type SpanOptions, trace } from "@opentelemetry/api";
import { pino } from "pino";
import { serveRepository } from "../support/repository.js";
import { type Served, simpleModel, simpleRequest, startServed, until } from "../support/served.js";

describe("trace and log settings", () => {
  const lines: Record<string, unknown>[] = [];
  let served: Served;
  before(async () => {
    const log = pino({ level: "warn" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    served = await startServed({ extensions: ["trace", "logging"], log });
  });
  after(() => served[Symbol.asyncDispose]());

  const call = async (
    path: string,
    body?: object,
  ): Promise<{ status: number; told: Record<string, unknown> }> => {
    const answer = await fetch(
      `${served.url}${path}`,
      body === undefined ? {} : { method: "POST", body: JSON.stringify(body) },
    );
    return { status: answer.status, told: (await answer.json()) as Record<string, unknown> };
  };

  it("tell and take Triton's values", async () => {
    const { told } = await call("/v2/trace/setting");
    assert.deepEqual(told, {
      trace_level: ["OFF"],
      trace_rate: "1000",
      trace_count: "-1",
      log_frequency: "0",
      trace_file: "",
      trace_mode: "triton",
    });
    const set = await call("/v2/models/simple/trace/setting", {
      trace_level: ["TIMESTAMPS"],
      trace_rate: 2,
      other: 1,
    });
    assert.deepEqual([set.status, set.told.trace_level, set.told.trace_rate], [200, ["TIMESTAMPS"], "2"]);
    assert.deepEqual((await call("/v2/trace/setting")).told.trace_level, ["OFF"]);
    const extensions = (await call("/v2")).told.extensions as string[];
    assert.ok(extensions.includes("trace") && extensions.includes("logging"));
    assert.deepEqual((await call("/v2/logging")).told, {
      log_file: "",
      log_info: false,
      log_warning: true,
      log_error: true,
      log_verbose_level: 0,
      log_format: "default",
    });
  });

  it("write every second request of the model into the log", async () => {
    assert.equal((await call("/v2/logging", { log_info: true })).told.log_info, true);
    const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (let i = 0; i < 4; i++) {
      const headers = { traceparent: parent, "x-request-id": `r${i}` };
      await fetch(`${served.url}/v2/models/simple/infer`, { method: "POST", body: simpleRequest(), headers });
    }
    const traces = lines.filter(({ msg }) => msg === "trace");
    assert.deepEqual(
      traces.map(({ id, model, trace }) => [id, model, trace]),
      [
        ["r1", "simple", "0af7651916cd43dd8448eb211c80319c"],
        ["r3", "simple", "0af7651916cd43dd8448eb211c80319c"],
      ],
    );
    assert.ok(traces.every(({ ns }) => Number(ns) > 0));
    const request = lines.find(({ msg, id }) => msg === "request" && id === "r1");
    assert.equal(request!.trace, "0af7651916cd43dd8448eb211c80319c");
    await call("/v2/models/simple/trace/setting", { trace_level: null, trace_rate: null });
    assert.deepEqual((await call("/v2/models/simple/trace/setting")).told.trace_level, ["OFF"]);
  });

  const infer = async (id: string): Promise<void> => {
    const headers = { "x-request-id": id };
    const url = `${served.url}/v2/models/simple/infer`;
    await (await fetch(url, { method: "POST", body: simpleRequest(), headers })).arrayBuffer();
  };
  /** Levels and kinds of the lines that a request leaves. */
  const linesOf = async (id: string): Promise<string[]> => {
    const from = lines.length;
    await infer(id);
    return lines.slice(from).map(({ level, msg }) => `${level} ${msg}`);
  };
  const [INFO, DEBUG] = [30, 20];

  it("switch each kind of line for itself", async () => {
    const cases: readonly (readonly [object, string[]])[] = [
      [{ log_info: false }, []],
      [{ log_verbose_level: 1 }, [`${DEBUG} run`]],
      [{ log_info: true }, [`${DEBUG} run`, `${INFO} request`]],
      [{ log_verbose_level: 0, log_warning: false, log_error: false }, [`${INFO} request`]],
      [{ log_info: false, log_error: true }, []],
    ];
    for (const [i, [change, written]] of cases.entries()) {
      const { told, status } = await call("/v2/logging", change);
      assert.equal(status, 200);
      for (const [name, value] of Object.entries(change)) assert.equal(told[name], value);
      assert.deepEqual(await linesOf(`case${i}`), written, JSON.stringify(change));
    }
    const run = lines.find(({ msg, id }) => msg === "run" && id === "case1")!;
    const tensor = (name: string): object => ({ name, datatype: "INT32", shape: [1, 16] });
    assert.deepEqual(run.inputs, [tensor("INPUT0"), tensor("INPUT1")]);
    assert.deepEqual(run.outputs, [tensor("OUTPUT0"), tensor("OUTPUT1")]);
  });

  it("trace whatever is logged else, and count down", async () => {
    await call("/v2/logging", { log_info: false, log_warning: false, log_error: false });
    await call("/v2/trace/setting", { trace_level: ["TENSORS"], trace_rate: "1", trace_count: "3" });
    const own = "/v2/models/identity_FP32/trace/setting";
    assert.equal((await call(own, { trace_count: 9 })).told.trace_count, "9");
    assert.deepEqual(await linesOf("t0"), [`${INFO} trace`]);
    assert.equal((lines.at(-1)!.inputs as { name: string }[])[0]!.name, "INPUT0");
    assert.equal((await call("/v2/trace/setting")).told.trace_count, "2");
    // Settings of one model do not count anew for others.
    await call(own, { trace_count: 8 });
    for (const id of ["t1", "t2"]) assert.equal((await linesOf(id)).length, 1);
    assert.deepEqual(await linesOf("t3"), []);
    assert.equal((await call("/v2/trace/setting")).told.trace_count, "0");
    assert.equal((await call(own)).told.trace_count, "8");
    await call("/v2/trace/setting", { trace_level: null, trace_rate: null, trace_count: null });
    assert.equal((await call("/v2/trace/setting")).told.trace_count, "-1");
  });

  it("refuse what is none of their values", async () => {
    const cases: readonly (readonly [string, object, number, RegExp])[] = [
      [
        "/v2/trace/setting",
        { trace_level: ["LOUD"] },
        400,
        /failed to update trace setting 'trace_level', got 'LOUD'/,
      ],
      ["/v2/trace/setting", { trace_rate: "0" }, 400, /'trace_rate', got '0'/],
      ["/v2/trace/setting", { trace_rate: { a: 1 } }, 400, /is no text/],
      [
        "/v2/trace/setting",
        { trace_file: "/etc/passwd" },
        501,
        /trace_file can not be updated through network protocol/,
      ],
      ["/v2/models/nope/trace/setting", {}, 404, /Request for unknown model: 'nope' is not found/],
      [
        "/v2/logging",
        { log_file: "x" },
        501,
        /log file location can not be updated through network protocol/,
      ],
      ["/v2/logging", { log_info: "yes" }, 400, /expect 'log_info' to be bool/],
      ["/v2/logging", { log_verbose_level: -1 }, 400, /non-negative/],
      ["/v2/logging", { loud: true }, 400, /unexpected log setting 'loud'/],
      ["/v2/logging", { log_format: "xml" }, 400, /invalid log_format 'xml'/],
      [
        "/v2/logging",
        { log_info: true, log_format: "ISO8601" },
        501,
        /log_format can not be updated through network protocol/,
      ],
    ];
    for (const [path, body, status, words] of cases) {
      const answer = await call(path, body);
      assert.equal(answer.status, status, path);
      assert.match(String(answer.told.error), words);
    }
    // None of a refused change is made.
    assert.equal((await call("/v2/logging")).told.log_info, false);
  });
});

describe("the log of the command", () => {
  it("changes the form of its times", async () => {
    await using served = await serveRepository(
      { "m/1/model.onnx": simpleModel() },
      ...["--log", "info", "--extensions", "logging"],
    );
    const times = (): unknown[] =>
      served
        .log()
        .split("\n")
        .flatMap((line) => (line.includes('"msg":"request"') ? [JSON.parse(line).time] : []));
    await served.get("/v2");
    for (const log_format of ["ISO8601", "default"]) {
      const told = await (await served.post("/v2/logging", { log_format })).json();
      assert.equal((told as { log_format: string }).log_format, log_format);
    }
    await until(() => times().length >= 3);
    const [before, iso, after] = times();
    assert.ok(typeof before === "number" && typeof after === "number");
    assert.match(String(iso), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });
});

describe("spans", () => {
  const spans: {
    name: string;
    parent: string | undefined;
    options: SpanOptions;
    ended: boolean;
    code: number;
  }[] = [];
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  before(() => {
    const tracer = {
      startSpan(name: string, options: SpanOptions = {}, parent: Context = context.active()): Span {
        const record = {
          name,
          parent: trace.getSpanContext(parent)?.traceId,
          options,
          ended: false,
          code: 0,
        };
        spans.push(record);
        const span: Partial<Span> = {
          spanContext: () => ({ traceId, spanId: "00f067aa0ba902b7", traceFlags: 1 }),
          setAttribute: () => span as Span,
          setStatus: ({ code }) => {
            record.code = code;
            return span as Span;
          },
          end: () => {
            record.ended = true;
          },
        };
        return span as Span;
      },
    };
    trace.setGlobalTracerProvider({ getTracer: () => tracer as never });
    propagation.setGlobalPropagator({
      inject: () => undefined,
      extract: (from, carrier: Record<string, string>) => {
        const [, id, parent] = (carrier.traceparent ?? "").split("-");
        return id === undefined
          ? from
          : trace.setSpanContext(from, { traceId: id, spanId: parent!, traceFlags: 1 });
      },
      fields: () => ["traceparent"],
    });
  });
  after(() => {
    trace.disable();
    propagation.disable();
  });

  it("are children of the caller's, and go out with the answer", async () => {
    await using served = await startServed();
    const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01`, "x-request-id": "mine" };
    const url = `${served.url}/v2/models/simple/infer`;
    const answer = await fetch(url, { method: "POST", body: simpleRequest(), headers });
    assert.equal(answer.headers.get("traceresponse"), `00-${traceId}-00f067aa0ba902b7-01`);
    await answer.arrayBuffer();
    const broken = JSON.stringify({ inputs: [{ name: "INPUT0", shape: [1], datatype: "INT32", data: [1] }] });
    await (await fetch(url, { method: "POST", body: broken })).arrayBuffer();
    const [first, second] = spans;
    assert.deepEqual(
      [first!.name, first!.parent, first!.ended, first!.code],
      ["infer simple", traceId, true, 0],
    );
    assert.deepEqual(first!.options.attributes, {
      "tenon.model.name": "simple",
      "tenon.model.version": "1",
      "tenon.request.id": "mine",
    });
    assert.deepEqual([second!.parent, second!.ended, second!.code], [undefined, true, 2]);
    assert.equal(spans.length, 2);
  });
});
