import { lineageOf } from '../../derived-id.ts';
import type { DekRecord, DekTombstone } from '../../keys/dek-store.ts';
import { mapInSlices } from '../../slices.ts';
import type { StoredRecord } from '../driver.ts';
import { firstTimes, isEarlier } from '../first-times.ts';
import { keyError, subjectError } from '../failure.ts';
import { didsOf, keyProblem } from '../record.ts';
import type { KeyValue } from './database.ts';
import type { Draft } from './draft.ts';
import { encodeElement } from './element.ts';
import { boundKeyOf, decodeJson, itemKeyOf, keyOf, rangeOf, type Bound } from './layout.ts';

/** The row of a session. It changes with every change of the session's records and operations. */
export interface SessionRow {
  readonly id: string;
  readonly subject: string | null;
  /** Sum of the marks of all changes, see marks.ts. */
  readonly generation: number;
  /** Number of the next item. */
  readonly end: number;
  readonly items: number;
  /** Of their values. */
  readonly bytes: number;
  /** No record expires earlier; `null` when none does. */
  readonly expiry: number | null;
  /** No record was born earlier. */
  readonly birth: number | null;
  /** Positions of the oldest operation in the log, and of the next one. */
  readonly oldest: number;
  readonly next: number;
}

/**
 * The row of a new session. A derived session has the subject of its root, which the commit expects unchanged: so
 * all derived sessions get the subject when the root is removed ({@link leaveSubject}). Later ones have that of the others.
 */
export async function newSession(draft: Draft, id: string, presumed?: string): Promise<SessionRow> {
  const root = lineageOf(id)?.root;
  const subject = root === undefined ? null : await subjectOf(draft, root, presumed);
  const empty = { items: 0, bytes: 0, expiry: null, birth: null };
  return { id, subject, generation: 0, end: 0, ...empty, oldest: 0, next: 0 };
}

/** What the process presumes counts only where the root has no row. */
async function subjectOf(draft: Draft, root: string, presumed: string | undefined): Promise<string | null> {
  const known = await draft.readJson<SessionRow>(sessionKeyOf(root));
  if (known !== undefined && known.subject !== null) return known.subject;
  for (const [, value] of await draft.list(rangeOf('tree', root))) {
    const derived = await draft.readJson<SessionRow>(sessionKeyOf(decodeJson(value) as string));
    if (derived !== undefined && derived.subject !== null) return derived.subject;
  }
  return known === undefined ? (presumed ?? null) : null;
}

/** Gives the sessions derived from a removed one its subject, so that they are found by it. */
export async function leaveSubject(draft: Draft, { id, subject }: SessionRow): Promise<void> {
  if (subject === null || lineageOf(id) !== undefined) return;
  for (const [, value] of await draft.list(rangeOf('tree', id))) {
    const derived = decodeJson(value) as string;
    const row = await draft.readJson<SessionRow>(sessionKeyOf(derived));
    if (row?.subject === null) saveSession(draft, derived, row, { ...row, subject });
  }
}

export function sessionKeyOf(sessionId: string): string {
  return keyOf('session', sessionId);
}

const BOUNDS: readonly Bound[] = ['expiry', 'birth'];

/** Writes the row and its entries in the indexes. @param next Absent: the row is removed. */
export function saveSession(
  draft: Draft,
  id: string,
  before: SessionRow | undefined,
  next?: SessionRow,
): void {
  for (const bound of BOUNDS) {
    const [old, time] = [before?.[bound] ?? null, next?.[bound] ?? null];
    if (old !== null && old !== time) draft.remove(boundKeyOf(bound, old, id));
    if (time !== null && old !== time) draft.putJson(boundKeyOf(bound, time, id), id);
  }
  const [owner, subject] = [before?.subject ?? null, next?.subject ?? null];
  if (owner !== null && owner !== subject) draft.remove(keyOf('subject', owner, id));
  if (subject !== null && owner !== subject) draft.putJson(keyOf('subject', subject, id), id);
  const lineage = lineageOf(id);
  if (lineage !== undefined && (before === undefined || next === undefined)) {
    const key = keyOf('tree', lineage.root, id);
    if (next === undefined) draft.remove(key);
    else draft.putJson(key, id);
  }
  if (next === undefined) draft.remove(sessionKeyOf(id));
  else draft.putJson(sessionKeyOf(id), next);
}

/** @throws {@link StrongroomError} `ERR_CONFLICT` when the session is of another subject. */
export function claimed(row: SessionRow, subject: string | undefined): SessionRow {
  if (subject === undefined || row.subject === subject) return row;
  if (row.subject !== null) throw subjectError(row.id);
  return { ...row, subject };
}

/** The row without the removed records; the bounds stay and may be too early. */
export function without(row: SessionRow, going: readonly KeyValue[]): SessionRow {
  const items = row.items - going.length;
  if (items === 0) return emptied(row);
  return { ...row, items, bytes: row.bytes - lengthOf(going.map(([, value]) => value)) };
}

function lengthOf(values: readonly Uint8Array[]): number {
  return values.reduce((sum, { length }) => sum + length, 0);
}

/** The row without any record. */
export function emptied(row: SessionRow): SessionRow {
  return { ...row, items: 0, bytes: 0, expiry: null, birth: null };
}

/** Writes records under the numbers from `first` on, and returns the new row. */
export async function insertRecords(
  draft: Draft,
  row: SessionRow,
  first: number,
  records: readonly StoredRecord[],
): Promise<SessionRow> {
  const values = await mapInSlices(records, encodeElement, 1);
  for (const [index, value] of values.entries()) draft.put(itemKeyOf(row.id, first + index), value);
  const { expiry, birth } = firstTimes(records);
  return {
    ...row,
    items: row.items + values.length,
    bytes: row.bytes + lengthOf(values),
    end: Math.max(row.end, first + values.length),
    expiry: isEarlier(expiry, row.expiry) ? expiry : row.expiry,
    birth: isEarlier(birth, row.birth) ? birth : row.birth,
  };
}

/** A row of the table of data keys. */
export type DekRow = DekRecord | DekTombstone;

export function isDestroyed(row: DekRow): row is DekTombstone {
  return 'destroyedAt' in row;
}

export function dekKeyOf(sessionId: string, did: string): string {
  return keyOf('dek', sessionId, did);
}

/** Keys of the data keys that {@link checkDeks} looks up. */
export function dekKeysOf(sessionId: string, records: readonly StoredRecord[]): string[] {
  return Array.from(didsOf(records), (did) => dekKeyOf(sessionId, did));
}

/**
 * The commit expects the data keys as they were found, so that none is destroyed meanwhile.
 *
 * @throws {@link StrongroomError} `ERR_SHREDDED`, `ERR_KEY_UNKNOWN`.
 */
export async function checkDeks(
  draft: Draft,
  sessionId: string,
  records: readonly StoredRecord[],
): Promise<void> {
  await draft.read(...dekKeysOf(sessionId, records));
  for (const record of records) {
    if (record.did === null || record.wrapped !== null) continue;
    const row = await draft.readJson<DekRow>(dekKeyOf(sessionId, record.did));
    const problem = keyProblem(record, row && { destroyed: isDestroyed(row) });
    if (problem !== undefined) throw keyError(sessionId, problem);
  }
}
