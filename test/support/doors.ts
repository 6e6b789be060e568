/** The ways in which clients reach a server: its own process, or fronts before it. Suites that run over each hold for both. */
import { describe } from "node:test";

/** Both take a minute more: that is for CI, where `CI` is set. */
const FRONTS = process.env.CI ? [0, 2] : [0];

/** Describes a suite once for each number of fronts that `serve` is to be given. */
export function describeDoors(name: string, suite: (fronts: number) => void): void {
  for (const fronts of FRONTS)
    describe(fronts === 0 ? name : `${name}, behind ${fronts} fronts`, () => suite(fronts));
}
