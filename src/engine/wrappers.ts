import type { Session } from '@openai/agents';
import { getOrMake } from '../get-or-make.ts';
import type { SessionLayer } from '../layer.ts';

/** The wrappers in one list of layers, by innermost session. No session, layer or wrapper lives longer for it. */
type Wrappers = WeakMap<Session, WeakRef<Session>>;

/** A list of layers, and each longer list that begins with it. */
interface Lists {
  readonly longer: WeakMap<SessionLayer, Lists>;
  readonly byLimit: Map<number, Wrappers>;
}

const emptyList = listOf();

/**
 * The wrappers of these layers and this limit, to get a wrapper that is still referenced: the runner keys state by
 * identity. A step a layer, however many stacks a session has had. Sessions come last: all sessions of a store have the same
 * layers, and one more takes one entry.
 */
export function wrappersIn(layers: readonly SessionLayer[], maxItemBytes: number): Wrappers {
  let list = emptyList;
  for (const layer of layers) list = getOrMake(list.longer, layer, listOf);
  return getOrMake(list.byLimit, maxItemBytes, () => new WeakMap());
}

function listOf(): Lists {
  return { longer: new WeakMap(), byLimit: new Map() };
}
