/** A value, or a promise of it. */
export type MaybePromise<T> = T | Promise<T>;

/** Whether `value` is a promise or another thenable. */
export function isThenable<T>(value: MaybePromise<T>): value is Promise<T> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return value instanceof Promise || ('then' in value && typeof value.then === 'function');
}

/**
 * `next(value)`, asynchronous if `value` is a promise. One code path serves synchronous and asynchronous
 * recognizers.
 */
export function after<T, R>(value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isThenable(value) ? later(value, next) : next(value);
}

async function later<T, R>(value: Promise<T>, next: (value: T) => MaybePromise<R>): Promise<R> {
  return next(await value);
}

/** The result of the work. `over` is called when it has ended, before its caller gets to know. */
export function ending<T>(work: () => MaybePromise<T>, over: (failed: boolean) => void): MaybePromise<T> {
  const failed = (error: unknown): never => {
    over(true);
    throw error;
  };
  const ended = (value: T): T => {
    over(false);
    return value;
  };
  let result: MaybePromise<T>;
  try {
    result = work();
  } catch (error) {
    return failed(error);
  }
  return isThenable(result) ? result.catch(failed).then(ended) : ended(result);
}

/** All values, as a promise only if one of them is. */
export function together<T>(values: readonly MaybePromise<T>[]): MaybePromise<readonly T[]> {
  return values.some((value) => isThenable(value)) ? Promise.all(values) : (values as readonly T[]);
}
