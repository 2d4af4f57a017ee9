import type { Batch } from './driver.ts';

/** Makes each append separately; returns their errors in order. */
export function appendEach(
  batches: readonly Batch[],
  append: (batch: Batch) => Promise<void>,
): Promise<(Error | undefined)[]> {
  return Promise.all(
    batches.map((batch) =>
      append(batch).then(
        () => undefined,
        (error: unknown) => error as Error,
      ),
    ),
  );
}
