import type { MaybePromise } from '../../layer.ts';
import { lostTurnError } from '../../session-contract.ts';
import { appendEach } from '../append-each.ts';
import type { Batch, Change, Look, StoreDriver, StoredRecord, View } from '../driver.ts';
import { afterAppend, answerOf, movedOn, newMark } from '../marks.ts';
import { leavesNothing, removes } from '../removal.ts';
import type { Database, KeyRange, KeyValue } from './database.ts';
import { dropSession, forgetOperations } from './deletion.ts';
import { attemptOn, Outdated, type Draft } from './draft.ts';
import { decodeElements } from './element.ts';
import { assertNotHeld, heldKeyOf } from './holds.ts';
import { after, appliedKeyOf, decodeJson, itemKeyOf, itemNumberOf, keyOf, rangeOf } from './layout.ts';
import { leaseKeyOf, type LeaseRow } from './leases.ts';
import {
  checkDeks,
  claimed,
  dekKeysOf,
  emptied,
  insertRecords,
  newSession,
  saveSession,
  sessionKeyOf,
  without,
  type SessionRow,
} from './session-row.ts';

interface HistoryOptions {
  readonly operationLog: number;
  readonly now: () => number;
}

/** Records and the operation log of sessions. */
export function keyValueHistory(
  database: Database,
  { operationLog, now }: HistoryOptions,
): Pick<StoreDriver, 'read' | 'append' | 'appendMany' | 'change' | 'version' | 'applied'> {
  const append = (batch: Batch): Promise<void> =>
    attemptOn(database, batch.sessionId, async (draft) => {
      const { sessionId, subject, presumed, records } = batch;
      // In one round trip; the later reads of these keys need none.
      await draft.read(sessionKeyOf(sessionId), ...dekKeysOf(sessionId, records));
      const before = await draft.readJson<SessionRow>(sessionKeyOf(sessionId));
      const row = claimed(before ?? (await newSession(draft, sessionId, presumed)), subject);
      saveSession(draft, sessionId, before, await appended(draft, row, batch));
    });

  return {
    async read(sessionId, count, skip = 0) {
      const page =
        count === undefined || skip === 0 ? undefined : await pageOf(database, sessionId, count, skip);
      if (page !== undefined) return await decodeElements(page);
      const range = rangeOf('item', sessionId);
      const pairs = await database.list(
        count === undefined ? range : { ...range, limit: count + skip, reverse: true },
      );
      const ordered = count === undefined ? pairs : pairs.toReversed();
      return await decodeElements(
        skip === 0 ? ordered : ordered.slice(0, Math.max(ordered.length - skip, 0)),
      );
    },

    append,

    appendMany: (batches) => appendEach(batches, append),

    change: (sessionId, look, decide, { subject, presumed } = {}) =>
      attemptOn(database, sessionId, async (draft) => {
        const seen = await lookAt(draft, sessionId, look);
        const row = claimed(seen.before ?? (await newSession(draft, sessionId, presumed)), subject);
        const change = await decided(draft, () => decide(seen.view));
        if (change === undefined) return;
        if (look.fence !== undefined && seen.owner !== look.fence.owner) throw lostTurnError(sessionId);
        if (removes(change, seen.view, look.records === 'all')) await assertNotHeld(draft, sessionId);
        if (seen.before === undefined && change.drop !== true && leavesNothing(change)) return;
        if (change.drop === true) await dropSession(draft, sessionId, now());
        else {
          const next = await changed(draft, row, seen, change);
          const logged =
            change.operation === undefined
              ? next
              : await logOperation(draft, next, change.operation, operationLog);
          saveSession(draft, sessionId, seen.before, logged);
        }
      }),

    async version(sessionId, since) {
      const [value] = await database.get([sessionKeyOf(sessionId)]);
      const counted = value === undefined ? { generation: 0, end: 0 } : (decodeJson(value) as SessionRow);
      return answerOf(counted, afterAppend, since);
    },

    async applied(sessionId, operationKey) {
      const [value] = await database.get([keyOf('operation', sessionId, operationKey)]);
      return value !== undefined;
    },
  };
}

