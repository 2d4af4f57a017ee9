import { deriveKeys, type DerivedKeys } from '../crypto/derive.ts';
import { toBase64url } from '../crypto/encoding.ts';
import { constantTimeEqual } from '../crypto/equal.ts';
import type { SuiteName } from '../crypto/suite.ts';
import { StrongroomError } from '../errors.ts';
import { createEpochs, type Epoch } from './data-keys/epochs.ts';
import { ask, findWrapped, isGone, type FoundKey } from './data-keys/look-up.ts';
import { makeDataKey } from './data-keys/new-key.ts';
import { createOpenedKeys, isWithin, openedKey, release, type OpenedKey } from './data-keys/opened-keys.ts';
import { createRefusals } from './data-keys/refusals.ts';
import { createScopeNames } from './data-keys/scope-names.ts';
import type { DekStore } from './dek-store.ts';
import type { Keyring } from './keyring.ts';
import type { DataKeyScope, DataKey, DataKeyLimits } from './data-keys/types.ts';

/** The data keys of one `encrypt()` layer: made, found, opened once, limited, and overwritten when they go. */
export interface DataKeys {
  /** The data key that seals now: the one that this process made for the session, or a new one. */
  sealing(scope: DataKeyScope, suite: SuiteName): Promise<DataKey>;
  /** A new data key, which seals from now on. */
  fresh(scope: DataKeyScope, suite: SuiteName): Promise<DataKey>;
  /** The data key of this id. `inline` is the wrapped key that the envelope carries, if it does. */
  opening(scope: DataKeyScope, suite: SuiteName, did: string, inline: string | undefined): Promise<DataKey>;
  /** Counts what a data key sealed. */
  sealed(key: DataKey, messages: number, bytes: number): void;
  release(key: DataKey): void;
  /** Drops the session's data keys from memory, or one of them; the next call asks for them again. */
  forget(sessionId: string, did?: string): void;
}

/**
 * How old the knowledge may be that a DEK store still holds the key that seals, in milliseconds, where no append finds
 * out by itself: the store is in another database than the items.
 */
const PRESENT_FOR = 30_000;

