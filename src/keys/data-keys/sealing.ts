import type { SuiteName } from '../../crypto/suite.ts';
import { after, type MaybePromise } from '../../maybe-promise.ts';
import type { DekStore } from '../dek-store.ts';
import type { Epoch, Epochs } from './epochs.ts';
import { ask, isGone } from './look-up.ts';
import { makeDataKey } from './new-key.ts';
import { once } from './once.ts';
import { isWithin, release, used, type OpenedKey, type OpenedKeys } from './opened-keys.ts';
import type { Opening } from './opening.ts';
import type { ScopeNames } from './scope-names.ts';
import type { DataKeyScope } from './types.ts';

/** The data key that seals: the one of the session's epoch, or a new one. */
export interface Sealing {
  sealing(scope: DataKeyScope, suite: SuiteName, carries?: boolean): MaybePromise<OpenedKey>;
  fresh(scope: DataKeyScope, suite: SuiteName): MaybePromise<OpenedKey>;
}

/**
 * How often to check that a DEK store still holds the sealing key, in milliseconds, where the append cannot check
 * it itself: the store is in another database than the items.
 */
const PRESENT_FOR = 30_000;

export function createSealing(
  names: ScopeNames,
  opened: OpenedKeys,
  epochs: Epochs,
  { kept, opening }: Opening,
): Sealing {
  const creating = new Map<string, Promise<OpenedKey>>();
  const nameOf = (scope: DataKeyScope, suite: SuiteName): string => names.epoch(scope, suite, placeOf(scope));

  const create = (scope: DataKeyScope, suite: SuiteName, carries: boolean): MaybePromise<OpenedKey> =>
    after(makeDataKey(scope, suite, placeOf(scope), carries), (key) => {
      opened.add(names.key(scope, suite, key.did, key.inline), key);
      epochs.begin(nameOf(scope, suite), key);
      return key;
    });

  const fresh: Sealing['fresh'] = (scope, suite) =>
    after(create(scope, suite, false), (key) => (key.wiped ? fresh(scope, suite) : used(key)));

  function sealing(scope: DataKeyScope, suite: SuiteName, carries: boolean = false): MaybePromise<OpenedKey> {
    const name = nameOf(scope, suite);
    const epoch = epochs.find(name);
    if (epoch !== undefined && epochs.isUsable(epoch, scope)) {
      const key = kept(scope, names.key(scope, suite, epoch.did, epoch.inline));
      const isReady = key !== undefined && !key.wiped && !key.openOnly && isWritable(key, carries);
      if (isReady && isKnownPresent(key, scope)) return used(key);
      return found(epoch, scope, suite, carries);
    }
    // Others may have evicted it from a small cache before its use.
    return after(
      once(creating, `${carries} ${name}`, () => create(scope, suite, carries)),
      (key) => (key.wiped ? sealing(scope, suite, carries) : used(key)),
    );
  }

  /** The key of this epoch, or another one. */
  async function found(
    epoch: Epoch,
    scope: DataKeyScope,
    suite: SuiteName,
    carries: boolean,
  ): Promise<OpenedKey> {
    const key = await sealingOf(epoch, scope, suite);
    if (key !== undefined) {
      if (isWritable(key, carries)) return key;
      release(key);
    }
    epochs.end(nameOf(scope, suite), epoch);
    return sealing(scope, suite, carries);
  }

  /**
   * The key of this epoch. When it was evicted, it is loaded from its store and unwrapped again, which bounds how
   * long this process uses a key that another one destroyed; `undefined` when it may not seal any more.
   */
  async function sealingOf(
    epoch: Epoch,
    scope: DataKeyScope,
    suite: SuiteName,
  ): Promise<OpenedKey | undefined> {
    const { did, inline } = epoch;
    const name = names.key(scope, suite, did, inline);
    try {
      let key = kept(scope, name);
      if (key !== undefined && !(await isPresent(key, scope))) {
        opened.delete(name);
        key = undefined;
      }
      // It may have been evicted during the query of the store.
      if (key !== undefined && !key.wiped) return key.openOnly ? undefined : used(key);
      if (scope.ring.writeOnly) return undefined;
      key = await opening(scope, suite, did, inline);
      if (!key.openOnly) return key;
      release(key);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
    return undefined;
  }

  /** Whether the store still holds the key as it was opened. */
  async function isPresent(key: OpenedKey, scope: DataKeyScope): Promise<boolean> {
    const { place } = key;
    const { sessionId, now } = scope;
    if (place === 'inline' || isKnownPresent(key, scope)) return true;
    const found = await ask(async () => place.get(sessionId, key.did));
    key.presentAt = now;
    return found !== undefined && 'wrapped' in found && found.wrapped === key.wrapped;
  }

  return { sealing, fresh };
}

/** Whether its store need not be queried. */
function isKnownPresent({ place, presentAt }: OpenedKey, { guarding, now }: DataKeyScope): boolean {
  return place === 'inline' || place === guarding || isWithin(now - presentAt, PRESENT_FOR);
}

/** Whether records under it can be read afterwards: its row is stored, or is written with them. */
function isWritable({ row }: OpenedKey, carries: boolean): boolean {
  return row === undefined || row.state === 'stored' || (carries && row.state === 'new');
}

function placeOf(scope: DataKeyScope): DekStore | 'inline' {
  return scope.inline ? 'inline' : (scope.stores[0] ?? 'inline');
}
