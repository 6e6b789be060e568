/** Matrices of an update made orthogonal by ONNX Runtime, where they lie. */
import { graph } from "../../onnx/index.js";
import { Program, type ProgramCall } from "../../runtime/index.js";
import type { FlatMemory } from "../memory.js";
import { newtonSchulzNodes } from "../optimizers/newton-schulz.js";
import { over } from "./compiled.js";

export class Orthogonal {
  readonly #programs: readonly Program[];
  readonly #calls: readonly ProgramCall[];

  private constructor(programs: readonly Program[], calls: readonly ProgramCall[]) {
    this.#programs = programs;
    this.#calls = calls;
  }

  /** One program for each shape; `section` is where the memory's `begin` leaves the matrices. */
  static async open(memory: FlatMemory, section: "g0" | "sum", threads: number): Promise<Orthogonal> {
    const rows = memory.optimizer.matrices!.newtonSchulz;
    const programs = new Map<string, Program>();
    const calls: ProgramCall[] = [];
    for (const { name, shape } of memory.matrices) {
      const key = shape.join();
      let program = programs.get(key);
      if (program === undefined) {
        const g = graph();
        g.output(newtonSchulzNodes(g, g.input("x", "float32", shape), shape, rows), "y");
        program = await Program.open(g.model(), { threads });
        programs.set(key, program);
      }
      // The last node writes y and needs all that reads x, so that both may be one memory.
      const matrix = over(memory.state(name, section), shape);
      calls.push(program.bind({ x: matrix }, { y: matrix }));
    }
    return new Orthogonal([...programs.values()], calls);
  }

  async run(): Promise<void> {
    for (const call of this.#calls) await call.run();
  }

  async dispose(): Promise<void> {
    for (const call of this.#calls) call.dispose();
    await Promise.all(this.#programs.map((program) => program.dispose()));
  }
}
