import { getOrMake } from '../get-or-make.ts';
import type { SessionCall } from '../layer.ts';

/** One value for each history. */
export interface ByHistory<T> {
  get(call: SessionCall): T | undefined;
  set(call: SessionCall, value: T): void;
  delete(call: SessionCall): void;
}

/**
 * State of a layer, kept apart by history: by an object of the call, the session id, and the run context where the
 * inner session chooses its history by it. Values are released with the object and the run context.
 *
 * @param ownerOf `call.inner` for state that all stacks around a session may share, `call.layers` for state of one
 * stack.
 * @param most Ids that are kept for each owner and run context; the oldest are dropped first.
 */
export function createByHistory<T>(
  ownerOf: (call: SessionCall) => object,
  most: number = Number.POSITIVE_INFINITY,
): ByHistory<T> {
  const byOwner = new WeakMap<object, Map<string, T>>();
  const byContext = new WeakMap<object, typeof byOwner>();

  function valuesOf(call: SessionCall): Map<string, T> {
    const owner = ownerOf(call);
    const context = call.routesByRunContext ? call.runContext : undefined;
    const route = context === undefined ? byOwner : getOrMake(byContext, owner, () => new WeakMap());
    return getOrMake(route, context ?? owner, () => new Map());
  }

  return {
    get: (call) => valuesOf(call).get(call.sessionId),
    set(call, value) {
      const values = valuesOf(call);
      values.delete(call.sessionId);
      values.set(call.sessionId, value);
      if (values.size > most) values.delete(values.keys().next().value as string);
    },
    delete: (call) => void valuesOf(call).delete(call.sessionId),
  };
}
