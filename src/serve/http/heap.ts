/** The garbage collector's pace in a process that serves: request bodies must not make it collect the whole heap. */
import { setFlagsFromString } from "node:v8";

/** Old space may grow to this many per cent above what was live before it is collected; V8's own is a few ten. */
const GROWTH_PERCENT = 700;

/**
 * For the start of a process whose main work is serving. Bodies live outside V8's heap but count towards its limit,
 * which is a few megabytes while the heap itself is small: at 0.6 MB a body, the whole heap is marked every few
 * requests. Costs some tens of megabytes of memory. It changes the whole process, so `serve` does not do it by itself.
 */
export function paceCollector(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
