import type { ReadReference } from '../../clock.ts';
import { isBranch } from '../../derived-id.ts';
import type { Announcements } from '../announcements.ts';
import { appendEach } from '../append-each.ts';
import type { StoreCheckup } from '../checkup.ts';
import type { Batch, StoreDriver, StoredRecord, View } from '../driver.ts';
import { afterAppend, answerOf } from '../marks.ts';
import { withoutDid } from '../record.ts';
import { leavesNothing, removes } from '../removal.ts';
import { damagedBeginningError } from '../shared-parts.ts';
import {
  kept,
  NOTHING,
  text,
  type SqlClient,
  type SqlRow,
  type SqlRunner,
  type Statement,
} from './client.ts';
import { assertNotHeld, derivedHolds, openHold, sqlDekStore } from './dek-store.ts';
import type { SqlDialect } from './dialect.ts';
import { sqlChange } from './change.ts';
import { insertItems } from './insert-items.ts';
import { assertStands, sqlLeases } from './leases.ts';
import { sqlPurge } from './purge.ts';
import { partsOf, TOO_MANY_PARTS } from './shares.ts';
import { sqlSummaries } from './summaries.ts';

/** Options of {@link sqlDriver}. */
export interface SqlDriverOptions {
  readonly operationLog: number;
  readonly now: () => number;
  readonly ping: () => Promise<void>;
  readonly checkup: () => Promise<StoreCheckup>;
  readonly reference: ReadReference;
  readonly close: () => Promise<void>;
  /** Announcements of the database, if it has them. */
  readonly announcements?: Announcements | undefined;
  /** {@link StoreDriver.appendMany}, which differs between databases. */
  readonly append: (batches: readonly Batch[]) => Promise<readonly (Error | undefined)[]>;
}

/** A `LIMIT` without an effect, for a statement that has one. */
const ALL = Number.MAX_SAFE_INTEGER;

/**
 * {@link StoreDriver} over PostgreSQL, MySQL and MariaDB. Every change locks the row of its session first, so changes
 * of one session happen one after the other, and takes sequence numbers from it: rows of one call are contiguous.
 */
