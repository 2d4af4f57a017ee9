import { getOrMake } from '../../get-or-make.ts';
import { createIdentities } from '../../identities.ts';
import type { Entry, MaybePromise, SessionCall, SessionLayer } from '../../layer.ts';
import { after } from '../../maybe-promise.ts';
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

/** @param cache The layer itself, once it is made. */
export function createLayersBelow(cache: () => SessionLayer): LayersBelow {
  const identity = createIdentities();
  const ofStacks = new WeakMap<readonly SessionLayer[], readonly SessionLayer[]>();

  const layersBelow = ({ layers }: SessionCall): readonly SessionLayer[] =>
    getOrMake(ofStacks, layers, () => layers.slice(layers.indexOf(cache()) + 1));

  /** The last key of each stack, when it depends on the session only. */
  const fixed = new WeakMap<
    readonly SessionLayer[],
    { readonly inner: object; readonly sessionId: string; readonly key: string }
  >();

  function keyOf(call: SessionCall): MaybePromise<string> {
    const { inner, sessionId, layers } = call;
    const last = fixed.get(layers);
    if (last !== undefined && last.inner === inner && last.sessionId === sessionId) return last.key;
    const below = layersBelow(call);
    if (call.routesByRunContext || below.some((each) => each.opensAs !== undefined))
      return varyingKeyOf(call);
    const key = JSON.stringify([sessionId, identity(inner), below.map(identity)]);
    fixed.set(layers, { inner, sessionId, key });
    return key;
  }

  async function varyingKeyOf(call: SessionCall): Promise<string> {
    const { inner, sessionId, runContext, routesByRunContext } = call;
    const below = layersBelow(call);
    const varying = below.filter((each) => each.opensAs !== undefined);
    const parts = await Promise.all(varying.map(async (each) => each.opensAs?.(call)));
    return JSON.stringify([
      sessionId,
      ...[inner, ...(routesByRunContext && runContext !== undefined ? [runContext] : [])].map(identity),
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
