import { boundedMap } from '../../bounded-map.ts';
import { getOrMake } from '../../get-or-make.ts';

/** Sessions that were used last. */
const MOST = 1_000;

/** The same function of an id, which makes its text once for the sessions that are used. */
export function kept<V>(make: (sessionId: string) => V): (sessionId: string) => V {
  const made = boundedMap<V>(MOST);
  return (sessionId) => getOrMake(made, sessionId, () => make(sessionId));
}
