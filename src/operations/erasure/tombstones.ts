import { ancestorsOf } from '../../derived-id.ts';
import { utf8, toBase64url } from '../../crypto/encoding.ts';
import { sha256 } from '../../crypto/hash.ts';
import type { DekRecord, DekStore, DekTombstone } from '../../keys/dek-store.ts';

/*
 * The erasure of a session is recorded in its DEK store, as tombstones of keys that never existed: every DEK store
 * keeps tombstones, beside the records or elsewhere, in the same form. They hold the id and the time.
 *
 * Before the removal the record is a placeholder, which is no tombstone yet. The removal destroys all data keys of the
 * session, so it makes the tombstone in the same transaction. When the process dies before the removal, or a hold
 * forbids it, the session does not count as erased.
 */

/** Erasures of one session are numbered: a tombstone cannot change its time. */
function nameOf(number: number, detail = ''): string {
  return toBase64url(sha256(utf8(`strongroom erasure ${number}${detail}`)));
}

/** The most erasures of one id that are recorded. */
const MOST = 1_000;

/** The value in place of a wrapped key until the record becomes a tombstone; operations on keys skip it. */
const NO_KEY = 'erased';

export function isKey({ wrapped }: DekRecord): boolean {
  return wrapped !== NO_KEY;
}

/**
 * Announces the erasure of a session, before its removal.
 *
 * @param newest The time of the newest record that goes, by the clock of its writer, which can be ahead.
 */
export async function announceErasure(
  store: DekStore,
  sessionId: string,
  now: number,
  newest: number | undefined,
): Promise<void> {
  const isAhead = newest !== undefined && newest > now;
  for (let number = 0; number < MOST; number++) {
    const did = nameOf(number);
    if (await store.put(placeholder(sessionId, did, now))) {
      if (isAhead) await writeTime(store, sessionId, number, newest);
      return;
    }
    // An interrupted erasure left it. A time can only be added to one of its own: this one can have parts of another.
    if (!isAhead && !isTombstone(await store.get(sessionId, did))) return;
  }
}

/** Makes tombstones of the placeholders that the removal left. */
export async function recordErasure(store: DekStore, sessionId: string): Promise<void> {
  for (let number = 0; number < MOST; number++) {
    const found = await store.get(sessionId, nameOf(number));
    if (found === undefined) return;
    if (!isTombstone(found)) await store.destroy(sessionId, nameOf(number));
  }
}

/** The time of the last erasure of this id, in Unix milliseconds; `undefined` if this store has recorded none. */
export async function ownErasure(store: DekStore, sessionId: string): Promise<number | undefined> {
  let last: number | undefined;
  for (let number = 0; number < MOST; number++) {
    const found = await store.get(sessionId, nameOf(number));
    if (found === undefined) break;
    if (!isTombstone(found)) continue;
    last = Math.max(last ?? 0, found.destroyedAt, await readTime(store, sessionId, number));
  }
  return last;
}

/** The same for the sessions that it was derived from. */
export async function erasureAbove(store: DekStore, sessionId: string): Promise<number | undefined> {
  let last: number | undefined;
  for (const id of ancestorsOf(sessionId)) last = later(last, await ownErasure(store, id));
  return last;
}

/**
 * The time of the last erasure of a session, or of one that it was derived from, in Unix milliseconds; `undefined` if this store
 * has recorded none. What belonged to an erased conversation elsewhere, or later, has no tombstone of its own.
 */
export async function erasedAt(store: DekStore, sessionId: string): Promise<number | undefined> {
  return later(await ownErasure(store, sessionId), await erasureAbove(store, sessionId));
}

function later(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.max(one, other);
}

/*
 * A tombstone has the time of its destruction. Another time is in more tombstones, one for each bit of it that is set:
 * they are found by their names, and nothing else of them stays. The last one says that the others are complete.
 */

const COMPLETE = ' at';
/** Enough for all times of a `Date`. */
const BITS = 53;

function bitOf(bit: number): string {
  return ` at bit ${bit}`;
}

async function writeTime(store: DekStore, sessionId: string, number: number, time: number): Promise<void> {
  const details = Array.from({ length: BITS }, (_, bit) => bit)
    .filter((bit) => Math.floor(time / 2 ** bit) % 2 === 1)
    .map(bitOf);
  for (const detail of [...details, COMPLETE]) {
    const did = nameOf(number, detail);
    await store.put(placeholder(sessionId, did, time));
    await store.destroy(sessionId, did);
  }
}

async function readTime(store: DekStore, sessionId: string, number: number): Promise<number> {
  if (!isTombstone(await store.get(sessionId, nameOf(number, COMPLETE)))) return 0;
  let time = 0;
  for (let bit = 0; bit < BITS; bit++)
    if (isTombstone(await store.get(sessionId, nameOf(number, bitOf(bit))))) time += 2 ** bit;
  return time;
}

function placeholder(sessionId: string, did: string, createdAt: number): DekRecord {
  return { sessionId, did, kid: NO_KEY, wrapped: NO_KEY, createdAt };
}

function isTombstone(found: DekRecord | DekTombstone | undefined): found is DekTombstone {
  return found !== undefined && 'destroyedAt' in found;
}
