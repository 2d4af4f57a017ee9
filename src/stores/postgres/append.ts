import { lineageOf } from '../../derived-id.ts';
import type { Batch, StoredRecord } from '../driver.ts';
import { keyError, subjectError } from '../failure.ts';
import { firstTimes } from '../first-times.ts';
import { didsOf, isPlain, neededDids } from '../record.ts';
import { kept, text, type SqlRow, type SqlRunner, type SqlValue } from '../sql/client.ts';
import type { SqlDialect } from '../sql/dialect.ts';
import { insertSessions, ONE_SESSION } from './dialect.ts';

/** The columns of the records, an array each. */
const NAMES = 'head, did, written_at, expires_at, born_at, wrapped, item, body_at, body_size';
const ARRAYS =
  '?::text[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::int[], ?::int[]';

/**
 * Appends in one statement, which is its own transaction: one round trip instead of five. Sessions whose data key
 * was destroyed, and those of another subject, are skipped and reported; the rows of the keys are share-locked, so
 * that none is destroyed meanwhile. One session has statements of its own, without the joins by session; plain
 * items have one without data keys and without the columns that are empty for them. Decision 63 has the
 * measurements.
 */
export function postgresAppend(
  dialect: SqlDialect,
  runner: SqlRunner,
): (batches: readonly Batch[]) => Promise<readonly (Error | undefined)[]> {
  const deks = dialect.table('deks');
  const sessions = dialect.table('sessions');
  const insertItems = `INSERT INTO ${dialect.table('items')}
    (session, seq, written_at, expires_at, born_at, dek, head, wrapped, item, body)`;
  const columns = `r.written_at, r.expires_at, r.born_at, k.number,
    CASE WHEN r.did IS NOT NULL AND k.number IS NULL THEN r.did || ' ' || r.head ELSE r.head END,
    r.wrapped, r.item, substr(?::bytea, r.body_at, r.body_size)`;

  const appendPlain = kept(`
    WITH reserved AS (
      ${insertSessions(sessions, ONE_SESSION)} RETURNING number, next_seq
    )
    INSERT INTO ${dialect.table('items')} (session, seq, written_at, item)
    SELECT v.number, v.next_seq - ?::bigint + r.place - 1, r.written_at, r.item
    FROM reserved v CROSS JOIN unnest(?::bigint[], ?::text[]) WITH ORDINALITY AS r (written_at, item, place)`);

  const appendOne = kept(`
    WITH keys AS (
      SELECT number, did, wrapped FROM ${deks} WHERE session = ?::text AND did = ANY (?::text[]) FOR SHARE
    ), refused AS (
      SELECT did, true AS destroyed FROM keys WHERE wrapped IS NULL UNION ALL
      SELECT did, false FROM unnest(?::text[]) AS n (did) WHERE did NOT IN (SELECT did FROM keys)
    ), reserved AS (
      ${insertSessions(sessions, ONE_SESSION, 'WHERE NOT EXISTS (SELECT 1 FROM refused)')}
      RETURNING number, next_seq
    ), stored AS (
      ${insertItems}
      SELECT v.number, v.next_seq - ?::bigint + r.place - 1, ${columns}
      FROM reserved v CROSS JOIN unnest(${ARRAYS}) WITH ORDINALITY AS r (${NAMES}, place)
      LEFT JOIN keys k ON k.did = r.did AND r.wrapped IS NULL
    )
    SELECT did, destroyed FROM refused UNION ALL
    SELECT NULL, NULL WHERE NOT EXISTS (SELECT 1 FROM refused) AND NOT EXISTS (SELECT 1 FROM reserved)`);

  const appendMany = kept(`
    WITH batches AS (
      SELECT * FROM unnest(?::text[], ?::text[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::text[])
        AS b (id, subject, root, items, mark, expiry, birth, presumed)
    ), records AS (
      SELECT * FROM unnest(?::text[], ?::bigint[], ${ARRAYS}) AS r (id, place, ${NAMES})
    ), keys AS (
      SELECT d.number, d.session, d.did, d.wrapped FROM ${deks} d
      WHERE (d.session, d.did) IN (SELECT id, did FROM records WHERE did IS NOT NULL AND wrapped IS NULL)
      FOR SHARE OF d
    ), refused AS (
      SELECT session, did, true AS destroyed FROM keys WHERE wrapped IS NULL UNION ALL
      SELECT session, did, false FROM unnest(?::text[], ?::text[]) AS n (session, did)
      WHERE (session, did) NOT IN (SELECT session, did FROM keys)
    ), reserved AS (
      ${insertSessions(sessions, 'batches', 'WHERE b.id NOT IN (SELECT session FROM refused) ORDER BY b.id')}
      RETURNING number, id, next_seq
    ), stored AS (
      ${insertItems}
      SELECT v.number, v.next_seq - b.items + r.place, ${columns}
      FROM records r JOIN reserved v ON v.id = r.id JOIN batches b ON b.id = r.id
      LEFT JOIN keys k ON k.session = r.id AND k.did = r.did AND r.wrapped IS NULL
    )
    SELECT session, did, destroyed FROM refused UNION ALL
    SELECT id, NULL, NULL FROM batches
    WHERE id NOT IN (SELECT session FROM refused) AND id NOT IN (SELECT id FROM reserved)`);

  async function one(batch: Batch): Promise<readonly [Error | undefined]> {
    const { sessionId, subject, presumed, records, mark } = batch;
    const { expiry, birth } = firstTimes(records);
    const { length } = records;
    const root = lineageOf(sessionId)?.root ?? null;
    const session = [sessionId, subject ?? null, root, length, mark, expiry, birth, presumed ?? null];
    if (records.every(isPlain)) {
      const { changes } = await runner.write(appendPlain, [
        ...session,
        length,
        records.map(({ writtenAt }) => writtenAt),
        records.map(({ body }) => body as string),
      ]);
      return [changes === length ? undefined : subjectError(sessionId)];
    }
    const dids = [...didsOf(records)];
    const needed = [...neededDids(records)];
    const values = [sessionId, dids, needed, ...session, length, bodies(records), ...arrays(records)];
    const { rows } = await runner.write(appendOne, values);
    const [refused] = rows;
    return [refused && refusalOf(sessionId, refused)];
  }

  return async (batches) => {
    const [first] = batches;
    if (first !== undefined && batches.length === 1) return await one(first);
    const places = batches.flatMap(({ sessionId, records }) =>
      records.map((_, place) => ({ sessionId, place })),
    );
    const needed = batches.flatMap(({ sessionId, records }) =>
      [...neededDids(records)].map((did) => ({ sessionId, did })),
    );
    const firsts = batches.map(({ records }) => firstTimes(records));
    const all = batches.flatMap(({ records }) => records);
    const { rows } = await runner.write(appendMany, [
      batches.map(({ sessionId }) => sessionId),
      batches.map(({ subject }) => subject ?? null),
      batches.map(({ sessionId }) => lineageOf(sessionId)?.root ?? null),
      batches.map(({ records }) => records.length),
      batches.map(({ mark }) => mark),
      firsts.map(({ expiry }) => expiry),
      firsts.map(({ birth }) => birth),
      batches.map(({ presumed }) => presumed ?? null),
      places.map(({ sessionId }) => sessionId),
      places.map(({ place }) => place),
      ...arrays(all),
      needed.map(({ sessionId }) => sessionId),
      needed.map(({ did }) => did),
      bodies(all),
    ]);
    const refused = new Map(rows.map((row) => [text(row['session']), row]));
    return batches.map(({ sessionId }) => {
      const row = refused.get(sessionId);
      return row && refusalOf(sessionId, row);
    });
  };
}

