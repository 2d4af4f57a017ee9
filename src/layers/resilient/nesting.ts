import type { AsyncLocalStorage } from 'node:async_hooks';

interface ProcessLike {
  getBuiltinModule?(
    name: 'node:async_hooks',
  ): { readonly AsyncLocalStorage: typeof AsyncLocalStorage } | undefined;
}

/** Which calls are made by the work of another call. */
export interface Nesting {
  isInside(): boolean;
  inside<T>(work: () => Promise<T>): Promise<T>;
}

/**
 * A call that waits for a slot of a bulkhead inside of a call that has one can wait for ever. Without
 * `AsyncLocalStorage` (browsers, workerd without `nodejs_compat`) no call counts as inside of another.
 */
export function createNesting(): Nesting {
  const { process } = globalThis as { process?: ProcessLike };
  const hooks = process?.getBuiltinModule?.('node:async_hooks');
  if (hooks === undefined) return { isInside: () => false, inside: (work) => work() };
  const storage = new hooks.AsyncLocalStorage<true>();
  return { isInside: () => storage.getStore() === true, inside: (work) => storage.run(true, work) };
}
