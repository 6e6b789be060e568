/** The routes of the shared memory extensions: the system's, where it is on, and CUDA's, which is not. */
import { TenonError } from "../../base/index.js";
import { answerJson } from "../http/json-body.js";
import type { Route } from "../http/router.js";
import type { RouteDoc } from "../openapi/route-doc.js";
import { noSharedMemory, type SharedMemory } from "../shared-memory.js";
import { readMembers } from "./json-members.js";
import { countParameter } from "./request-parameters.js";

const REGIONS: RouteDoc = { summary: "The regions that are registered.", answer: "SharedMemoryRegions" };
const NO_REGIONS: RouteDoc = { ...REGIONS, summary: "No regions: this memory is not shared." };
const REGISTER: RouteDoc = {
  summary: "Registers a region, where its kind of memory is shared.",
  body: "RegisterRequest",
  bodyNeeded: true,
  fails: ["REQUEST_UNSUPPORTED"],
};
const UNREGISTER: RouteDoc = { summary: "Forgets a region, or all." };

export function sharedMemoryRoutes(memory: SharedMemory): readonly Route[] {
  const status: Route["run"] = (exchange, { region }) => answerJson(exchange, memory.status(region));

  const register: Route["run"] = async (exchange, { region }) => {
    if (!memory.enabled) throw noSharedMemory();
    const members = await readMembers(exchange);
    const key = members.get("key");
    if (typeof key !== "string") {
      throw new TenonError("REQUEST_INVALID", {
        problem: "Shared memory register request has no 'key' field",
      });
    }
    const size = countParameter(members, "byte_size");
    if (size === undefined) {
      throw new TenonError("REQUEST_INVALID", {
        problem: "Shared memory register request has no 'byte_size' field",
      });
    }
    memory.register(region ?? "", key, countParameter(members, "offset") ?? 0, size);
    exchange.answer(200, [], []);
  };

  // Clients unregister everything when they start, also where nothing can be registered.
  const unregister: Route["run"] = (exchange, { region }) => {
    memory.unregister(region);
    exchange.answer(200, [], []);
  };

  const noRegions: Route["run"] = (exchange) => answerJson(exchange, []);
  const nothing: Route["run"] = (exchange) => exchange.answer(200, [], []);
  const noMemory: Route["run"] = () => {
    throw noSharedMemory();
  };

  // biome-ignore format: a table is read by columns
  return [
    { method: "GET",  path: "/v2/systemsharedmemory/status",                    run: status,     doc: REGIONS },
    { method: "GET",  path: "/v2/systemsharedmemory/region/{region}/status",     run: status,     doc: REGIONS },
    { method: "POST", path: "/v2/systemsharedmemory/region/{region}/register",   run: register,   doc: REGISTER },
    { method: "POST", path: "/v2/systemsharedmemory/region/{region}/unregister", run: unregister, doc: UNREGISTER },
    { method: "POST", path: "/v2/systemsharedmemory/unregister",                run: unregister, doc: UNREGISTER },
    { method: "GET",  path: "/v2/cudasharedmemory/status",                      run: noRegions,  doc: NO_REGIONS },
    { method: "POST", path: "/v2/cudasharedmemory/region/{region}/register",     run: noMemory,   doc: REGISTER },
    { method: "POST", path: "/v2/cudasharedmemory/region/{region}/unregister",   run: nothing,    doc: UNREGISTER },
    { method: "POST", path: "/v2/cudasharedmemory/unregister",                  run: nothing,    doc: UNREGISTER },
  ];
}
