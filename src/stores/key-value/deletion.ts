import type { DekTombstone } from '../../keys/dek-store.ts';
import type { Draft } from './draft.ts';
import { assertNotHeld } from './holds.ts';
import { decodeJson, rangeOf } from './layout.ts';
import { leaseKeyOf } from './leases.ts';
import {
  dekKeyOf,
  isDestroyed,
  leaveSubject,
  saveSession,
  sessionKeyOf,
  type DekRow,
  type SessionRow,
} from './session-row.ts';

/** Removes everything of a session; its data keys leave tombstones. @throws {@link StrongroomError} `ERR_HELD`. */
export async function dropSession(draft: Draft, sessionId: string, now: number): Promise<void> {
  await assertNotHeld(draft, sessionId);
  const row = await draft.readJson<SessionRow>(sessionKeyOf(sessionId));
  if (row !== undefined) {
    for (const [key] of await draft.list(rangeOf('item', sessionId))) draft.remove(key);
    await removeSession(draft, row);
  }
  draft.remove(leaseKeyOf(`session ${sessionId}`));
  await destroyDeks(draft, sessionId, now);
}

/** Removes a session that has no records. */
export async function removeSession(draft: Draft, row: SessionRow): Promise<void> {
  await forgetOperations(draft, row);
  await leaveSubject(draft, row);
  saveSession(draft, row.id, row);
}

/** Empties the operation log. */
export async function forgetOperations(draft: Draft, row: SessionRow): Promise<SessionRow> {
  if (row.next === row.oldest) return row;
  for (const range of [rangeOf('operation', row.id), rangeOf('applied', row.id)])
    for (const [key] of await draft.list(range)) draft.remove(key);
  return { ...row, oldest: 0, next: 0 };
}

/** Replaces the data key, if it exists, by a tombstone; returns the tombstone. */
export async function destroyDek(
  draft: Draft,
  sessionId: string,
  did: string,
  now: number,
): Promise<DekTombstone[]> {
  const key = dekKeyOf(sessionId, did);
  const row = await draft.readJson<DekRow>(key);
  return row === undefined ? [] : [destroyed(draft, key, row, now)];
}

/** The same for all data keys of the session. */
export async function destroyDeks(draft: Draft, sessionId: string, now: number): Promise<DekTombstone[]> {
  return (await draft.list(rangeOf('dek', sessionId))).map(([found, value]) => {
    draft.expect(found, value);
    return destroyed(draft, found, decodeJson(value) as DekRow, now);
  });
}

function destroyed(draft: Draft, key: string, row: DekRow, now: number): DekTombstone {
  if (isDestroyed(row)) return row;
  const tombstone: DekTombstone = { sessionId: row.sessionId, did: row.did, destroyedAt: now };
  draft.putJson(key, tombstone);
  return tombstone;
}