export function sqlDriver(dialect: SqlDialect, runner: SqlRunner, options: SqlDriverOptions): StoreDriver {
  const { now } = options;
  const sessions = dialect.table('sessions');
  const items = dialect.table('items');
  const operations = dialect.table('operations');
  const deks = dialect.table('deks');
  const texts = ['i.head', 'i.item', 'i.wrapped'].map((column) => dialect.bytes(column)).join(', ');
  const record = `${texts}, i.body, i.written_at, i.expires_at, i.born_at, d.did`;
  const from = `FROM ${items} i LEFT JOIN ${deks} d ON d.number = i.dek`;
  const tuples = true;
  const last = `SELECT ${record} ${from} WHERE i.session = (SELECT number FROM ${sessions} WHERE id = ?) ORDER BY i.seq DESC LIMIT ?`;
  const readLast = kept(last, { tuples });
  const readPast = kept(`${last} OFFSET ?`, { tuples });
  const lookAt = {
    start: kept(`SELECT ${record}, i.seq ${from} WHERE i.session = ? ORDER BY i.seq ASC LIMIT ?`, { tuples }),
    end: kept(`SELECT ${record}, i.seq ${from} WHERE i.session = ? ORDER BY i.seq DESC LIMIT ?`, { tuples }),
  };
  const ofBranch = sharedHistory(dialect, `${texts}, i.body, i.written_at, i.expires_at, i.born_at, d.did`);
  const readVersion = kept(`SELECT generation, next_seq FROM ${sessions} WHERE id = ?`);
  const digestOf = kept(`SELECT digest FROM ${operations} WHERE session = ? AND operation = ?`);
  const isApplied = kept(
    `SELECT 1 FROM ${operations} WHERE session = (SELECT number FROM ${sessions} WHERE id = ?) AND operation = ?`,
  );

  async function idsWhere(column: 'root' | 'subject', value: string): Promise<string[]> {
    const { rows } = await runner.read(`SELECT id FROM ${sessions} WHERE ${column} = ?`, [value]);
    return rows.map((row) => text(row['id']));
  }

  /** Records that were written for another session come from transfers only, so that the fast statements know none. */
  async function appendAny(batches: readonly Batch[]): Promise<readonly (Error | undefined)[]> {
    const isPlainBatch = ({ records }: Batch): boolean => records.every(({ origin }) => origin === undefined);
    if (batches.every(isPlainBatch)) return options.append(batches);
    return appendEach(batches, async (batch) => {
      const { sessionId: id, records, subject, presumed, mark } = batch;
      await runner.transaction(async (client) => {
        const reservation = await dialect.reserve(client, { id, subject, presumed, mark }, records);
        await insertItems(dialect, client, { id, ...reservation }, records);
      });
    });
  }

  const reader: SqlClient = { query: (statement, values) => runner.read(statement, values) };
  const { drop, apply } = sqlChange(dialect, options);
  return {
    name: dialect.name,

    async read(sessionId, count, skip = 0) {
      if (isBranch(sessionId)) {
        const rows = await ofBranch(reader, sessionId, { by: 'id', value: sessionId, count, skip });
        return rows.map(toRecord).reverse();
      }
      const args = [sessionId, count ?? ALL];
      const { rows } = await (skip === 0
        ? runner.read(readLast, args)
        : runner.read(readPast, [...args, skip]));
      return rows.map(toRecord).reverse();
    },

    async append(batch) {
      const [error] = await appendAny([batch]);
      if (error !== undefined) throw error;
    },

    appendMany: appendAny,

    shares: true,

    async change(sessionId, look, decide, claim) {
      await runner.transaction(async (client) => {
        const { session, isNew } = await dialect.reserve(client, { ...claim, id: sessionId, mark: 0 });
        const ascending = look.from === 'start';
        const count = look.records === 'all' ? undefined : look.records;
        const from = look.from ?? 'end';
        const seen = async (): Promise<readonly SqlRow[]> =>
          isBranch(sessionId)
            ? ofBranch(client, sessionId, { by: 'number', value: session, from, count })
            : (await client.query(lookAt[from], [session, count ?? ALL])).rows;
        const rows = count === 0 ? [] : await seen();
        const ordered = ascending ? rows : [...rows].reverse();
        const applied =
          look.operation === undefined
            ? undefined
            : (await client.query(digestOf, [session, look.operation])).rows[0];
        const view: View = {
          records: ordered.map(toRecord),
          operation: applied && text(applied['digest']),
        };
        const change = await decide(view);
        if (change === undefined) return NOTHING;
        if (look.fence !== undefined) await assertStands(dialect, client, sessionId, look.fence);
        if (removes(change, view, look.records === 'all')) await assertNotHeld(dialect, client, sessionId);
        if (isNew && change.drop !== true && leavesNothing(change)) return NOTHING;
        if (change.drop) await drop(client, sessionId);
        else await apply(client, { id: sessionId, session, rows: ordered }, view, change);
        return undefined;
      });
    },

    async version(sessionId, since) {
      const { rows } = await runner.read(readVersion, [sessionId]);
      const generation = Number(rows[0]?.['generation'] ?? 0);
      return answerOf({ generation, end: Number(rows[0]?.['next_seq'] ?? 0) }, afterAppend, since);
    },

    async applied(sessionId, operationKey) {
      const { rows } = await runner.read(isApplied, [sessionId, operationKey]);
      return rows.length > 0;
    },

    dekStore: sqlDekStore(dialect, runner, now),

    summaries: sqlSummaries(dialect, runner),

    derived: (root) => idsWhere('root', root),

    ofSubject: (subject) => idsWhere('subject', subject),

    heldOf: (sessionIds) => openHold(dialect, reader, sessionIds),

    heldDerived: () => derivedHolds(dialect, reader),

    ...sqlPurge(dialect, runner),

    leases: sqlLeases(dialect, runner),

    async deleteSession(sessionId) {
      await runner.transaction((client) => drop(client, sessionId));
    },

    announcements: options.announcements,
    reference: options.reference,
    ping: options.ping,
    checkup: options.checkup,
    close: options.close,
  };
}

