/** Callers that want the same at the same time share one attempt. */
export function once<T>(flights: Map<string, Promise<T>>, name: string, start: () => Promise<T>): Promise<T> {
  let flight = flights.get(name);
  if (flight === undefined) {
    flight = start().finally(() => flights.delete(name));
    flights.set(name, flight);
  }
  return flight;
}
