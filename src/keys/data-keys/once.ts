import { isThenable, type MaybePromise } from '../../maybe-promise.ts';

/** Concurrent callers with the same name share one attempt. */
export function once<T>(
  flights: Map<string, Promise<T>>,
  name: string,
  start: () => MaybePromise<T>,
): MaybePromise<T> {
  const known = flights.get(name);
  if (known !== undefined) return known;
  const started = start();
  if (!isThenable(started)) return started;
  const flight = started.finally(() => flights.delete(name));
  flights.set(name, flight);
  return flight;
}
