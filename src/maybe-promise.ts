import type { MaybePromise } from './layer.ts';

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

/** All values, as a promise only if one of them is. */
export function together<T>(values: readonly MaybePromise<T>[]): MaybePromise<readonly T[]> {
  return values.some((value) => isThenable(value)) ? Promise.all(values) : (values as readonly T[]);
}
