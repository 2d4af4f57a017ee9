import type { Session } from '@openai/agents';
import { isBranch, lineageOf } from '../derived-id.ts';
import { StrongroomError } from '../errors.ts';
import type { HoldRecord } from '../keys/dek-store.ts';
import type { CallOrigin } from '../layer.ts';
import { checkCall, originOf, refuseOrigin } from '../protocol/call-origin.ts';
import { digestInSlices, historyDigest } from '../protocol/digest.ts';
import { CALLS, MAINTENANCE, type SessionSummary } from '../session-contract.ts';
import { mapInSlices } from '../slices.ts';
import type { StoredRecord } from '../stores/driver.ts';
import type { Maintenance } from '../stores/maintenance.ts';
import { decodeRecord } from '../stores/record.ts';
import type { Store } from '../stores/store.ts';
import { erasedAt, isKey } from './erasure/tombstones.ts';
import { listed } from './listed.ts';
import { createBeginnings, originsOf, type Beginnings } from './transfer/beginnings.ts';

/** Options of {@link transfer}. */
export interface TransferOptions extends CallOrigin {
  /** Called after each session. */
  readonly onProgress?: (progress: TransferProgress) => void;
  /** Ends the transfer between two sessions: it rejects with the signal's reason, and can be run again. */
  readonly signal?: AbortSignal;
}

/** The progress of a transfer. */
export interface TransferProgress {
  /** The session that was just copied and verified. */
  readonly id: string;
  readonly sessions: number;
  readonly items: number;
}

/** The result of {@link transfer}. */
export interface TransferReport {
  /** Sessions that are now equal in both stores, those of earlier runs included. */
  readonly sessions: number;
  /** Items that this run wrote. Those that a branch shares with its conversation in the target, too, are not written for it. */
  readonly items: number;
  /** Items whose data key was destroyed: they are unreadable, so they are not copied. */
  readonly shredded: number;
  /** How many of the sessions belong to others, by kind. */
  readonly derived: Readonly<Record<string, number>>;
  /**
   * Sessions that were erased in the target, or whose conversation was, after their first item was written: they are
   * not copied.
   */
  readonly erased: readonly string[];
}

const CHUNK = 500;

/**
 * Copies all sessions from one store to another, of the same or another database. Records are copied unchanged:
 * envelopes stay sealed, no key is needed; times, subjects, wrapped data keys and open holds are copied, too. Each
 * session is verified by count and digest. After an interruption run it again: existing records are checked and not
 * written again. Branches come last: where `to` can share records, a branch refers to those that the target has
 * already, and only the others are written.
 *
 * Tombstones of destroyed data keys are not copied, so the new database does not record that a session was
 * shredded: keep no copy of the old one, or repeat the erasures there. A session that was erased in the target, or whose
 * conversation was, is not restored from the source. Stop all writers to both stores: a session that grew after it was read is not
 * equal.
 *
 * @param from A store of strongroom. Of its layers, only those that observe calls, such as `authorize()` and
 * `audit()`, take part: with a call on the store, and one on each session.
 * @param to The same.
 * @throws {@link StrongroomError} `ERR_CONFLICT` when a session of the same id in `to` is not the beginning of the one
 * in `from`, or when the id of an open hold is taken in `to`; `ERR_UNSUPPORTED` when one of them is not a store of strongroom, or when a branch has sealed records of its conversation and `to`
 * cannot share records: run `reencrypt()` first.
 *
 * @example
 * ```ts
 * import { openPostgres } from 'strongroom/postgres';
 * import { openSqlite } from 'strongroom/sqlite';
 * import { transfer } from 'strongroom/transfer';
 *
 * await using from = openSqlite('conversations.db');
 * await using to = openPostgres('postgres://app@127.0.0.1:5432/app');
 * console.log(await transfer(from, to, { onProgress: ({ sessions }) => console.log(sessions) }));
 * ```
 */
