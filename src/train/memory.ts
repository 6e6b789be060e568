/** Parameters, gradients and optimiser state in one flat memory, and the steps over it: clip, update, accumulate, average. */
import { TenonError } from "../base/index.js";
import { hasSimd, type Kernel, loadKernels, makeMemory } from "../simd/index.js";
import { arrayNames, type Expression, type Formulas, scalarsOf } from "./optimizers/expression.js";
import { kernelsOf } from "./optimizers/fused.js";
import { plainNewtonSchulz } from "./optimizers/newton-schulz.js";
import type { Optimizer } from "./optimizers/optimizer.js";
import { plainSquaresOf, plainUpdate } from "./optimizers/plain.js";
import { allFinite, normOf, plainBlend, plainSquares, STREAMS } from "./optimizers/reductions.js";

/** A trainable float32 array and the group whose rates it has. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Index into `groups`; default 0. */
  readonly group?: number;
}

/** What parameters of a group have apart from the others. */
export interface Group {
  /** Multiplies the step's learning rate; default 1. */
  readonly lrScale?: number;
  /** Default: the optimiser's. */
  readonly weightDecay?: number;
}

export interface FlatOptions {
  /** Default: one group with the optimiser's own values. */
  readonly groups?: readonly Group[];
  /** Gradient sections, one for each data-parallel lane; default 1. */
  readonly lanes?: number;
  /** Keep a section that sums gradients of several batches; default false. */
  readonly accumulate?: boolean;
  /** Keep an exponential moving average of the parameters; default false. */
  readonly average?: boolean;
  /** False keeps to the plain loops, whose results are the same bits. Default: SIMD where the process has it. */
  readonly simd?: boolean;
}

export interface UpdateOptions {
  /** Steps taken, this one included. */
  readonly step: number;
  /** Default: the optimiser's. */
  readonly lr?: number;
  /** Largest norm over all gradients; default none. */
  readonly clipNorm?: number;
  /** Take the accumulated gradients instead of lane 0's. */
  readonly accumulated?: boolean;
  /** Multiplies the gradients, before the clip; default 1. */
  readonly gradientScale?: number;
}

export interface UpdateResult {
  /** Norm over all gradients before the clip. */
  readonly gradNorm: number;
  /** False when the norm was not finite: nothing was changed. */
  readonly applied: boolean;
}

const ALIGN = 16;
const PAGE = 4096;
const APART = 1088;
/** The memory of one WebAssembly instance. */
const MOST_BYTES = 2 ** 32 - 65536;

const RATE = "a finite number, 0 or more";
const isRate = (value: number): boolean => Number.isFinite(value) && value >= 0;

function refuse(what: string, given: number | string, expected: string): never {
  throw new TenonError("USAGE", { problem: `${what} is ${given}`, expected });
}

interface Place {
  readonly at: number;
  readonly size: number;
}

/** Parameters that are updated at once. */
interface Range extends Place {
  readonly group: Group;
}

/** A parameter that is updated as a matrix. */
interface Matrix extends Range {
  readonly name: string;
  readonly shape: readonly number[];
}

/** The first half of an update that waits for its second. */
interface Begun {
  readonly step: number;
  readonly lr: number;
  readonly gradients: "g0" | "sum";
  readonly scale: number;
  /** Arrays of the matrices, each with what it held. */
  readonly kept: readonly (readonly [now: Float32Array, before: Float32Array])[];
}

const padded = (size: number): number => Math.ceil(size / ALIGN) * ALIGN;

/**
 * One memory with the sections P | G… | states | A | E; every parameter starts at a multiple of 64 bytes, the gaps are
 * zero. Views stay valid for as long as they are held: the memory never grows. Nothing may be read or written while a
 * run of the model has it.
 */
export class FlatMemory {
  readonly optimizer: Optimizer;
  readonly #parameters: readonly Parameter[];
  readonly #places = new Map<string, Place>();
  readonly #ranges: Range[] = [];
  readonly #matrices: Matrix[] = [];
  readonly #sections = new Map<string, number>();
  readonly #lanes: number;
  readonly #length: number;
  readonly #buffer: ArrayBuffer;
  readonly #kernels: Readonly<Record<string, Kernel>> | undefined;
  #begun: Begun | undefined;

