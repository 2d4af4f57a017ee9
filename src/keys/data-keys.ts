import { LRUCache } from 'lru-cache';
import { deriveKeys, type BindingContext, type DerivedKeys } from '../crypto/derive.ts';
import { toBase64url } from '../crypto/encoding.ts';
import { constantTimeEqual } from '../crypto/equal.ts';
import type { SuiteName } from '../crypto/suite.ts';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import type { DekRecord, DekStore, DekTombstone } from './dek-store.ts';
import type { Keyring } from './keyring.ts';

/** How long and how much one data key seals, and how many opened ones a layer keeps. */
export interface DataKeyLimits {
  /** Milliseconds after which a session gets a new data key. */
  readonly maxAge: number;
  /** Entries that one data key seals in this process. */
  readonly maxMessages: number;
  /** Bytes of plaintext that one data key seals in this process. */
  readonly maxBytes: number;
  /** Milliseconds after which an opened data key is asked for again, from its store and its key-encryption key. */
  readonly cacheFor: number;
  /** How many opened data keys are kept. */
  readonly maxCached: number;
}

/** Whose data keys are wanted, and where they live. */
export interface DataKeyScope {
  readonly ring: Keyring;
  readonly sessionId: string;
  readonly context: BindingContext;
  /** Where data keys are looked for, in this order. New ones go into the first; inline when there is none. */
  readonly stores: readonly DekStore[];
  /** New data keys stand in the envelopes although there is a store. */
  readonly inline: boolean;
  readonly now: number;
}

/** An opened data key, ready for use. Whoever got one gives it back with {@link DataKeys.release}. */
export interface DataKey {
  readonly did: string;
  readonly kid: string;
  readonly derived: DerivedKeys;
  /** The wrapped key that envelopes carry, when it lives there. */
  readonly inline: string | undefined;
}

/** The data keys of one `encrypt()` layer: made, found, opened once, limited, and overwritten when they go. */
export interface DataKeys {
  /** The data key that seals now: the session's own, or a new one. */
  sealing(scope: DataKeyScope, suite: SuiteName): Promise<DataKey>;
  /** A new data key, which seals from now on. */
  fresh(scope: DataKeyScope, suite: SuiteName): Promise<DataKey>;
  /** The data key of this id. `inline` is the wrapped key that the envelope carries, if it does. */
  opening(scope: DataKeyScope, suite: SuiteName, did: string, inline: string | undefined): Promise<DataKey>;
  /** Counts what a data key sealed. */
  sealed(key: DataKey, messages: number, bytes: number): void;
  /** Tells when an authentic entry of this data key was written. */
  seen(key: DataKey, writtenAt: number): void;
  release(key: DataKey): void;
  /** Drops the session's data keys from memory, or one of them; the next call asks for them again. */
  forget(sessionId: string, did?: string): void;
}

interface Held extends DataKey {
  readonly sessionId: string;
  readonly place: DekStore | 'inline';
  readonly openOnly: boolean;
  readonly loadedAt: number;
  readonly usage: Usage;
  users: number;
  evicted: boolean;
  wiped: boolean;
}

/** What counts towards the limits of a data key. */
interface Usage {
  /** Unix milliseconds; infinite while nobody knows. */
  bornAt: number;
  messages: number;
  bytes: number;
}

/** What is remembered of the data key that seals; its secret is in the cache only. */
interface Epoch {
  readonly sessionId: string;
  readonly did: string;
  readonly kid: string;
  readonly inline: string | undefined;
  readonly usage: Usage;
  /** Made by this process; never given up for one that was found. */
  readonly own: boolean;
}

