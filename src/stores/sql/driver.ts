import type { Announcements } from '../announcements.ts';
import type { AppendStep } from '../../layer.ts';
import type { ReadReference } from '../../clock.ts';
import type { Batch, Change, StoreDriver, StoredRecord, View } from '../driver.ts';
import { answerOf, MARKS, newMark, type CountedVersion } from '../marks.ts';
import { withoutDid } from '../record.ts';
import { removes } from '../removal.ts';
import { kept, NOTHING, text, type SqlClient, type SqlRow, type SqlRunner } from './client.ts';
import { assertNotHeld, sqlDekStore } from './dek-store.ts';
import type { SqlDialect } from './dialect.ts';
import { insertItems } from './insert-items.ts';
import { assertStands, sqlLeases } from './leases.ts';
import { sqlPurge } from './purge.ts';

/** What {@link sqlDriver} needs besides a database. */
export interface SqlDriverOptions {
  readonly operationLog: number;
  readonly now: () => number;
  readonly ping: () => Promise<void>;
  readonly reference: ReadReference;
  readonly close: () => Promise<void>;
  /** What the database tells of changes by itself, if it does. */
  readonly announcements?: Announcements;
  /** {@link StoreDriver.appendMany}, which each database does in its own way. */
  readonly append: (batches: readonly Batch[]) => Promise<readonly (Error | undefined)[]>;
}

/** A `LIMIT` that is none, in a statement that has one. */
const ALL = Number.MAX_SAFE_INTEGER;

/**
 * {@link StoreDriver} over PostgreSQL, MySQL and MariaDB. Every change locks the row of its session first, so changes
 * of one session happen one after the other, and takes sequence numbers from it: rows of one call are contiguous.
 */
