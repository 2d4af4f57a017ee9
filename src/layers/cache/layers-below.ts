import { getOrMake } from '../../get-or-make.ts';
import { createIdentities } from '../../identities.ts';
import type { Entry, MaybePromise, SessionCall, SessionLayer } from '../../layer.ts';
import { after } from '../../maybe-promise.ts';
import type { ActivityOf } from './activities.ts';
import type { Known } from './known.ts';
import type { List } from './lists.ts';

/** The decisions of the layers between the cache and the inner session about kept entries. */
export interface LayersBelow {
  /**
   * A cache key. Calls with other layers, or with the key of another tenant, must not get entries that these layers
   * opened.
   */
  keyOf(call: SessionCall): MaybePromise<string>;
  /** Adds one entry of each name that is new. */
  addingTo(examples: Map<string, Entry>, call: SessionCall): (known: Known) => void;
  /** Whether the layers below would still open the list: a key may be destroyed, a date may have passed. */
  stillOpens(list: List, call: SessionCall): MaybePromise<boolean>;
}

/** One list of layers, which is that of one session. */
interface BelowInStack {
  readonly below: readonly SessionLayer[];
  /** The last key, when it depends on the session only. */
  last?: { readonly inner: object; readonly sessionId: string; readonly key: string };
}

/** @param cache The layer itself, once it is made. */
export function createLayersBelow(cache: () => SessionLayer, activityOf: ActivityOf): LayersBelow {
  const identity = createIdentities();
  const stacks = new WeakMap<readonly SessionLayer[], BelowInStack>();

  const stackOf = ({ layers }: SessionCall): BelowInStack =>
    getOrMake(stacks, layers, () => ({ below: layers.slice(layers.indexOf(cache()) + 1) }));
  const layersBelow = (call: SessionCall): readonly SessionLayer[] => stackOf(call).below;

  function keyOf(call: SessionCall): MaybePromise<string> {
    const { inner, sessionId } = call;
    const stack = stackOf(call);
    const { last, below } = stack;
    if (last?.inner === inner && last.sessionId === sessionId) return last.key;
    if (call.routesByRunContext || below.some((each) => each.opensAs !== undefined))
      return varyingKeyOf(call);
    const key = JSON.stringify([sessionId, activityOf(call).session, below.map(identity)]);
    stack.last = { inner, sessionId, key };
    return key;
  }

  async function varyingKeyOf(call: SessionCall): Promise<string> {
    const { sessionId, runContext, routesByRunContext } = call;
    const below = layersBelow(call);
    const varying = below.filter((each) => each.opensAs !== undefined);
    const parts = await Promise.all(varying.map(async (each) => each.opensAs?.(call)));
    return JSON.stringify([
      sessionId,
      activityOf(call).session,
      ...(routesByRunContext && runContext !== undefined ? [identity(runContext)] : []),
      below.map(identity),
      ...parts
        .flatMap((part) => part ?? [])
        .map((part) => (typeof part === 'string' ? part : identity(part))),
    ]);
  }

  function addingTo(examples: Map<string, Entry>, call: SessionCall): (known: Known) => void {
    const asked = layersBelow(call).filter((each) => each.opensBy !== undefined);
    const [only] = asked;
    return (entry) => {
      if (only === undefined || entry.item === undefined) return;
      const name =
        asked.length === 1
          ? (only.opensBy?.(entry) ?? '')
          : asked.map((each) => each.opensBy?.(entry) ?? '').join(' ');
      if (!examples.has(name)) examples.set(name, entry);
    };
  }

  function stillOpens({ examples }: List, call: SessionCall): MaybePromise<boolean> {
    if (examples.size === 0) return true;
    const entries = [...examples.values()];
    let all: MaybePromise<boolean> = true;
    for (const each of layersBelow(call)) {
      if (each.stillOpens === undefined) continue;
      all = after(all, (opens) => opens && (each.stillOpens?.(entries, call) ?? true));
    }
    return all;
  }

  return { keyOf, addingTo, stillOpens };
}