export function createDataKeys(limits: DataKeyLimits): DataKeys {
  const identities = new WeakMap<object, number>();
  let lastIdentity = 0;
  const identityOf = (object: object): number => {
    let identity = identities.get(object);
    if (identity === undefined) identities.set(object, (identity = ++lastIdentity));
    return identity;
  };

  const cache = new LRUCache<string, Held>({
    max: limits.maxCached,
    dispose(key) {
      key.evicted = true;
      if (key.users === 0) wipe(key);
    },
  });
  const loading = new Map<string, Promise<Held>>();
  const epochs = new LRUCache<string, Epoch>({ max: limits.maxCached });
  const creating = new Map<string, Promise<Epoch>>();

  /** Everything that decides what a data key is; a cache shared over less was a vulnerability (CVE-2026-6550). */
  function scopeName(scope: DataKeyScope, suite: SuiteName): string {
    const stores = scope.stores.map(identityOf).join(',');
    return `${identityOf(scope.ring)}|${suite}|${toBase64url(scope.context.hash)}|${stores}`;
  }

  function epochName(scope: DataKeyScope, suite: SuiteName, place: DekStore | 'inline'): string {
    return `${scopeName(scope, suite)}|${place === 'inline' ? place : identityOf(place)}`;
  }

  function keyName(scope: DataKeyScope, suite: SuiteName, did: string, inline: string | undefined): string {
    return `${scopeName(scope, suite)}|${did}|${inline ?? ''}`;
  }

  function cached(name: string, now: number): Held | undefined {
    const key = cache.get(name);
    if (key === undefined) return undefined;
    const age = now - key.loadedAt;
    // A clock that went back says nothing about the age.
    if (age >= 0 && age < limits.cacheFor) return key;
    cache.delete(name);
    return undefined;
  }

  async function held(
    scope: DataKeyScope,
    suite: SuiteName,
    did: string,
    inline: string | undefined,
  ): Promise<Held> {
    const name = keyName(scope, suite, did, inline);
    for (;;) {
      let key = cached(name, scope.now);
      if (key === undefined) {
        let flight = loading.get(name);
        if (flight === undefined) {
          flight = load(scope, suite, did, inline, name).finally(() => loading.delete(name));
          loading.set(name, flight);
        }
        key = await flight;
      } else {
        scope.ring.checkOpens(key.kid);
      }
      // Other keys may have pushed it out of a small cache before its turn came.
      if (!key.wiped) {
        key.users++;
        return key;
      }
    }
  }

  async function load(
    scope: DataKeyScope,
    suite: SuiteName,
    did: string,
    inline: string | undefined,
    name: string,
  ): Promise<Held> {
    const found = await find(scope, did, inline);
    const binding = { contextHash: toBase64url(scope.context.hash) };
    const { dek, kid, openOnly } = await scope.ring.unwrap(found.wrapped, binding);
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
    const epoch = epochName(scope, suite, found.place);
    const known = epochs.get(epoch);
    const key: Held = {
      did,
      kid,
      derived,
      inline,
      sessionId: scope.sessionId,
      place: found.place,
      openOnly,
      loadedAt: scope.now,
      usage: known?.did === did ? known.usage : { bornAt: found.createdAt, messages: 0, bytes: 0 },
      users: 0,
      evicted: false,
      wiped: false,
    };
    cache.set(name, key);
    // A process that reads a session goes on with its last data key instead of making one more. Only if the wrapped
    // key comes from somebody who holds a secret: anybody can wrap a key of his choice for a public key, and would
    // read everything that is sealed with it.
    const newer = known === undefined || (!known.own && known.usage.bornAt < found.createdAt);
    if (newer && !openOnly && scope.ring.authenticated(kid)) epochs.set(epoch, epochOf(key, false));
    return key;
  }

  async function find(
    scope: DataKeyScope,
    did: string,
    inline: string | undefined,
  ): Promise<{ wrapped: string; place: DekStore | 'inline'; createdAt: number }> {
    let record: { wrapped: string; place: DekStore; createdAt: number } | undefined;
    for (const store of scope.stores) {
      const found = await ask(async () => store.get(scope.sessionId, did));
      if (found === undefined) continue;
      if (isTombstone(found)) {
        throw new StrongroomError(
          'ERR_SHREDDED',
          `The data key of session ${JSON.stringify(scope.sessionId)} was destroyed on purpose at ` +
            `${new Date(found.destroyedAt).toISOString()}; what it sealed can never be read again.`,
        );
      }
      record ??= { wrapped: found.wrapped, place: store, createdAt: found.createdAt };
    }
    // The stores were asked although the envelope has the key: a copy of it there must not undo a shredding.
    if (inline !== undefined) {
      return { wrapped: inline, place: 'inline', createdAt: Number.POSITIVE_INFINITY };
    }
    if (record !== undefined) return record;
    if (scope.stores.length === 0) {
      throw new StrongroomError(
        'ERR_KEY_UNAVAILABLE',
        'The data key is not in the envelope, and this stack has no DEK store to look into. Give encrypt() the ' +
          '`dekStore` that the record was written with, or use the store that offers one.',
      );
    }
    throw new StrongroomError(
      'ERR_KEY_UNKNOWN',
      `The DEK store holds no data key ${did.slice(0, 8)}… of session ${JSON.stringify(scope.sessionId)}, and no ` +
        'tombstone of it. Use the DEK store that the record was written with, or restore it from a backup.',
    );
  }

  function usable(epoch: Epoch, scope: DataKeyScope): boolean {
    const age = scope.now - epoch.usage.bornAt;
    return (
      epoch.kid === scope.ring.current &&
      age >= 0 &&
      age < limits.maxAge &&
      epoch.usage.messages < limits.maxMessages &&
      epoch.usage.bytes < limits.maxBytes
    );
  }

  async function fresh(scope: DataKeyScope, suite: SuiteName): Promise<DataKey> {
    const place = placeOf(scope);
    const epoch = await create(scope, suite, place, epochName(scope, suite, place));
    const key = cached(keyName(scope, suite, epoch.did, epoch.inline), scope.now);
    if (key === undefined) return fresh(scope, suite);
    key.users++;
    return key;
  }

  async function sealing(scope: DataKeyScope, suite: SuiteName): Promise<DataKey> {
    const place = placeOf(scope);
    const name = epochName(scope, suite, place);
    for (let attempt = 0; ; attempt++) {
      let epoch = epochs.get(name);
      if (epoch === undefined || !usable(epoch, scope)) {
        let flight = creating.get(name);
        if (flight === undefined) {
          flight = create(scope, suite, place, name).finally(() => creating.delete(name));
          creating.set(name, flight);
        }
        epoch = await flight;
      }
      const known = cached(keyName(scope, suite, epoch.did, epoch.inline), scope.now);
      if (known?.openOnly === false) {
        known.users++;
        return known;
      }
      // It left the cache: its store and its key-encryption key are asked again, which bounds how long this process
      // goes on with a key that another one destroyed.
      if (known === undefined && !scope.ring.writeOnly) {
        try {
          const again = await held(scope, suite, epoch.did, epoch.inline);
          if (!again.openOnly) return again;
          release(again);
        } catch (error) {
          if (!isGone(error) || attempt > 2) throw error;
        }
      }
      if (epochs.get(name)?.did === epoch.did) epochs.delete(name);
    }
  }

  async function create(
    scope: DataKeyScope,
    suite: SuiteName,
    place: DekStore | 'inline',
    name: string,
  ): Promise<Epoch> {
    const dek = globalThis.crypto.getRandomValues(new Uint8Array(32));
    let derived: DerivedKeys | undefined;
    let wrapped: string;
    let kid: string;
    try {
      derived = deriveKeys(dek, suite, scope.context);
      ({ wrapped, kid } = await scope.ring.wrap(dek, { contextHash: toBase64url(scope.context.hash) }));
    } catch (error) {
      derived?.wipe();
      throw error;
    } finally {
      dek.fill(0);
    }
    const { did } = derived;
    if (place !== 'inline') {
      // Durable before the first entry that uses it: the other order would lose data in a crash.
      const record: DekRecord = { sessionId: scope.sessionId, did, kid, wrapped, createdAt: scope.now };
      const added = await ask(async () => place.put(record));
      if (!added) {
        throw new StrongroomError(
          'ERR_STORE',
          'The DEK store says that it holds a data key that was made just now. Nothing was sealed with it.',
        );
      }
    }
    const inline = place === 'inline' ? wrapped : undefined;
    const key: Held = {
      did,
      kid,
      derived,
      inline,
      sessionId: scope.sessionId,
      place,
      openOnly: false,
      loadedAt: scope.now,
      usage: { bornAt: scope.now, messages: 0, bytes: 0 },
      users: 0,
      evicted: false,
      wiped: false,
    };
    cache.set(keyName(scope, suite, did, inline), key);
    const epoch = epochOf(key, true);
    epochs.set(name, epoch);
    return epoch;
  }

  return {
    sealing,
    fresh,
    opening: held,
    sealed(key, messages, bytes) {
      const { usage } = key as Held;
      usage.messages += messages;
      usage.bytes += bytes;
    },
    seen(key, writtenAt) {
      const { usage } = key as Held;
      if (writtenAt < usage.bornAt) usage.bornAt = writtenAt;
    },
    release: (key) => release(key as Held),
    forget(sessionId, did) {
      const gone = (key: { readonly sessionId: string; readonly did: string }): boolean =>
        key.sessionId === sessionId && (did === undefined || key.did === did);
      const cachedNames = [...cache.entries()].filter(([, key]) => gone(key)).map(([name]) => name);
      for (const name of cachedNames) cache.delete(name);
      const epochNames = [...epochs.entries()].filter(([, epoch]) => gone(epoch)).map(([name]) => name);
      for (const name of epochNames) epochs.delete(name);
    },
  };
}

