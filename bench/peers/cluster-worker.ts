/** One worker of the fastify cluster. Arguments: the model's name, its file. */
import type { AddressInfo } from "node:net";
import { officialSession } from "./binding.js";
import { inferServer } from "./infer-route.js";
import { cpuSoFar, type FromWorker } from "./servers.js";

const [model, file] = process.argv.slice(2);
const app = await inferServer(model!, await officialSession(file!, 1));

function tell(message: FromWorker): void {
  process.send!(message);
}

process.on("message", () => tell({ cpuMs: cpuSoFar() }));
tell({ port: (app.server.address() as AddressInfo).port });