export function sqlDriver(dialect: SqlDialect, runner: SqlRunner, options: SqlDriverOptions): StoreDriver {
  const { operationLog, now } = options;
  const sessions = dialect.table('sessions');
  const items = dialect.table('items');
  const operations = dialect.table('operations');
  const deks = dialect.table('deks');
  const texts = ['i.head', 'i.item', 'i.wrapped'].map((column) => dialect.bytes(column)).join(', ');
  const record = `${texts}, i.body, i.written_at, i.expires_at, i.born_at, d.did`;
  const from = `FROM ${items} i LEFT JOIN ${deks} d ON d.number = i.dek`;
  const tuples = true;
  const readLast = kept(
    `SELECT ${record} ${from} WHERE i.session = (SELECT number FROM ${sessions} WHERE id = ?) ORDER BY i.seq DESC LIMIT ?`,
    { tuples },
  );
  const lookAt = {
    start: kept(`SELECT ${record}, i.seq ${from} WHERE i.session = ? ORDER BY i.seq ASC LIMIT ?`, { tuples }),
    end: kept(`SELECT ${record}, i.seq ${from} WHERE i.session = ? ORDER BY i.seq DESC LIMIT ?`, { tuples }),
  };
  const readVersion = kept(`SELECT generation, next_seq FROM ${sessions} WHERE id = ?`);
  const digestOf = kept(`SELECT digest FROM ${operations} WHERE session = ? AND operation = ?`);
  const deleteItems = kept(`DELETE FROM ${items} WHERE session = ?`);
  const deleteBetween = kept(`DELETE FROM ${items} WHERE session = ? AND seq BETWEEN ? AND ?`);
  const findAfter = kept(`SELECT 1 FROM ${items} WHERE session = ? AND seq > ? LIMIT 1`);
  const deleteOperations = kept(`DELETE FROM ${operations} WHERE session = ?`);
  const deleteSession = kept(`DELETE FROM ${sessions} WHERE number = ?`);
  const deleteLease = kept(`DELETE FROM ${dialect.table('leases')} WHERE name = ?`);
  const destroyDeks = kept(
    `UPDATE ${deks} SET wrapped = NULL, destroyed_at = ? WHERE session = ? AND wrapped IS NOT NULL`,
  );
  const moveOn = kept(`UPDATE ${sessions} SET generation = (generation + ?) % ${MARKS} WHERE number = ?`);
  const lastPosition = kept(`SELECT max(position) AS last FROM ${operations} WHERE session = ?`);
  const logOperation = kept(
    `INSERT INTO ${operations} (session, operation, digest, position) VALUES (?, ?, ?, ?)`,
  );
  const forgetOldest = kept(`DELETE FROM ${operations} WHERE session = ? AND position <= ?`);
  const isApplied = kept(
    `SELECT 1 FROM ${operations} WHERE session = (SELECT number FROM ${sessions} WHERE id = ?) AND operation = ?`,
  );

  async function drop(client: SqlClient, sessionId: string): Promise<void> {
    const { session } = await dialect.reserve(client, { id: sessionId, mark: 0 });
    await assertNotHeld(dialect, client, sessionId);
    await client.query(deleteItems, [session]);
    await client.query(deleteOperations, [session]);
    await client.query(deleteSession, [session]);
    await client.query(deleteLease, [`session ${sessionId}`]);
    await client.query(destroyDeks, [now(), sessionId]);
  }

  async function apply(
    client: SqlClient,
    target: { readonly id: string; readonly session: number; readonly rows: readonly SqlRow[] },
    view: View,
    change: Change,
  ): Promise<void> {
    const { id, session, rows } = target;
    const { remove } = change;
    const stored = new Set(view.records);
    let firstSeq: number | undefined;
    if (remove === 'all') {
      await client.query(deleteItems, [session]);
    } else if (remove !== 'none' && remove.count > 0) {
      const first = seqOf(rows[remove.start]);
      const last = seqOf(rows[remove.start + remove.count - 1]);
      await client.query(deleteBetween, [session, first, last]);
      // What replaces records inside the history takes the numbers that end with theirs. They suffice, or the
      // records were the first ones: numbers can be negative.
      const after = await client.query(findAfter, [session, last]);
      if (after.rows.length > 0) firstSeq = last - change.insert.length + 1;
    }
    if (change.insert.length > 0) {
      const numbers = firstSeq === undefined ? change.insert.length : 0;
      const reserved = await dialect.reserve(
        client,
        { id, mark: change.mark ?? newMark() },
        change.insert,
        numbers,
      );
      firstSeq ??= reserved.firstSeq;
      await insertItems(dialect, client, { id, session, firstSeq }, change.insert, stored);
    }
    if (change.archive !== undefined) {
      const { sessionId, records: archived } = change.archive;
      const archive = await dialect.reserve(client, { id: sessionId, mark: newMark() }, archived);
      await insertItems(dialect, client, { id: sessionId, ...archive }, archived);
    }
    if (change.forgetOperations) await client.query(deleteOperations, [session]);
    if (change.operation !== undefined) await log(client, session, change.operation);
    // What was inserted has moved the version on.
    if (remove !== 'none' && change.insert.length === 0) {
      await client.query(moveOn, [newMark(), session]);
    }
  }

  async function log(
    client: SqlClient,
    session: number,
    operation: { readonly key: string; readonly digest: string },
  ): Promise<void> {
    const { rows } = await client.query(lastPosition, [session]);
    const position = Number(rows[0]?.['last'] ?? 0) + 1;
    await client.query(logOperation, [session, operation.key, operation.digest, position]);
    await client.query(forgetOldest, [session, position - operationLog]);
  }

  return {
    name: dialect.name,

    async read(sessionId, count) {
      const { rows } = await runner.read(readLast, [sessionId, count ?? ALL]);
      return rows.map(toRecord).reverse();
    },

    async append(batch) {
      const [error] = await options.append([batch]);
      if (error !== undefined) throw error;
    },

    appendMany: options.append,

    async change(sessionId, look, decide, subject) {
      await runner.transaction(async (client) => {
        const { session } = await dialect.reserve(client, { id: sessionId, subject, mark: 0 });
        const ascending = look.from === 'start';
        const { rows } =
          look.records === 0
            ? { rows: [] }
            : await client.query(lookAt[look.from ?? 'end'], [
                session,
                look.records === 'all' ? ALL : look.records,
              ]);
        const ordered = ascending ? rows : [...rows].reverse();
        const applied =
          look.operation === undefined
            ? undefined
            : (await client.query(digestOf, [session, look.operation])).rows[0];
        const view: View = {
          records: ordered.map(toRecord),
          ...(applied !== undefined && { operation: text(applied['digest']) }),
        };
        const change = await decide(view);
        if (change === undefined) return NOTHING;
        if (look.fence !== undefined) await assertStands(dialect, client, sessionId, look.fence);
        if (removes(change, view, look.records === 'all')) await assertNotHeld(dialect, client, sessionId);
        if (change.drop) await drop(client, sessionId);
        else await apply(client, { id: sessionId, session, rows: ordered }, view, change);
        return undefined;
      });
    },

    async version(sessionId, since) {
      const { rows } = await runner.read(readVersion, [sessionId]);
      const generation = Number(rows[0]?.['generation'] ?? 0);
      return answerOf({ generation, end: Number(rows[0]?.['next_seq'] ?? 0) }, after, since);
    },

    async applied(sessionId, operationKey) {
      const { rows } = await runner.read(isApplied, [sessionId, operationKey]);
      return rows.length > 0;
    },

    dekStore: sqlDekStore(dialect, runner, now),

    async summaries(after, count, subject) {
      const conditions = [
        ...(after === undefined ? [] : ['s.id > ?']),
        ...(subject === undefined ? [] : ['s.subject = ?']),
        `EXISTS (SELECT 1 FROM ${items} WHERE session = s.number)`,
      ];
      const { rows } = await runner.read(
        `SELECT s.id, s.subject, count(*) AS item_count, min(i.written_at) AS first_at, max(i.written_at) AS last_at,
           sum(coalesce(octet_length(i.item), 0) + coalesce(octet_length(i.body), 0)
             + coalesce(octet_length(i.head), 0) + coalesce(octet_length(i.wrapped), 0)) AS bytes
         FROM (SELECT s.number, s.id, s.subject FROM ${sessions} s WHERE ${conditions.join(' AND ')}
               ORDER BY s.id ${limit(count)}) s
         JOIN ${items} i ON i.session = s.number GROUP BY s.number, s.id, s.subject ORDER BY s.id`,
        [...(after === undefined ? [] : [after]), ...(subject === undefined ? [] : [subject])],
      );
      return rows.map((row) => ({
        id: text(row['id']),
        items: Number(row['item_count']),
        bytes: Number(row['bytes']),
        firstAt: Number(row['first_at']),
        lastAt: Number(row['last_at']),
        ...(row['subject'] !== null && { subject: text(row['subject']) }),
      }));
    },

    ...sqlPurge(dialect, runner),

    leases: sqlLeases(dialect, runner),

    async deleteSession(sessionId) {
      await runner.transaction((client) => drop(client, sessionId));
    },

    ...(options.announcements !== undefined && { announcements: options.announcements }),
    reference: options.reference,
    ping: options.ping,
    close: options.close,
  };
}

/** The version after an append: the generation is the sum of all marks. */
function after({ generation, end }: CountedVersion, { mark, records }: AppendStep): CountedVersion {
  return { generation: (generation + mark) % MARKS, end: end + records };
}

/** Written into the statement: some drivers send numbers as a type that `LIMIT` does not take. */
function limit(count: number | undefined): string {
  return count === undefined ? '' : `LIMIT ${Math.trunc(count)}`;
}

/** @param row A tuple of `record`. */
function toRecord(row: SqlRow): StoredRecord {
  return {
    ...withoutDid(textOrNull(row[0]), textOrNull(row[7])),
    body: row[1] === null ? (row[3] as Uint8Array) : text(row[1]),
    wrapped: textOrNull(row[2]),
    writtenAt: Number(row[4]),
    expiresAt: numberOrNull(row[5]),
    bornAt: numberOrNull(row[6]),
  };
}

function seqOf(row: SqlRow | undefined): number {
  return Number(row?.[8]);
}

function textOrNull(value: unknown): string | null {
  return value === null ? null : text(value);
}

function numberOrNull(value: unknown): number | null {
  return value === null ? null : Number(value);
}