/** @param row The data key that was refused, or none: the session is of another subject. */
function refusalOf(sessionId: string, row: SqlRow): Error {
  if (row['did'] === null) return subjectError(sessionId);
  const problem = row['destroyed'] === true ? 'destroyed' : 'lost';
  return keyError(sessionId, { did: text(row['did']), problem });
}

/** The bytes of all records, one after the other: in an array they would have to be text. */
function bodies(records: readonly StoredRecord[]): Uint8Array {
  return Buffer.concat(records.flatMap(({ body }) => (typeof body === 'string' ? [] : [body])));
}

/** An array for each column, in the order of the statements; none for nothing but nulls, which `unnest` fills in. */
function arrays(records: readonly StoredRecord[]): SqlValue[] {
  const column = (of: (record: StoredRecord) => string | number | null): SqlValue => {
    const values = records.map(of);
    return values.every((value) => value === null) ? null : values;
  };
  let end = 1;
  return [
    column(({ head }) => head),
    column(({ did }) => did),
    column(({ writtenAt }) => writtenAt),
    column(({ expiresAt }) => expiresAt),
    column(({ bornAt }) => bornAt),
    column(({ wrapped }) => wrapped),
    column(({ body }) => (typeof body === 'string' ? body : null)),
    // Where its bytes are in `bodies`, from 1.
    column(({ body }) => (typeof body === 'string' ? null : (end += body.length) - body.length)),
    column(({ body }) => (typeof body === 'string' ? null : body.length)),
  ];
}
