/** `npm run soak`: mixed traffic on `tenon serve` for as long as wanted, and how its memory went. */
import { parseArgs } from "node:util";
import { soak } from "../test/chaos/soak.js";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "30" }, seed: { type: "string", default: "1" } },
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  console.error("usage: npm run soak -- [--minutes 30] [--seed 1]");
  process.exit(2);
}

const mega = (bytes: number): string => (bytes / 1e6).toFixed(1);
let shownAt = -1;
const report = await soak({
  minutes,
  seed,
  onSample: (sample, { outcomes, defects }) => {
    if (sample.minutes - shownAt < minutes / 30) return;
    shownAt = sample.minutes;
    const requests = [...outcomes.values()].reduce((sum, count) => sum + count, 0);
    const models = [...sample.modelRss.values()].reduce((sum, bytes) => sum + bytes, 0);
    console.log(
      `${sample.minutes.toFixed(1)} min: ${requests} requests, ${defects.length} defects, server ${mega(sample.serverRss)} MB, ` +
        `${sample.modelRss.size} processes ${mega(models)} MB, ${sample.descriptors} descriptors, ${sample.mappings} mappings`,
    );
  },
});
for (const [what, count] of [...report.outcomes].sort()) console.log(`${what}: ${count}`);
for (const defect of report.defects) console.log(defect);
console.log(
  `resident memory after warm-up: server ${report.serverSlope.toFixed(3)} MB/min, steady models ${report.modelSlope.toFixed(3)} MB/min`,
);
process.exitCode = report.defects.length === 0 && report.serverSlope < 1 && report.modelSlope < 1 ? 0 : 1;