export function createDataKeys(limits: DataKeyLimits): DataKeys {
  const names = createScopeNames();
  const opened = createOpenedKeys(limits);
  const epochs = createEpochs(limits);
  const refusals = createRefusals(limits.maxPerRead);
  const loading = new Map<string, Promise<OpenedKey>>();
  const creating = new Map<string, Promise<OpenedKey>>();

  /** The key of this name if it is in memory and its key-encryption key may still be used. */
  function kept(scope: DataKeyScope, name: string): OpenedKey | undefined {
    const key = opened.find(name, scope.now);
    if (key === undefined || opensWith(scope.ring, key.kid)) return key;
    // Its key-encryption key was disabled or destroyed, and the data key may have been wrapped by another one since.
    opened.delete(name);
    return undefined;
  }

  async function opening(
    scope: DataKeyScope,
    suite: SuiteName,
    did: string,
    inline: string | undefined,
  ): Promise<OpenedKey> {
    const name = names.key(scope, suite, did, inline);
    for (;;) {
      const key =
        kept(scope, name) ?? (await once(loading, name, () => load(scope, suite, did, inline, name)));
      // Other keys may have pushed it out of a small cache before its turn came.
      if (!key.wiped) return used(key);
    }
  }

  async function load(
    scope: DataKeyScope,
    suite: SuiteName,
    did: string,
    inline: string | undefined,
    name: string,
  ): Promise<OpenedKey> {
    const found = await findWrapped(scope, did, inline);
    const key = await refusals.unless(name, found.wrapped, scope.now, () => open(scope, suite, did, found));
    opened.add(name, key);
    return key;
  }

  async function open(
    scope: DataKeyScope,
    suite: SuiteName,
    did: string,
    { wrapped, place, createdAt }: FoundKey,
  ): Promise<OpenedKey> {
    const { sessionId, now } = scope;
    const binding = { contextHash: toBase64url(scope.context.hash) };
    const { dek, kid, openOnly } = await scope.ring.unwrap(wrapped, binding);
    let derived: DerivedKeys;
    try {
      if (dek.length !== 32) wrongDataKey();
      derived = deriveKeys(dek, suite, scope.context);
    } finally {
      dek.fill(0);
    }
    if (!constantTimeEqual(derived.did, did)) {
      derived.wipe();
      wrongDataKey();
    }
    // What it sealed before it left the memory counts on.
    const epoch = epochs.find(names.epoch(scope, suite, place));
    const usage = epoch?.did === did ? epoch.usage : { bornAt: createdAt, messages: 0, bytes: 0 };
    return openedKey({ did, kid, derived, place, wrapped, sessionId, openOnly, now, usage });
  }

  async function create(
    scope: DataKeyScope,
    suite: SuiteName,
    place: DekStore | 'inline',
  ): Promise<OpenedKey> {
    const key = await makeDataKey(scope, suite, place);
    opened.add(names.key(scope, suite, key.did, key.inline), key);
    epochs.begin(names.epoch(scope, suite, place), key);
    return key;
  }

  async function sealing(scope: DataKeyScope, suite: SuiteName): Promise<OpenedKey> {
    const place = placeOf(scope);
    const name = names.epoch(scope, suite, place);
    for (;;) {
      const epoch = epochs.find(name);
      if (epoch !== undefined && epochs.isUsable(epoch, scope)) {
        const key = await sealingOf(epoch, scope, suite);
        if (key !== undefined) return key;
        epochs.end(name, epoch);
      }
      const key = await once(creating, name, () => create(scope, suite, place));
      if (!key.wiped) return used(key);
    }
  }

  /**
   * The key of this epoch. Where it left the memory, its store and its key-encryption key are asked again, which bounds
   * how long this process goes on with a key that another one destroyed; `undefined` when it may not seal any more.
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
      // It may have been pushed out while the store was asked.
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
  async function isPresent(key: OpenedKey, { sessionId, guarding, now }: DataKeyScope): Promise<boolean> {
    const { place } = key;
    if (place === 'inline' || place === guarding || isWithin(now - key.presentAt, PRESENT_FOR)) return true;
    const found = await ask(async () => place.get(sessionId, key.did));
    key.presentAt = now;
    return found !== undefined && 'wrapped' in found && found.wrapped === key.wrapped;
  }

  return {
    sealing,
    opening,
    async fresh(scope, suite) {
      for (;;) {
        const key = await create(scope, suite, placeOf(scope));
        if (!key.wiped) return used(key);
      }
    },
    sealed(key, messages, bytes) {
      const { usage } = key as OpenedKey;
      usage.messages += messages;
      usage.bytes += bytes;
    },
    release: (key) => release(key as OpenedKey),
    forget(sessionId, did) {
      opened.forget(sessionId, did);
      epochs.forget(sessionId, did);
    },
  };
}

/** Callers that want the same at the same time share one attempt. */
function once<T>(flights: Map<string, Promise<T>>, name: string, start: () => Promise<T>): Promise<T> {
  let flight = flights.get(name);
  if (flight === undefined) {
    flight = start().finally(() => flights.delete(name));
    flights.set(name, flight);
  }
  return flight;
}

function used(key: OpenedKey): OpenedKey {
  key.users++;
  return key;
}

function opensWith(ring: Keyring, kid: string): boolean {
  try {
    ring.checkOpens(kid);
    return true;
  } catch {
    return false;
  }
}

function placeOf(scope: DataKeyScope): DekStore | 'inline' {
  return scope.inline ? 'inline' : (scope.stores[0] ?? 'inline');
}

function wrongDataKey(): never {
  throw new StrongroomError(
    'ERR_COMMITMENT',
    'The record was sealed for another session or context than it is read with, such as another tenant: compare the ' +
      '`context` of encrypt() and the session id with those that it was written with. If they are the same, the record ' +
      'was moved or its data key was swapped: treat it as tampering.',
  );
}