export async function transfer<A extends Session, B extends Session>(
  from: Store<A>,
  to: Store<B>,
  options: TransferOptions = {},
): Promise<TransferReport> {
  const origin = originOf(options);
  const above = from?.[CALLS];
  // The same store for both ends is one call.
  const below = Object.is(from, to) ? undefined : to?.[CALLS];
  /** A call on both stores. */
  const onStores = async <T>(work: () => Promise<T>): Promise<T> => {
    const inside = async (): Promise<T> => below?.whole('transfer', origin, work) ?? work();
    return above?.whole('transfer', origin, inside) ?? inside();
  };
  /** A call on the session of both stores; the state that layers hold for the target session is dropped. */
  const onSessions = async <T>(id: string, work: () => Promise<T>): Promise<T> => {
    const inside = async (): Promise<T> => below?.removing(id, 'transfer', origin, work) ?? work();
    return above?.one(id, 'transfer', origin, inside) ?? inside();
  };
  return onStores(async () => {
    checkCall('transfer', options, ['onProgress', 'signal']);
    if (above === undefined && below === undefined) refuseOrigin('transfer', options);
    const source = from?.[MAINTENANCE];
    const target = to?.[MAINTENANCE];
    if (source === undefined || target === undefined) {
      throw new StrongroomError(
        'ERR_UNSUPPORTED',
        'transfer: both stores must be stores of strongroom, such as openSqlite() returns.',
      );
    }
    // Of all sessions: a hold on a session without items applies to later items.
    for (const hold of await source.dekStore.holds.list({ open: true })) await placeHold(target, hold);
    const report = {
      sessions: 0,
      items: 0,
      shredded: 0,
      derived: {} as Record<string, number>,
      erased: [] as string[],
    };
    const copy = async (summary: SessionSummary, beginnings?: Beginnings): Promise<void> => {
      const { id, subject, kind, firstAt } = summary;
      options.signal?.throwIfAborted();
      const erased = await erasedAt(target.dekStore, id);
      if (erased !== undefined && firstAt <= erased) {
        report.erased.push(id);
        return;
      }
      const { items, shredded } = await onSessions(id, async () =>
        transferSession(source, target, { id, subject, beginnings }),
      );
      report.sessions++;
      if (kind !== undefined) report.derived[kind] = (report.derived[kind] ?? 0) + 1;
      report.items += items;
      report.shredded += shredded;
      options.onProgress?.({ id, sessions: report.sessions, items: report.items });
    };
    const isSharing = source.shares && target.shares;
    /** By the session that they belong to. */
    const branches = new Map<string, SessionSummary[]>();
    for await (const summary of listed(from, { derived: 'all' })) {
      const parent = isSharing && isBranch(summary.id) ? lineageOf(summary.id)?.parent : undefined;
      const others = parent === undefined ? undefined : branches.get(parent);
      if (parent === undefined) await copy(summary);
      else if (others === undefined) branches.set(parent, [summary]);
      else others.push(summary);
    }
    for (const [parent, summaries] of branches) {
      const beginnings = createBeginnings();
      // Nothing of a session that was erased comes back, its data keys included.
      if (!report.erased.includes(parent))
        beginnings.add(parent, (await recordsOf(source, target, parent)).records);
      for (const summary of await inOrder(source, summaries)) await copy(summary, beginnings);
    }
    return report;
  });
}

/** @throws {@link StrongroomError} `ERR_CONFLICT` when the session would not be held in the target. */
async function placeHold({ dekStore }: Maintenance, { id, sessionId, ...hold }: HoldRecord): Promise<void> {
  if (await dekStore.holds.place({ id, sessionId, ...hold })) return;
  // An earlier run placed it.
  if ((await dekStore.holds.list({ sessionId, open: true })).some((open) => open.id === id)) return;
  throw new StrongroomError(
    'ERR_CONFLICT',
    `transfer: the hold ${JSON.stringify(id)} on session ${JSON.stringify(sessionId)} cannot be copied, because the target has a hold of this id that was ` +
      'released or is on another session. Place a hold with another id on the session in the source, release this one there, and run the transfer again.',
  );
}

/** Branches after those that they were made from. */
async function inOrder(
  source: Maintenance,
  summaries: readonly SessionSummary[],
): Promise<readonly SessionSummary[]> {
  if (summaries.length === 1) return summaries;
  const origins = new Map<string, number>();
  for (const { id } of summaries) origins.set(id, originsOf(await source.records(id)));
  return summaries.toSorted((one, other) => (origins.get(one.id) ?? 0) - (origins.get(other.id) ?? 0));
}

