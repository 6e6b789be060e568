/** mapOrdered: many asynchronous calls with a bounded number under way and results in the order of their inputs. */

/**
 * Pulls from `source` only while there is room, yields a result as soon as it is the oldest one, and stops everything
 * when a call fails or the consumer leaves.
 */
export async function* mapOrdered<T, R>(
  source: Iterable<T> | AsyncIterable<T>,
  inFlight: number,
  call: (value: T, signal: AbortSignal) => Promise<R>,
  outer?: AbortSignal,
): AsyncGenerator<R, void, undefined> {
  const left = new AbortController();
  const signal = outer === undefined ? left.signal : AbortSignal.any([outer, left.signal]);
  const iterator =
    Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const pending: Promise<R>[] = [];
  let pull: Promise<IteratorResult<T>> | undefined;
  let exhausted = false;
  try {
    for (;;) {
      if (!exhausted && pull === undefined && pending.length < inFlight)
        pull = Promise.resolve(iterator.next());
      const oldest = pending[0];
      if (oldest === undefined && pull === undefined) return;
      if (pull !== undefined && (oldest === undefined || (await isFirst(pull, oldest)))) {
        const next = await pull;
        pull = undefined;
        if (next.done === true) exhausted = true;
        else {
          const result = call(next.value, signal);
          result.catch(() => undefined); // reported when its turn comes
          pending.push(result);
        }
      } else {
        await pending.shift();
        yield await oldest!;
      }
    }
  } finally {
    left.abort();
    await Promise.allSettled(pending);
    const returned = exhausted ? undefined : Promise.resolve(iterator.return?.());
    returned?.catch(() => undefined);
    // A source that is still making a value may never end: it is not waited for.
    if (pull === undefined) await returned;
  }
}

/** Whether `a` settles before `b`; never rejects. */
function isFirst(a: Promise<unknown>, b: Promise<unknown>): Promise<boolean> {
  const yes = (): boolean => true;
  const no = (): boolean => false;
  return Promise.race([a.then(yes, yes), b.then(no, no)]);
}
