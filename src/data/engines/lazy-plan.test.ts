/** Which plans are taken for local: one as polars writes it, and edits of it that must not be. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspectPlan } from "./lazy-plan.js";

/** As nodejs-polars 0.24.1 writes it. */
const SCAN =
  '{"Scan":{"sources":{"Paths":[{"inner":"/a.parquet"}]},"unified_scan_args":{"schema":null,"cloud_options":null,' +
  '"hive_options":{"enabled":null,"hive_start_idx":0,"schema":null,"try_parse_dates":true},"rechunk":false,"cache":true,' +
  '"glob":true,"hidden_file_prefix":null,"projection":null,"column_mapping":null,"default_values":null,"row_index":null,' +
  '"pre_slice":null,"cast_columns_policy":{"integer_upcast":false,"float_upcast":false,"float_downcast":false,' +
  '"datetime_nanoseconds_downcast":false,"datetime_microseconds_downcast":false,"datetime_convert_timezone":false,' +
  '"null_upcast":true,"categorical_to_string":false,"missing_struct_fields":"Raise","extra_struct_fields":"Raise"},' +
  '"missing_columns_policy":"Raise","extra_columns_policy":"Raise","include_file_paths":null,"deletion_files":null,' +
  '"table_statistics":null,"row_count":null},"scan_type":{"Parquet":{"options":{"schema":null,"parallel":"Auto",' +
  '"low_memory":false,"use_statistics":false}}}}}';
const BIG = '{"Literal":{"Scalar":{"UInt64":18446744073709551615}}}';
const PLAN = `{"Filter":{"input":${SCAN},"predicate":{"BinaryExpr":{"left":{"Column":"a"},"op":"Lt","right":${BIG}}}}}`;

describe("inspectPlan", () => {
  it("puts a slice right above the scan and leaves all else as it is", () => {
    const plan = inspectPlan(PLAN);
    assert.ok(!("because" in plan));
    assert.equal(plan.path, "/a.parquet");
    assert.equal(plan.filtered, true);
    const expected = PLAN.replace(SCAN, `{"Slice":{"input":${SCAN},"offset":5,"len":7}}`);
    assert.equal(plan.window(5, 7), expected);
  });

  const EDITS: Readonly<Record<string, readonly [from: string, to: string, because: string]>> = {
    "an unknown node": ['{"Filter"', '{"Sift"', "Sift"],
    "a name of every object": ['{"Filter"', '{"constructor"', "constructor"],
    "an unknown field of a node": ['"predicate":', '"more":1,"predicate":', "an unknown form in Filter"],
    "an unknown expression": ['{"Column":"a"}', '{"Later":"a"}', "Later in Filter"],
    "an unknown operator": ['"Lt"', '"Near"', "BinaryExpr of an unknown form in Filter"],
    "an unknown literal": ['"UInt64"', '"Range"', "Literal of an unknown form in Filter"],
    "an unknown argument": ['"glob":', '"globs":', "globs in Scan"],
    "a missing argument": ['"rechunk":false,', "", "an unknown form in Scan"],
    "another value of an argument": [
      '"deletion_files":null',
      '"deletion_files":{}',
      "deletion_files in Scan",
    ],
    "another format": ['{"Parquet"', '{"Csv"', "Csv in Scan"],
    "a URL": ["/a.parquet", "s3://b/a.parquet", "a path that is no plain one in Scan"],
    "two files": ['{"inner":"/a.parquet"}', '{"inner":"/a"},{"inner":"/b"}', "other than one path in Scan"],
    "two tags": ['{"Column":"a"}', '{"Column":"a","Literal":1}', "something unnamed in Filter"],
    "a filter of literals": ['{"Column":"a"}', BIG, "literals alone in Filter"],
    "a scan that is written otherwise": ['"Scan":{', '"Scan": {', "a Scan written in another way"],
    "no JSON": ['{"Filter"', "", "a plan that is no JSON"],
  };
  for (const [name, [from, to, because]] of Object.entries(EDITS))
    it(`refuses ${name}`, () => {
      const edited = PLAN.replace(from, to);
      assert.notEqual(edited, PLAN);
      assert.deepEqual(inspectPlan(edited), { because });
    });
});
