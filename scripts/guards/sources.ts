/** Guards on the form of sources: they open with a sentence, and tests leave the one shared process alone. */
import type { Finding, Tree } from "./tree.js";

/** Findings on sources that do not open with one `/**` comment (after a `#!` line). */
export function checkOpenings(tree: Tree): Finding[] {
  return [...tree]
    .filter(([file, source]) => file.endsWith(".ts") && !/^(#!.*\n)?\/\*\*\s/.test(source))
    .map(([file]) => ({ file, message: "does not open with a /** comment that says what it holds" }));
}

/** Findings on hooks outside a `describe`: all test files share one process, so such a hook runs for every test. */
export function checkHooks(tree: Tree): Finding[] {
  return [...tree]
    .filter(([file, source]) => file.endsWith(".test.ts") && /^(before|after)(Each)?\(/m.test(source))
    .map(([file]) => ({
      file,
      message: "a hook outside describe runs for the tests of every file; put it inside",
    }));
}
