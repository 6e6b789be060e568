/** RemoteSession and its lanes: a model in another process behind the interface of one in this process. */
import type { TenonError } from "../../base/index.js";
import type { BufferPool } from "../buffers.js";
import type { Batch, Done, Member } from "../lane.js";
import type { OutputShapes } from "../output-shapes.js";
import type { RunLane, Session } from "../session.js";
import type { Signature } from "../signature.js";
import { RemoteCall } from "./call.js";
import type { SupervisedRun, Supervisor, Tenant } from "./supervisor.js";

export class RemoteSession implements Session {
  readonly signature: Signature;
  readonly #supervisor: Supervisor;
  readonly #tenant: Tenant;

  constructor(supervisor: Supervisor, tenant: Tenant, signature: Signature) {
    this.#supervisor = supervisor;
    this.#tenant = tenant;
    this.signature = signature;
  }

  /** Process that runs the model now. */
  get pid(): number | undefined {
    return this.#supervisor.pid;
  }

  lane(shapes: OutputShapes, pool: BufferPool): RunLane {
    return new RemoteLane(this.#supervisor, this.#tenant, this.signature, shapes, pool);
  }

  refuse(member: Member): TenonError | undefined {
    return this.#tenant.quarantine.refuse(this.#tenant.name, member);
  }

  /** The process looks after its own arena. */
  arenaBytes(): number {
    return 0;
  }

  release(): Promise<void> {
    return this.#supervisor.remove(this.#tenant);
  }
}

class RemoteLane implements RunLane {
  readonly allOutputs: readonly number[];
  readonly #supervisor: Supervisor;
  readonly #tenant: Tenant;
  readonly #signature: Signature;
  readonly #shapes: OutputShapes;
  readonly #pool: BufferPool;
  readonly #unpin: (() => void)[] = [];
  #run: SupervisedRun | undefined;
  #call: RemoteCall | undefined;
  #disposed = false;

  constructor(
    supervisor: Supervisor,
    tenant: Tenant,
    signature: Signature,
    shapes: OutputShapes,
    pool: BufferPool,
  ) {
    this.#supervisor = supervisor;
    this.#tenant = tenant;
    this.#signature = signature;
    this.#shapes = shapes;
    this.#pool = pool;
    this.allOutputs = signature.outputs.map((_, i) => i);
  }

  run(batch: Batch, done: Done): void {
    const run: SupervisedRun = {
      tenant: this.#tenant,
      batch,
      cancelled: false,
      done: (error, outputs, outcomes) => {
        this.#run = undefined;
        if (this.#disposed) this.#free();
        done(error, outputs, outcomes);
      },
      call: (memory, part) => this.#callOf(memory, part),
    };
    this.#run = run;
    this.#supervisor.submit(run);
  }

  #callOf(memory: ArrayBuffer, batch: Batch): RemoteCall {
    const last = this.#call;
    if (last?.serves(batch, memory) === true) return last;
    this.#call = new RemoteCall(this.#signature, batch, this.#shapes, this.#pool, memory);
    return this.#call;
  }

  terminate(): void {
    if (this.#run !== undefined) this.#supervisor.cancel(this.#run);
  }

  pin(bytes: number): { buffer: ArrayBuffer; offset: number } | undefined {
    const pinned = this.#supervisor.pin(bytes);
    if (pinned !== undefined) this.#unpin.push(pinned.unpin);
    return pinned;
  }

  shrinkSlab(): void {
    this.#supervisor.trim();
  }

  /** Gives its memory back, after the run in flight if there is one: its process still writes there. */
  dispose(): void {
    this.#disposed = true;
    if (this.#run === undefined) this.#free();
  }

  #free(): void {
    this.#call = undefined;
    for (const unpin of this.#unpin.splice(0)) unpin();
  }
}
