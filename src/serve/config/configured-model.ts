/** ConfiguredModel: a model of the engine with the batch size that its configuration declares. */
import type { BatchRecord, Inputs, Model, Outputs, Signature } from "../../runtime/index.js";
import type { ServedModel, ServedRunOptions } from "../served-model.js";
import type { Sharing } from "../sharing/sharing.js";
import type { DeclaredShapes } from "./declared-shapes.js";

/** Whether rows are run together is the engine's matter; how many a request may have is the configuration's. */
export class ConfiguredModel implements ServedModel {
  readonly maxBatch: number;
  readonly #model: Model;
  readonly #sharing: Sharing | undefined;

  readonly #shapes: DeclaredShapes | undefined;

  constructor(model: Model, maxBatch: number, sharing?: Sharing, shapes?: DeclaredShapes) {
    this.#model = model;
    this.maxBatch = maxBatch;
    this.#sharing = sharing;
    this.#shapes = shapes;
  }

  get name(): string {
    return this.#model.name;
  }

  get version(): string {
    return this.#model.version;
  }

  get signature(): Signature {
    return this.#shapes?.signature ?? this.#model.signature;
  }

  get profile(): ServedModel["profile"] {
    return this.#model.profile;
  }

  get waiting(): number {
    return this.#model.waiting;
  }

  explain(count?: number): BatchRecord[] {
    return this.#model.explain(count);
  }

  run(inputs: Inputs, options: ServedRunOptions = {}): Promise<Outputs> {
    if (this.#sharing === undefined) return this.#run(inputs, options);
    return this.#sharing.run(this, inputs, options, (own) => this.#run(inputs, own));
  }

  #run(inputs: Inputs, options: ServedRunOptions): Promise<Outputs> {
    return this.#shapes === undefined
      ? this.#model.run(inputs, options)
      : this.#runShaped(this.#shapes, inputs, options);
  }

  async #runShaped(shapes: DeclaredShapes, inputs: Inputs, options: ServedRunOptions): Promise<Outputs> {
    return shapes.fromModel(await this.#model.run(shapes.toModel(inputs), options));
  }
}
