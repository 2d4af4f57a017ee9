import type { Session } from '@openai/agents';
import type { SessionLayer } from '../layer.ts';

/** The wrappers of one list of layers, and a way to each longer list that begins with it. */
interface Wrappers {
  readonly longer: WeakMap<SessionLayer, Wrappers>;
  readonly byLimit: Map<number, WeakRef<Session>>;
}

/** By innermost session. A tree, so that a look takes a step a layer, however many stacks the session has had. */
const known = new WeakMap<Session, Wrappers>();

/** The wrapper of the same session, layers and limit, if it is still referenced: the runner keys state by identity. */
export function existingWrapper(
  innermost: Session,
  layers: readonly SessionLayer[],
  maxItemBytes: number,
): Session | undefined {
  let wrappers = known.get(innermost);
  for (const layer of layers) wrappers = wrappers?.longer.get(layer);
  return wrappers?.byLimit.get(maxItemBytes)?.deref();
}

/** Neither the session, nor a layer, nor the wrapper lives longer for it. */
export function rememberWrapper(
  innermost: Session,
  layers: readonly SessionLayer[],
  maxItemBytes: number,
  wrapper: Session,
): void {
  let wrappers = longerBy(known, innermost);
  for (const layer of layers) wrappers = longerBy(wrappers.longer, layer);
  wrappers.byLimit.set(maxItemBytes, new WeakRef(wrapper));
}

function longerBy<K extends object>(map: WeakMap<K, Wrappers>, key: K): Wrappers {
  let wrappers = map.get(key);
  if (wrappers === undefined) map.set(key, (wrappers = { longer: new WeakMap(), byLimit: new Map() }));
  return wrappers;
}