interface Transferred {
  readonly id: string;
  readonly subject: string | undefined;
  /** Of a branch: what the target has already of its conversation. */
  readonly beginnings: Beginnings | undefined;
}

async function transferSession(
  source: Maintenance,
  target: Maintenance,
  { id, subject, beginnings }: Transferred,
): Promise<{ readonly items: number; readonly shredded: number }> {
  const { records, shredded } = await recordsOf(source, target, id);
  const digest = (list: readonly StoredRecord[]): string =>
    historyDigest(list.map((record) => decodeRecord(record, id)));

  let present = await target.records(id);
  const beginning = present.length === 0 ? beginnings?.find(id, records) : undefined;
  if (beginning !== undefined) {
    const { base, count } = beginning;
    const wanted = records.slice(0, count);
    const wantedDigest = digest(wanted);
    await target.begin(id, base, count, async (found) => {
      if (found.some(({ origin = base }, index) => origin !== wanted[index]?.origin)) return false;
      const items = await mapInSlices(found, (record) => decodeRecord(record, base), 1);
      return (await digestInSlices(items)) === wantedDigest;
    });
    // When the base was changed in the meantime, the branch gets its own records.
    present = await target.records(id);
  }
  if (present.length > records.length || digest(present) !== digest(records.slice(0, present.length))) {
    throw new StrongroomError(
      'ERR_CONFLICT',
      `transfer: the target already has a different session ${JSON.stringify(id)}. Delete it in the target, or exclude it from the transfer.`,
    );
  }
  const missing = records.slice(present.length);
  for (let start = 0; start < missing.length; start += CHUNK) {
    await target.append(id, missing.slice(start, start + CHUNK), subject);
  }
  const written = await target.records(id);
  if (written.length !== records.length || digest(written) !== digest(records)) {
    throw new StrongroomError(
      'ERR_CONFLICT',
      `transfer: session ${JSON.stringify(id)} was changed during the transfer. Stop the writers and run the transfer again.`,
    );
  }
  beginnings?.add(id, records);
  return { items: missing.length, shredded };
}

/** The records of a session that can be read; their data keys are in the target afterwards. */
async function recordsOf(
  source: Maintenance,
  target: Maintenance,
  id: string,
): Promise<{ readonly records: readonly StoredRecord[]; readonly shredded: number }> {
  const all = recordsFor(target, id, await source.records(id));
  const lost = await bringKeys(source, target, id, all);
  const records = all.filter(({ did, wrapped }) => did === null || wrapped !== null || !lost.has(did));
  return { records, shredded: all.length - records.length };
}

/** Without the origins of records, where the target knows none. */
function recordsFor(
  target: Maintenance,
  id: string,
  records: readonly StoredRecord[],
): readonly StoredRecord[] {
  if (target.shares) return records;
  // An envelope can be read in the session that it was written for.
  if (records.some(({ origin, head }) => origin !== undefined && head !== null)) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `transfer: session ${JSON.stringify(id)} shares sealed or stamped records with the conversation that it was branched from, and the target cannot ` +
        'share records. Run reencrypt() over the source first, which gives each branch records of its own, or exclude the branch.',
    );
  }
  return records.map(({ origin: _origin, ...record }) => record);
}

/** @returns Ids of the keys that the source has destroyed. */
async function bringKeys(
  from: Maintenance,
  to: Maintenance,
  id: string,
  records: readonly StoredRecord[],
): Promise<ReadonlySet<string>> {
  const owners = new Map<string, string>();
  for (const { did, origin = id } of records) if (did !== null) owners.set(did, origin);
  // A record that is shared with another session has a data key of that one, which may not be there any more.
  for (const sessionId of new Set([id, ...owners.values()]))
    for await (const record of from.dekStore.list({ sessionId }))
      if (isKey(record)) await to.dekStore.put(record);
  const lost = new Set<string>();
  for (const [did, owner] of owners) {
    const found = await from.dekStore.get(owner, did);
    if (found !== undefined && 'destroyedAt' in found) lost.add(did);
  }
  return lost;
}
