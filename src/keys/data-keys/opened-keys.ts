import { boundedMap } from '../../bounded-map.ts';
import type { DerivedKeys } from '../../crypto/derive.ts';
import type { DekStore } from '../dek-store.ts';
import type { DataKey, DataKeyLimits, KeyRow } from './types.ts';

/** An opened data key in memory. */
export interface OpenedKey extends DataKey {
  readonly sessionId: string;
  /** Its wrapped form. */
  readonly wrapped: string;
  readonly openOnly: boolean;
  /** When it was loaded from its store and unwrapped, in Unix milliseconds of the stack's clock. */
  readonly loadedAt: number;
  /** When its store was last known to hold it. */
  presentAt: number;
  readonly usage: Usage;
  users: number;
  evicted: boolean;
  wiped: boolean;
}

/** The usage that counts towards the limits of a data key. */
export interface Usage {
  /** Unix milliseconds. */
  readonly bornAt: number;
  messages: number;
  bytes: number;
}

/** Opened data keys by name, overwritten when they are evicted and no caller uses them. */
export interface OpenedKeys {
  /** The key, unless it has been kept for `cacheFor`. */
  find(name: string, now: number): OpenedKey | undefined;
  readonly add: (name: string, key: OpenedKey) => void;
  readonly delete: (name: string) => void;
  /** All of a session, or one of them. */
  forget(sessionId: string, did?: string): void;
}

export function createOpenedKeys(limits: Pick<DataKeyLimits, 'cacheFor' | 'maxCached'>): OpenedKeys {
  const keys = boundedMap<OpenedKey>(limits.maxCached, (key) => {
    key.evicted = true;
    if (key.users === 0) wipe(key);
  });
  return {
    find(name, now) {
      const key = keys.get(name);
      if (key === undefined || isWithin(now - key.loadedAt, limits.cacheFor)) return key;
      keys.delete(name);
      return undefined;
    },
    add: keys.set,
    delete: keys.delete,
    forget(sessionId, did) {
      keys.deleteWhere((key) => key.sessionId === sessionId && (did === undefined || key.did === did));
    },
  };
}

/** An opened key without a user yet. */
export function openedKey(given: {
  readonly did: string;
  readonly kid: string;
  readonly derived: DerivedKeys;
  readonly place: DekStore | 'inline';
  readonly wrapped: string;
  readonly row?: KeyRow | undefined;
  readonly sessionId: string;
  readonly openOnly: boolean;
  readonly now: number;
  readonly usage: Usage;
}): OpenedKey {
  const { now, row, ...key } = given;
  return {
    ...key,
    row,
    inline: key.place === 'inline' ? key.wrapped : undefined,
    loadedAt: now,
    presentAt: now,
    users: 0,
    evicted: false,
    wiped: false,
  };
}

export function used(key: OpenedKey): OpenedKey {
  key.users++;
  return key;
}

export function release(key: OpenedKey): void {
  key.users--;
  if (key.evicted && key.users === 0) wipe(key);
}

/** A negative age means that the clock was set back. */
export function isWithin(age: number, limit: number): boolean {
  return age >= 0 && age < limit;
}

function wipe(key: OpenedKey): void {
  key.wiped = true;
  key.derived.wipe();
}