/**
 * The `count` items before the last `skip`, without reading those: where the numbers of all items follow each other, that
 * of an item tells its position. `undefined` where they do not, or where the history changes meanwhile.
 */
async function pageOf(
  database: Database,
  sessionId: string,
  count: number,
  skip: number,
): Promise<readonly KeyValue[] | undefined> {
  const rowKey = sessionKeyOf(sessionId);
  const [before] = await database.get([rowKey]);
  if (before === undefined) return [];
  const { items, generation } = decodeJson(before) as SessionRow;
  const range = rangeOf('item', sessionId);
  const [[first], [last]] = await Promise.all([
    database.list({ ...range, limit: 1 }),
    database.list({ ...range, limit: 1, reverse: true }),
  ]);
  if (first === undefined || last === undefined) return undefined;
  const [start, end] = [itemNumberOf(first[0]), itemNumberOf(last[0]) + 1];
  if (end - start !== items) return undefined;
  const to = itemKeyOf(sessionId, Math.max(end - skip, start));
  const found = await database.list({ from: range.from, to, limit: count, reverse: true });
  const [now] = await database.get([rowKey]);
  // Every change of the items changes the row.
  if (now === undefined || (decodeJson(now) as SessionRow).generation !== generation) return undefined;
  return found.toReversed();
}

async function appended(
  draft: Draft,
  row: SessionRow,
  { records, mark }: Pick<Batch, 'records' | 'mark'>,
): Promise<SessionRow> {
  await checkDeks(draft, row.id, records);
  const next = { ...row, generation: movedOn(row.generation, mark) };
  return await insertRecords(draft, next, row.end, records);
}

/** The data that a change is decided on. */
interface Seen {
  readonly before: SessionRow | undefined;
  readonly view: View;
  /** The records of the view as they are stored. */
  readonly pairs: readonly KeyValue[];
  readonly range: KeyRange;
  /** The owner of the lease of the fence. */
  readonly owner: string | undefined;
  /** Whether the view begins with the first record of the history. */
  readonly hasStart: boolean;
  /** Whether it ends with the last one. */
  readonly hasEnd: boolean;
}

async function lookAt(draft: Draft, sessionId: string, look: Look): Promise<Seen> {
  const operationKey =
    look.operation === undefined ? undefined : keyOf('operation', sessionId, look.operation);
  const leaseKey = look.fence === undefined ? undefined : leaseKeyOf(look.fence.lease);
  // In one round trip; the later reads of these keys need none.
  await draft.read(
    ...[sessionKeyOf(sessionId), heldKeyOf(sessionId), operationKey, leaseKey].filter(
      (key) => key !== undefined,
    ),
  );
  const before = await draft.readJson<SessionRow>(sessionKeyOf(sessionId));
  const range = rangeOf('item', sessionId);
  const fromEnd = look.from !== 'start';
  const isWhole = look.records === 'all';
  const limit = isWhole ? undefined : look.records;
  // Items without a row were added after the row was read, and the commit fails.
  const isEmpty = before === undefined || limit === 0;
  const found = isEmpty ? [] : await draft.list({ ...range, limit, reverse: fromEnd });
  const pairs = fromEnd ? found.toReversed() : found;
  const operation =
    operationKey === undefined ? undefined : await draft.readJson<{ digest: string }>(operationKey);
  const lease = leaseKey === undefined ? undefined : await draft.readJson<LeaseRow>(leaseKey);
  const records = await decodeElements(pairs);
  const view: View = operation === undefined ? { records } : { records, operation: operation.digest };
  const ends = { hasStart: isWhole || !fromEnd, hasEnd: isWhole || fromEnd };
  return { before, view, pairs, range, owner: lease?.owner, ...ends };
}

/**
 * The records and the operation log were read at different moments. No commit detects that when the decision is an
 * error, so an error is thrown only if both are unchanged.
 */