interface SharedRead {
  readonly by: 'id' | 'number';
  readonly value: string | number;
  readonly from?: 'start' | 'end';
  readonly count: number | undefined;
  readonly skip?: number;
}

/** A read of the history of a branch: its parts are of several sessions, and one statement sees one state of them. */
function sharedHistory(
  dialect: SqlDialect,
  record: string,
): (client: SqlClient, sessionId: string, read: SharedRead) => Promise<readonly SqlRow[]> {
  const sessions = dialect.table('sessions');
  const items = dialect.table('items');
  const known = new Map<string, Statement>();
  const statementOf = (by: 'id' | 'number', order: 'ASC' | 'DESC', isBounded: boolean): Statement => {
    const name = `${by} ${order} ${isBounded}`;
    // A long beginning is not read for the few rows that are wanted.
    const rows = isBounded
      ? `CROSS JOIN LATERAL (SELECT * FROM ${items} WHERE session = p.number AND seq <= p.high ORDER BY seq ${order} LIMIT ?) i`
      : `JOIN ${items} i ON i.session = p.number AND i.seq <= p.high`;
    const statement =
      known.get(name) ??
      kept(
        `WITH RECURSIVE ${partsOf(dialect, `${sessions} WHERE ${by} = ?`)}
         SELECT ${record}, i.seq, p.number, coalesce(i.origin, CASE WHEN p.place > 0 THEN o.id END)
         FROM parts p JOIN ${sessions} o ON o.number = p.number ${rows} LEFT JOIN ${dialect.table('deks')} d ON d.number = i.dek
         WHERE NOT EXISTS (${TOO_MANY_PARTS}) ORDER BY i.seq ${order} LIMIT ? OFFSET ?`,
        { tuples: true },
      );
    known.set(name, statement);
    return statement;
  };
  const findTooMany = kept(
    `WITH RECURSIVE ${partsOf(dialect, `${sessions} WHERE id = ?`)} ${TOO_MANY_PARTS}`,
  );
  return async (client, sessionId, { by, value, from = 'end', count, skip = 0 }) => {
    const bounds = dialect.lateral && count !== undefined ? [count + skip] : [];
    const statement = statementOf(by, from === 'start' ? 'ASC' : 'DESC', bounds.length > 0);
    const { rows } = await client.query(statement, [value, ...bounds, count ?? ALL, skip]);
    // A history with too many parts has no rows.
    if (rows.length === 0 && (await client.query(findTooMany, [sessionId])).rows.length > 0)
      throw damagedBeginningError(dialect.name, sessionId);
    return rows;
  };
}

/** @param row A tuple of `record`, of a branch with the number of the item, that of its session, and its origin. */
function toRecord(row: SqlRow): StoredRecord {
  const origin = row[10] ?? null;
  return {
    ...withoutDid(textOrNull(row[0]), textOrNull(row[7])),
    body: row[1] === null ? (row[3] as Uint8Array) : text(row[1]),
    wrapped: textOrNull(row[2]),
    writtenAt: Number(row[4]),
    expiresAt: numberOrNull(row[5]),
    bornAt: numberOrNull(row[6]),
    ...(origin !== null && { origin: text(origin) }),
  };
}

function textOrNull(value: unknown): string | null {
  return value === null ? null : text(value);
}

function numberOrNull(value: unknown): number | null {
  return value === null ? null : Number(value);
}