  /** Throws USAGE for names used twice, unknown groups, wrong numbers, and beyond 4 GiB. */
  constructor(parameters: readonly Parameter[], optimizer: Optimizer, options: FlatOptions = {}) {
    const { groups = [{}], lanes = 1, accumulate = false, average = false } = options;
    if (!(Number.isInteger(lanes) && lanes >= 1)) refuse("lanes", lanes, "a whole number, 1 or more");
    for (const { lrScale = 1, weightDecay = 0 } of groups) {
      if (!isRate(lrScale)) refuse("lrScale", lrScale, RATE);
      if (!isRate(weightDecay)) refuse("weightDecay", weightDecay, RATE);
    }
    this.optimizer = optimizer;
    this.#parameters = parameters;
    let at = 0;
    const { matrices, ratios } = optimizer;
    const isMatrix = ({ name, shape }: Parameter): boolean => matrices?.takes(name, shape) ?? false;
    for (const { name, shape, group = 0 } of parameters) {
      if (groups[group] === undefined)
        throw new TenonError("USAGE", {
          problem: `parameter ${name} is in group ${group}, which is not given`,
        });
      if (!shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0))
        refuse(`the shape of ${name}`, `[${shape.join(", ")}]`, "whole numbers, 0 or more");
    }
    groups.forEach((group, index) => {
      const own = parameters.filter((each) => (each.group ?? 0) === index);
      const start = at;
      for (const { name, shape } of own.filter((each) => !isMatrix(each))) {
        const place = this.#put(name, at, shape);
        at += padded(place.size);
        // Norms are of one parameter, so each is a range of its own.
        if (ratios !== undefined && place.size > 0) this.#ranges.push({ ...place, group });
      }
      if (at > start && ratios === undefined) this.#ranges.push({ at: start, size: at - start, group });
      for (const { name, shape } of own.filter(isMatrix)) {
        const place = this.#put(name, at, shape);
        at += padded(place.size);
        this.#matrices.push({ ...place, group, name, shape });
      }
    });
    this.#lanes = lanes;
    this.#length = Math.ceil(at / (ALIGN * STREAMS)) * ALIGN * STREAMS;
    const sections = [
      "p",
      ...Array.from({ length: lanes }, (_, lane) => `g${lane}`),
      ...optimizer.state,
      ...(accumulate ? ["sum"] : []),
      ...(average ? ["average"] : []),
    ];
    // At different places within a page, so that the same element of two sections does not share a way of the cache.
    const step = Math.ceil((this.#length * 4) / PAGE) * PAGE + APART;
    sections.forEach((name, index) => void this.#sections.set(name, index * step));
    const bytes = sections.length * step;
    if (bytes > MOST_BYTES) {
      throw new TenonError("USAGE", {
        problem: "the parameters and their optimiser state do not fit one memory",
        given: `${bytes} bytes`,
        expected: "less than 4 GiB",
        do: "freeze a part of the model, or take an optimiser with less state, such as sgd or lion",
      });
    }
    const memory = (options.simd ?? true) && hasSimd() ? makeMemory(bytes) : undefined;
    this.#buffer = memory?.buffer ?? new ArrayBuffer(bytes);
    this.#kernels = memory && loadKernels(kernelsOf(optimizer), memory);
    for (const [name, value] of Object.entries(optimizer.start ?? {})) this.section(name).fill(value);
  }

  /** Gradient sections. */
  get lanes(): number {
    return this.#lanes;
  }

  /** Names of the parameters, in the order of the memory. */
  get names(): readonly string[] {
    return [...this.#places.keys()];
  }

  /** Ranges of one group each, with their parameters at places within the range. */
  get layout(): readonly {
    readonly at: number;
    readonly size: number;
    readonly group: Group;
    readonly parameters: readonly (Parameter & { readonly at: number; readonly size: number })[];
  }[] {
    return this.#ranges.map(({ at, size, group }) => ({
      ...{ at, size, group },
      parameters: this.#parameters.flatMap((parameter) => {
        const place = this.#places.get(parameter.name)!;
        const isWithin = place.size > 0 && place.at >= at && place.at < at + size;
        return isWithin ? [{ ...parameter, at: place.at - at, size: place.size }] : [];
      }),
    }));
  }

  /** Parameters that are updated as matrices, with their shapes, in the order of the memory. */
  get matrices(): readonly { readonly name: string; readonly shape: readonly number[] }[] {
    return this.#matrices.map(({ name, shape }) => ({ name, shape }));
  }

  /** A parameter's values. */
  parameter(name: string): Float32Array {
    return this.#view("p", name);
  }

  /** A parameter's gradient in a lane's section. */
  gradient(name: string, lane = 0): Float32Array {
    return this.#view(`g${lane}`, name);
  }

  /** A parameter's part of an optimiser state (`m`, `v`), of `sum` or of `average`. */
  state(name: string, state: string): Float32Array {
    return this.#view(state, name);
  }

  /** A whole section with its gaps: `p`, `g0`, …, a state, `sum`, `average`. */
  section(name: string): Float32Array {
    return new Float32Array(this.#buffer, this.#start(name), this.#length);
  }

  /** Sums the lanes' gradients into lane 0, in their order, each times its weight (its share of the batch). Does nothing for one lane. */
  sumLanes(weights: readonly number[]): void {
    if (weights.length !== this.#lanes) {
      refuse("weights", `${weights.length} numbers`, `${this.#lanes}, one for each lane`);
    }
    weights.forEach((weight, lane) => {
      if (lane === 1) this.#blend("g0", "g1", weights[0]!, weight);
      else if (lane > 1) this.#blend("g0", `g${lane}`, 1, weight);
    });
  }

  /** Adds lane 0's gradients, times a weight, to the accumulated ones; `first` forgets what was there. */
  accumulate(weight: number, first: boolean): void {
    if (first) this.section("sum").fill(0);
    this.#blend("sum", "g0", 1, weight);
  }

  /** Moves the average of the parameters: decay × average + (1 − decay) × parameters. */
  moveAverage(decay: number): void {
    this.#blend("average", "p", decay, 1 - decay);
  }

  /**
   * One step of the optimiser over all parameters; nothing changes when a gradient is not finite. Matrices are
   * orthogonalised in plain loops: see `begin` for another way. Throws USAGE for a step below 1, a rate below 0 and a
   * norm that is not above 0.
   */
  update(options: UpdateOptions): UpdateResult {
    const result = this.begin(options);
    if (!result.applied) return result;
    const section = options.accumulated === true ? "sum" : "g0";
    for (const { name, shape } of this.#matrices)
      plainNewtonSchulz(this.#view(section, name), shape, this.optimizer.matrices!.newtonSchulz);
    this.finish();
    return result;
  }

  /**
   * The first half of `update`: checks, the norm, and matrices, whose directions are left in the place of their
   * gradients. Once those are orthogonalised there, `finish` does the rest; `undo` takes all back. Throws as `update` does.
   */
  begin(options: UpdateOptions): UpdateResult {
    const { step, lr = this.optimizer.lr, clipNorm, accumulated = false, gradientScale = 1 } = options;
    if (!(Number.isInteger(step) && step >= 1)) refuse("step", step, "a whole number, 1 or more");
    if (!isRate(lr)) refuse("lr", lr, RATE);
    if (clipNorm !== undefined && !(clipNorm > 0)) refuse("clipNorm", clipNorm, "a number above 0");
    const gradients = accumulated ? "sum" : "g0";
    const gradNorm = normOf(this.#squares(gradients), () => this.section(gradients)) * gradientScale;
    if (!Number.isFinite(gradNorm)) return { gradNorm, applied: false };
    const clip = clipNorm === undefined ? 1 : Math.min(1, clipNorm / (gradNorm + 1e-6));
    const scale = clip * gradientScale;
    const before = this.optimizer.matrices?.before;
    const kept = this.#matrices.flatMap((matrix) =>
      Object.values(this.#arrays(before!, matrix, gradients)).map((array) => [array, array.slice()] as const),
    );
    this.#begun = { step, lr, gradients, scale, kept };
    for (const matrix of this.#matrices) {
      const scalars = { ...this.#matrixScalars(matrix, step, lr), scale };
      this.#apply("before", before!, matrix, gradients, scalars);
    }
    return { gradNorm, applied: true };
  }

  /** The second half of `update`. */
  finish(): void {
    const { step, lr, gradients, scale } = this.#taken();
    for (const range of this.#ranges) {
      const { lrScale = 1, weightDecay = this.optimizer.weightDecay } = range.group;
      const scalars = { ...this.optimizer.scalars({ step, lr: lr * lrScale, weightDecay }), scale };
      const own = { ...scalars, ...this.#ratios(range, gradients, scalars) };
      this.#apply("update", this.optimizer, range, gradients, own);
    }
    for (const matrix of this.#matrices) {
      const scalars = this.#matrixScalars(matrix, step, lr);
      this.#apply("after", this.optimizer.matrices!.after, matrix, gradients, scalars);
    }
  }

  /** Takes back what `begin` did: momentum and gradients are what they were. */
  undo(): void {
    for (const [array, before] of this.#taken().kept) array.set(before);
  }

  #taken(): Begun {
    const begun = this.#begun;
    if (begun === undefined) throw new TenonError("USAGE", { problem: "no update was begun" });
    this.#begun = undefined;
    return begun;
  }

  /** Names of the parameters whose gradient in lane 0, or in `sum`, holds a NaN or an infinity. */
  notFinite(section: "g0" | "sum" = "g0"): string[] {
    return this.names.filter((name) => !allFinite(this.#view(section, name)));
  }

  #put(name: string, at: number, shape: readonly number[]): Place {
    if (this.#places.has(name))
      throw new TenonError("USAGE", { problem: `two parameters are named ${name}` });
    const place = { at, size: shape.reduce((product, dim) => product * dim, 1) };
    this.#places.set(name, place);
    return place;
  }

  #matrixScalars({ group, shape }: Matrix, step: number, lr: number): Readonly<Record<string, number>> {
    const matrices = this.optimizer.matrices!;
    const { lrScale = 1, weightDecay = matrices.weightDecay } = group;
    return matrices.scalars({ step, lr: lr * lrScale, weightDecay }, shape);
  }

  #ratios(
    range: Range,
    gradients: string,
    scalars: Readonly<Record<string, number>>,
  ): Record<string, number> {
    const ratios = Object.entries(this.optimizer.ratios ?? {}).map(([name, { over, under }]) => {
      const a = Math.sqrt(this.#squaresOf(`${name} over`, over, range, gradients, scalars));
      const b = Math.sqrt(this.#squaresOf(`${name} under`, under, range, gradients, scalars));
      return [name, a > 0 && b > 0 ? a / b : 1] as const;
    });
    return Object.fromEntries(ratios);
  }

  /** Byte addresses of a range in the arrays of formulas. */
  #starts(formulas: Formulas, range: Place, gradients: string): number[] {
    return arrayNames(formulas).map((name) => this.#start(name === "g" ? gradients : name) + range.at * 4);
  }

  #arrays(formulas: Formulas, range: Place, gradients: string): Record<string, Float32Array> {
    const starts = this.#starts(formulas, range, gradients);
    const size = padded(range.size);
    return Object.fromEntries(
      arrayNames(formulas).map((name, i) => [name, new Float32Array(this.#buffer, starts[i]!, size)]),
    );
  }

  #apply(
    kernel: string,
    formulas: Formulas,
    range: Place,
    gradients: string,
    scalars: Readonly<Record<string, number>>,
  ): void {
    if (this.#kernels === undefined) {
      plainUpdate(formulas, this.#arrays(formulas, range, gradients), scalars);
      return;
    }
    const numbers = scalarsOf(Object.values(formulas.update)).map((name) => scalars[name]!);
    this.#kernels[kernel]!(...this.#starts(formulas, range, gradients), padded(range.size) * 4, ...numbers);
  }

  #squaresOf(
    kernel: string,
    e: Expression,
    range: Place,
    gradients: string,
    scalars: Readonly<Record<string, number>>,
  ): number {
    const { optimizer } = this;
    if (this.#kernels === undefined)
      return plainSquaresOf(e, this.#arrays(optimizer, range, gradients), scalars);
    const numbers = scalarsOf([e]).map((name) => scalars[name]!);
    const starts = this.#starts(optimizer, range, gradients);
    return this.#kernels[kernel]!(...starts, padded(range.size) * 4, ...numbers);
  }

  #squares(section: string): number {
    if (this.#kernels === undefined) return plainSquares(this.section(section));
    return this.#kernels.squares!(this.#start(section), (this.#length * 4) / STREAMS);
  }

  #blend(into: string, from: string, a: number, b: number): void {
    if (this.#kernels === undefined) plainBlend(this.section(into), this.section(from), a, b);
    else this.#kernels.blend!(this.#start(into), this.#start(from), this.#length * 4, a, b);
  }

  #start(section: string): number {
    const start = this.#sections.get(section);
    if (start !== undefined) return start;
    throw new TenonError("USAGE", {
      problem: `the memory has no section ${section}`,
      expected: [...this.#sections.keys()].join(", "),
    });
  }

  #view(section: string, name: string): Float32Array {
    const place = this.#places.get(name);
    if (place === undefined) {
      throw new TenonError("USAGE", { problem: `no parameter is named ${name}` });
    }
    return new Float32Array(this.#buffer, this.#start(section) + place.at * 4, place.size);
  }
}
