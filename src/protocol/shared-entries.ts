import type { SessionCall } from '../layer.ts';

/**
 * Marks the calls in which a cache may return its own entries without a copy. No layer of the stack changes the
 * content of an entry, and the engine copies the items once, at the end. See decision 67.
 */
export const TAKES_SHARED: unique symbol = Symbol('strongroom.takesShared');

export function takesShared(call: SessionCall): boolean {
  return (call as { readonly [TAKES_SHARED]?: boolean })[TAKES_SHARED] === true;
}

/** Lists whose items a cache keeps. */
const lists = new WeakSet<object>();

export function share<T extends readonly object[]>(list: T): T {
  lists.add(list);
  return list;
}

export function isShared(list: object): boolean {
  return lists.has(list);
}
