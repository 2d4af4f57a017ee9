import type { Batch, Change, StoreDriver, StoredRecord, View } from '../driver.ts';
import { shreddedError } from '../failure.ts';
import { NOTHING, type SqlClient, type SqlRow, type SqlRunner, type SqlValue } from './client.ts';
import { assertNotHeld, isHeld, sqlDekStore } from './dek-store.ts';
import type { SqlDialect } from './dialect.ts';
import { sqlLeases } from './leases.ts';
import { text } from './text.ts';

/** What {@link sqlDriver} needs besides a database. */
export interface SqlDriverOptions {
  readonly operationLog: number;
  readonly now: () => number;
  readonly ping: () => Promise<void>;
  readonly close: () => Promise<void>;
  /** A faster way to append than a transaction of several statements, if the database has one. */
  readonly append?: (batches: readonly Batch[]) => Promise<readonly (Error | undefined)[]>;
}

/** Rows in one `INSERT`. */
const CHUNK = 500;

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
  // Holds are few: a list beats a look-up for each record.
  const notHeld = `session NOT IN (SELECT s.number FROM ${sessions} s JOIN ${dialect.table('holds')} h
    ON h.session = s.id WHERE h.released_at IS NULL)`;
  const records = `SELECT i.session, i.seq, i.head, i.item, i.body, i.wrapped, i.written_at, i.expires_at, i.born_at, d.did
    FROM ${items} i LEFT JOIN ${deks} d ON d.number = i.dek`;

  async function insert(
    client: SqlClient,
    sessionId: string,
    session: number,
    firstSeq: number,
    inserted: readonly StoredRecord[],
    stored?: ReadonlySet<StoredRecord>,
  ): Promise<void> {
    const keys = await lockDeks(client, sessionId, inserted);
    for (let start = 0; start < inserted.length; start += CHUNK) {
      const chunk = inserted.slice(start, start + CHUNK);
      const values: SqlValue[] = [];
      for (const [index, record] of chunk.entries()) {
        const key = record.wrapped === null && record.did !== null ? keys.get(record.did) : undefined;
        if (key?.destroyed && !stored?.has(record)) throw shreddedError(sessionId, record.did as string);
        const text = typeof record.body === 'string';
        values.push(
          session,
          firstSeq + start + index,
          record.did !== null && key === undefined ? `${record.did} ${record.head}` : record.head,
          key?.number ?? null,
          record.writtenAt,
          record.expiresAt,
          record.bornAt,
          record.wrapped,
          text ? record.body : null,
          text ? null : record.body,
        );
      }
      await client.query(
        `INSERT INTO ${items} (session, seq, head, dek, written_at, expires_at, born_at, wrapped, item, body)
         VALUES ${chunk.map(() => `(${list(10)})`).join(', ')}`,
        values,
      );
    }
  }

  async function lockDeks(
    client: SqlClient,
    sessionId: string,
    inserted: readonly StoredRecord[],
  ): Promise<ReadonlyMap<string, { readonly number: number; readonly destroyed: boolean }>> {
    const dids = new Set<string>();
    for (const { did, wrapped } of inserted) if (did !== null && wrapped === null) dids.add(did);
    if (dids.size === 0) return new Map();
    const { rows } = await client.query(
      `SELECT number, did, wrapped IS NULL AS destroyed FROM ${deks}
       WHERE session = ? AND did IN (${list(dids.size)}) ${dialect.forShare}`,
      [sessionId, ...dids],
    );
    return new Map(
      rows.map((row) => [
        text(row['did']),
        { number: Number(row['number']), destroyed: Boolean(row['destroyed']) },
      ]),
    );
  }

  async function append({ sessionId, records: appended, subject }: Batch): Promise<void> {
    await runner.transaction(async (client) => {
      const owner = { id: sessionId, subject };
      const { session, firstSeq } = await dialect.reserve(client, owner, appended.length, now());
      await insert(client, sessionId, session, firstSeq, appended);
    });
  }

  const appendMany =
    options.append ??
    ((batches: readonly Batch[]) =>
      Promise.all(
        batches.map((batch) =>
          append(batch).then(
            () => undefined,
            (error: unknown) => error as Error,
          ),
        ),
      ));

  async function drop(client: SqlClient, sessionId: string): Promise<void> {
    const { session } = await dialect.reserve(client, { id: sessionId }, 0, now());
    await assertNotHeld(dialect, client, sessionId);
    await client.query(`DELETE FROM ${items} WHERE session = ?`, [session]);
    await client.query(`DELETE FROM ${operations} WHERE session = ?`, [session]);
    await client.query(`DELETE FROM ${sessions} WHERE number = ?`, [session]);
    await client.query(
      `UPDATE ${deks} SET wrapped = NULL, destroyed_at = ? WHERE session = ? AND wrapped IS NOT NULL`,
      [now(), sessionId],
    );
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
      await client.query(`DELETE FROM ${items} WHERE session = ?`, [session]);
    } else if (remove !== 'none' && remove.count > 0) {
      const first = Number(rows[remove.start]?.['seq']);
      const last = Number(rows[remove.start + remove.count - 1]?.['seq']);
      await client.query(`DELETE FROM ${items} WHERE session = ? AND seq BETWEEN ? AND ?`, [
        session,
        first,
        last,
      ]);
      // What replaces records inside the history takes the numbers that end with theirs. They suffice, or the
      // records were the first ones: numbers can be negative.
      const after = await client.query(`SELECT 1 FROM ${items} WHERE session = ? AND seq > ? LIMIT 1`, [
        session,
        last,
      ]);
      if (after.rows.length > 0) firstSeq = last - change.insert.length + 1;
    }
    if (change.insert.length > 0) {
      firstSeq ??= (await dialect.reserve(client, { id }, change.insert.length, now())).firstSeq;
      await insert(client, id, session, firstSeq, change.insert, stored);
    }
    if (change.archive !== undefined) {
      const { sessionId, records: archived } = change.archive;
      const archive = await dialect.reserve(client, { id: sessionId }, archived.length, now());
      await insert(client, sessionId, archive.session, archive.firstSeq, archived);
    }
    if (change.forgetOperations) await client.query(`DELETE FROM ${operations} WHERE session = ?`, [session]);
    if (change.operation !== undefined) await log(client, session, change.operation);
    if (remove !== 'none') {
      await client.query(`UPDATE ${sessions} SET generation = generation + 1 WHERE number = ?`, [session]);
    }
  }

  async function log(
    client: SqlClient,
    session: number,
    operation: { readonly key: string; readonly digest: string },
  ): Promise<void> {
    const { rows } = await client.query(`SELECT max(position) AS last FROM ${operations} WHERE session = ?`, [
      session,
    ]);
    const position = Number(rows[0]?.['last'] ?? 0) + 1;
    await client.query(
      `INSERT INTO ${operations} (session, operation, digest, position) VALUES (?, ?, ?, ?)`,
      [session, operation.key, operation.digest, position],
    );
    await client.query(`DELETE FROM ${operations} WHERE session = ? AND position <= ?`, [
      session,
      position - operationLog,
    ]);
  }

  return {
    name: dialect.name,

    async read(sessionId, count) {
      const { rows } = await runner.read(
        `${records} WHERE i.session = (SELECT number FROM ${sessions} WHERE id = ?)
         ORDER BY i.seq DESC ${limit(count)}`,
        [sessionId],
      );
      return rows.map(toRecord).reverse();
    },

    async append(sessionId, appended, subject) {
      const batch = { sessionId, records: appended, ...(subject !== undefined && { subject }) };
      if (options.append === undefined) {
        await append(batch);
        return;
      }
      const [error] = await options.append([batch]);
      if (error !== undefined) throw error;
    },

    appendMany,

    async change(sessionId, look, decide, subject) {
      await runner.transaction(async (client) => {
        const { session } = await dialect.reserve(client, { id: sessionId, subject }, 0, now());
        const ascending = look.from === 'start';
        const { rows } =
          look.records === 0
            ? { rows: [] }
            : await client.query(
                `${records} WHERE i.session = ? ORDER BY i.seq ${ascending ? 'ASC' : 'DESC'}
                 ${limit(look.records === 'all' ? undefined : look.records)}`,
                [session],
              );
        const ordered = ascending ? rows : [...rows].reverse();
        const applied =
          look.operation === undefined
            ? undefined
            : (
                await client.query(`SELECT digest FROM ${operations} WHERE session = ? AND operation = ?`, [
                  session,
                  look.operation,
                ])
              ).rows[0];
        const view: View = {
          records: ordered.map(toRecord),
          ...(applied !== undefined && { operation: text(applied['digest']) }),
        };
        const change = decide(view);
        if (change === undefined) return NOTHING;
        if (change.drop) await drop(client, sessionId);
        else await apply(client, { id: sessionId, session, rows: ordered }, view, change);
        return undefined;
      });
    },

    async applied(sessionId, operationKey) {
      const { rows } = await runner.read(
        `SELECT 1 FROM ${operations} WHERE session = (SELECT number FROM ${sessions} WHERE id = ?) AND operation = ?`,
        [sessionId, operationKey],
      );
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

    async purge(expired, batch) {
      const conditions: [string, number][] = [['expires_at <= ?', expired.now]];
      if (expired.writtenBefore !== undefined) {
        conditions.push([`${dialect.birth} <= ?`, expired.writtenBefore]);
      }
      const purged: string[] = [];
      for (const [condition, time] of conditions) {
        const room = batch - purged.length;
        if (room === 0) break;
        const found = await runner.read(
          `SELECT session, seq FROM ${items} WHERE ${condition} AND ${notHeld} ${limit(room)}`,
          [time],
        );
        purged.push(...(await purgeRows(found.rows, condition, time)));
        if (found.rows.length === room) return { sessions: purged, more: true };
      }
      return { sessions: purged, more: false };
    },

    async expired({ now: at, writtenBefore }) {
      const policy = writtenBefore === undefined ? '' : `OR ${dialect.birth} <= ?`;
      const { rows } = await runner.read(
        `SELECT s.id, count(*) AS item_count FROM ${items} i JOIN ${sessions} s ON s.number = i.session
         WHERE (expires_at <= ? ${policy}) AND ${notHeld} GROUP BY s.number, s.id`,
        writtenBefore === undefined ? [at] : [at, writtenBefore],
      );
      return rows.map((row) => ({ id: text(row['id']), items: Number(row['item_count']) }));
    },

    leases: sqlLeases(dialect, runner),

    async deleteSession(sessionId) {
      await runner.transaction((client) => drop(client, sessionId));
    },

    ping: options.ping,
    close: options.close,
  };

  /**
   * The sessions are locked before their rows are touched, as by every other change: no deadlock, and a session that
   * gets an item meanwhile is not taken for an empty one.
   */
  async function purgeRows(found: readonly SqlRow[], condition: string, time: number): Promise<string[]> {
    const numbers = [...new Set(found.map((row) => Number(row['session'])))];
    if (numbers.length === 0) return [];
    return await runner.transaction(async (client) => {
      const locked = await client.query(
        `SELECT number, id FROM ${sessions} WHERE number IN (${list(numbers.length)}) ORDER BY number FOR UPDATE`,
        numbers,
      );
      const purged: string[] = [];
      for (const row of locked.rows) {
        const session = Number(row['number']);
        if (await isHeld(dialect, client, text(row['id']))) continue;
        const seqs = found
          .filter((item) => Number(item['session']) === session)
          .map((item) => Number(item['seq']));
        const { changes } = await client.query(
          `DELETE FROM ${items} WHERE session = ? AND seq IN (${list(seqs.length)}) AND ${condition}`,
          [session, ...seqs, time],
        );
        if (changes === 0) continue;
        for (let count = 0; count < changes; count++) purged.push(text(row['id']));
        const rest = await client.query(`SELECT 1 FROM ${items} WHERE session = ? LIMIT 1`, [session]);
        if (rest.rows.length > 0) {
          await client.query(`UPDATE ${sessions} SET generation = generation + 1 WHERE number = ?`, [
            session,
          ]);
        } else {
          await client.query(`DELETE FROM ${operations} WHERE session = ?`, [session]);
          await client.query(`DELETE FROM ${sessions} WHERE number = ?`, [session]);
        }
      }
      return purged;
    });
  }
}

function list(count: number): string {
  return Array.from({ length: count }, () => '?').join(', ');
}

/** Written into the statement: some drivers send numbers as a type that `LIMIT` does not take. */
function limit(count: number | undefined): string {
  return count === undefined ? '' : `LIMIT ${Math.trunc(count)}`;
}

function toRecord(row: SqlRow): StoredRecord {
  let head = row['head'] === null ? null : text(row['head']);
  let did = row['did'] === null ? null : text(row['did']);
  if (head !== null && head[0] !== '{' && head[43] === ' ') {
    did = head.slice(0, 43);
    head = head.slice(44);
  }
  const time = (value: unknown): number | null => (value === null ? null : Number(value));
  return {
    head,
    did,
    body: row['item'] === null ? (row['body'] as Uint8Array) : text(row['item']),
    wrapped: row['wrapped'] === null ? null : text(row['wrapped']),
    writtenAt: Number(row['written_at']),
    expiresAt: time(row['expires_at']),
    bornAt: time(row['born_at']),
  };
}