async function decided(
  draft: Draft,
  decide: () => MaybePromise<Change | undefined>,
): Promise<Change | undefined> {
  try {
    return await decide();
  } catch (error) {
    if (await draft.isCurrent()) throw error;
    throw new Outdated();
  }
}

/** The row after the change, with the records of the change written into the draft. */
async function changed(draft: Draft, row: SessionRow, seen: Seen, change: Change): Promise<SessionRow> {
  const { remove, insert, archive } = change;
  const stored = new Set(seen.view.records);
  // Records that stay may have a destroyed data key.
  await checkDeks(
    draft,
    row.id,
    insert.filter((record) => !stored.has(record)),
  );
  const room = await makeRoom(draft, row, seen, change);
  let next =
    room.records.length === 0 ? room.row : await insertRecords(draft, room.row, room.first, room.records);
  if (remove !== 'none' || insert.length > 0) {
    next = { ...next, generation: movedOn(row.generation, change.mark ?? newMark()) };
  }
  if (archive !== undefined) {
    const before = await draft.readJson<SessionRow>(sessionKeyOf(archive.sessionId));
    const target = before ?? (await newSession(draft, archive.sessionId));
    const mark = newMark();
    saveSession(draft, archive.sessionId, before, await appended(draft, target, { ...archive, mark }));
  }
  if (change.forgetOperations === true) next = await forgetOperations(draft, next);
  return next;
}

interface Room {
  readonly row: SessionRow;
  /** Number of the first record that is inserted. */
  readonly first: number;
  readonly records: readonly StoredRecord[];
}

/** Removes records, and finds the numbers for their replacement. */
async function makeRoom(
  draft: Draft,
  row: SessionRow,
  seen: Seen,
  { remove, insert }: Change,
): Promise<Room> {
  const atEnd = { first: row.end, records: insert };
  if (remove === 'none') return { row, ...atEnd };
  if (remove === 'all') {
    const isSeen = (seen.hasStart && seen.hasEnd) || seen.before === undefined;
    const pairs = isSeen ? seen.pairs : await draft.list(seen.range);
    for (const [key] of pairs) draft.remove(key);
    return { row: emptied(row), ...atEnd };
  }
  const end = remove.start + remove.count;
  const going = seen.pairs.slice(remove.start, end);
  const [lastKey] = going.at(-1) ?? [];
  if (lastKey === undefined) return { row, ...atEnd };
  for (const [key] of going) draft.remove(key);
  const left = without(row, going);
  const beyond = after(seen.range, lastKey);
  const next = seen.hasEnd ? seen.pairs[end] : (await draft.list({ ...beyond, limit: 1 }))[0];
  if (next === undefined) return { row: left, ...atEnd };
  // Replacements inside the history use the numbers that end with the last removed one.
  const first = itemNumberOf(lastKey) - insert.length + 1;
  const isAtStart = remove.start === 0 && seen.hasStart;
  if (isAtStart || insert.length <= going.length) return { row: left, first, records: insert };
  // There are too few numbers in the middle: the later records move with them to the end.
  const tail = seen.hasEnd ? seen.pairs.slice(end) : await draft.list(beyond);
  for (const [key] of tail) draft.remove(key);
  const following = await decodeElements(tail);
  return { row: without(left, tail), first: row.end, records: [...insert, ...following] };
}

/** Writes the operation to the log, and removes the oldest ones from it. */
async function logOperation(
  draft: Draft,
  row: SessionRow,
  { key, digest }: NonNullable<Change['operation']>,
  most: number,
): Promise<SessionRow> {
  draft.putJson(keyOf('operation', row.id, key), { digest });
  draft.putJson(appliedKeyOf(row.id, row.next), key);
  const next = row.next + 1;
  let { oldest } = row;
  for (; next - oldest > most; oldest++) {
    const position = appliedKeyOf(row.id, oldest);
    const forgotten = await draft.readJson<string>(position);
    draft.remove(position);
    if (forgotten !== undefined) draft.remove(keyOf('operation', row.id, forgotten));
  }
  return { ...row, oldest, next };
}
