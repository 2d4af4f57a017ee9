import { utf8, toBase64url } from '../../crypto/encoding.ts';
import { sha256 } from '../../crypto/hash.ts';
import type { DekRecord, DekStore } from '../../keys/dek-store.ts';

/*
 * That a session was erased is written where its data keys were, as tombstones of keys that never were: every DEK store keeps
 * those, beside the records or elsewhere, in one form. They hold the id and the time.
 */

/** Erasures of one session have numbers: a tombstone keeps the time when it was made. */
function nameOf(number: number): string {
  return toBase64url(sha256(utf8(`strongroom erasure ${number}`)));
}

/** More erasures of one id than anybody makes. */
const MOST = 1_000;

/** Stands in place of a wrapped key until the tombstone is made of it: no work on keys takes it for one. */
const NO_KEY = 'erased';

export function isKey({ wrapped }: DekRecord): boolean {
  return wrapped !== NO_KEY;
}

export async function buryIn(store: DekStore, sessionId: string, now: number): Promise<void> {
  for (let number = 0; number < MOST; number++) {
    const did = nameOf(number);
    const made = await store.put({ sessionId, did, kid: NO_KEY, wrapped: NO_KEY, createdAt: now });
    const found = made ? undefined : await store.get(sessionId, did);
    // Also where a process died between the two steps.
    if (found === undefined || !('destroyedAt' in found)) return void (await store.destroy(sessionId, did));
  }
}

/** When a session was erased last, in Unix milliseconds; `undefined` if it never was, as far as this store knows. */
export async function erasedAt(store: DekStore, sessionId: string): Promise<number | undefined> {
  let last: number | undefined;
  for (let number = 0; number < MOST; number++) {
    const found = await store.get(sessionId, nameOf(number));
    if (found === undefined || !('destroyedAt' in found)) break;
    last = found.destroyedAt;
  }
  return last;
}
