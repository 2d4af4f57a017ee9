/** Concurrent callers with the same name share one attempt. */
export function once<T>(flights: Map<string, Promise<T>>, name: string, start: () => Promise<T>): Promise<T> {
  let flight = flights.get(name);
  if (flight === undefined) {
    flight = start().finally(() => flights.delete(name));
    flights.set(name, flight);
  }
  return flight;
}