function release(key: Held): void {
  key.users--;
  if (key.evicted && key.users === 0) wipe(key);
}

function placeOf(scope: DataKeyScope): DekStore | 'inline' {
  return scope.inline ? 'inline' : (scope.stores[0] ?? 'inline');
}

function epochOf({ sessionId, did, kid, inline, usage }: Held, own: boolean): Epoch {
  return { sessionId, did, kid, inline, usage, own };
}

function wipe(key: Held): void {
  key.wiped = true;
  key.derived.wipe();
}

function isTombstone(found: DekRecord | DekTombstone): found is DekTombstone {
  return 'destroyedAt' in found;
}

/** Whether a data key is no longer there, so that sealing goes on with a new one. */
function isGone(error: unknown): boolean {
  return isStrongroomError(error) && (error.code === 'ERR_SHREDDED' || error.code === 'ERR_KEY_UNKNOWN');
}

/** Errors of a DEK store that are not ours become `ERR_STORE`. */
async function ask<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (isStrongroomError(cause)) throw cause;
    throw new StrongroomError(
      'ERR_STORE',
      'The DEK store failed; see the cause. Nothing was sealed or opened.',
      {
        cause,
      },
    );
  }
}

function wrongDataKey(): never {
  throw new StrongroomError(
    'ERR_COMMITMENT',
    'The data key that was found is not the one that sealed the record: it was swapped, or the record was moved from ' +
      'another session, tenant or suite. Restore the record or its data key from a backup.',
  );
}
