/** Claim: a lease copies nothing: what is written into its inputs is what ONNX Runtime reads, and its outputs likewise. */
import { Engine } from "tenon/runtime";
import type { Tensor } from "tenon/tensor";
import { MODELS } from "../../test/support/models.js";
import { type Bench, value, withSides } from "../harness/bench.js";
import { countCopies } from "../harness/copies.js";
import { modelFile } from "../harness/model-files.js";
import { formatThousands } from "../harness/report.js";
import type { MakeSide, Sample, Sides } from "../harness/side.js";

const ROWS = 8;
const RUNS = 100;

function sameValues(a: Tensor, b: Tensor): boolean {
  return Buffer.compare(a.bytes, b.bytes) === 0;
}

/** Bytes copied in 100 lease runs of 8 rows, and in as many runs of 8 callers, for whom rows must be gathered. */
const copies: MakeSide = async () => {
  const engine = await Engine.open();
  const model = await engine.load(await modelFile("squeezenet"), { batch: { max: ROWS }, calibrate: false });
  const inputs = MODELS.squeezenet.inputs(ROWS);
  const x = inputs.x!;
  const rows = Array.from({ length: ROWS }, (_, row) => ({ x: x.slice([row, row + 1]) }));
  return {
    async measure(): Promise<Sample> {
      const lease = await model.lease(ROWS);
      const { x: input } = lease.inputs;
      const { y: output } = lease.outputs;
      (input!.data as Float32Array).set(x.data as Float32Array);
      const memory = output!.storage;
      const leased = await countCopies(async () => {
        for (let run = 0; run < RUNS; run++) await lease.run();
      });
      const expected = model.runSync(inputs);
      if (!sameValues(expected.y!, output!) || lease.outputs.y!.storage !== memory) {
        throw new Error("the lease's outputs are not what the model gives");
      }
      lease.release();
      const gathered = await countCopies(async () => {
        for (let run = 0; run < RUNS; run++) await Promise.all(rows.map((row) => model.run(row)));
      });
      return { leased, gathered, moved: RUNS * (x.byteLength + expected.y!.byteLength) };
    },
    close: () => engine.close(),
  };
};

export const sides: Sides = { copies };

export const bench: Bench = {
  name: "lease-copies",
  async run() {
    const sample = await withSides(import.meta.url, { copies: { side: "copies" } }, (team) =>
      team.copies.measure(),
    );
    const leased = value(sample, "leased");
    return [
      {
        claim: `bytes copied by ${RUNS} lease runs of ${ROWS} rows, squeezenet`,
        target: "0",
        measured: `${formatThousands(leased)} of ${formatThousands(value(sample, "moved"))} (the same rows by ${ROWS} callers of \`model.run\`: ${formatThousands(value(sample, "gathered"))})`,
        met: leased === 0,
      },
    ];
  },
};
