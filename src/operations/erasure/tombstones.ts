import { ancestorsOf } from '../../derived-id.ts';
import { utf8, toBase64url } from '../../crypto/encoding.ts';
import { sha256 } from '../../crypto/hash.ts';
import type { DekRecord, DekStore } from '../../keys/dek-store.ts';

/*
 * The erasure of a session is recorded in its DEK store, as tombstones of keys that never existed: every DEK store
 * keeps tombstones, beside the records or elsewhere, in the same form. They hold the id and the time.
 */

/** Erasures of one session are numbered: a tombstone cannot change its time. */
function nameOf(number: number): string {
  return toBase64url(sha256(utf8(`strongroom erasure ${number}`)));
}

/** The most erasures of one id that are recorded. */
const MOST = 1_000;

/** The value in place of a wrapped key until the record becomes a tombstone; operations on keys skip it. */
const NO_KEY = 'erased';

export function isKey({ wrapped }: DekRecord): boolean {
  return wrapped !== NO_KEY;
}

export async function buryIn(store: DekStore, sessionId: string, now: number): Promise<void> {
  for (let number = 0; number < MOST; number++) {
    const did = nameOf(number);
    const made = await store.put({ sessionId, did, kid: NO_KEY, wrapped: NO_KEY, createdAt: now });
    const found = made ? undefined : await store.get(sessionId, did);
    // Also if a process died between `put` and `destroy`.
    if (found === undefined || !('destroyedAt' in found)) return void (await store.destroy(sessionId, did));
  }
}

/**
 * The time of the last erasure of a session, or of one that it was derived from, in Unix milliseconds; `undefined` if this store
 * has recorded none. What belonged to an erased conversation elsewhere, or later, has no tombstone of its own.
 */
export async function erasedAt(store: DekStore, sessionId: string): Promise<number | undefined> {
  let last: number | undefined;
  for (const id of [sessionId, ...ancestorsOf(sessionId)]) {
    const at = await lastErasure(store, id);
    if (at !== undefined && at >= (last ?? at)) last = at;
  }
  return last;
}

async function lastErasure(store: DekStore, sessionId: string): Promise<number | undefined> {
  let last: number | undefined;
  for (let number = 0; number < MOST; number++) {
    const found = await store.get(sessionId, nameOf(number));
    if (found === undefined || !('destroyedAt' in found)) break;
    last = found.destroyedAt;
  }
  return last;
}
