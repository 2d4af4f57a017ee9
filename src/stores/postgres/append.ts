import type { Batch, StoredRecord } from '../driver.ts';
import { shreddedError } from '../failure.ts';
import { firstGeneration } from '../generation.ts';
import { kept, text, type SqlRunner, type SqlValue } from '../sql/client.ts';
import type { SqlDialect } from '../sql/dialect.ts';
import { didsOf } from '../sql/insert-items.ts';

/**
 * Appends in one statement, which is its own transaction: one round trip instead of five. Sessions whose data key
 * was destroyed are left out and reported; the rows of the keys are share-locked, so that none is destroyed meanwhile.
 * One session has statements of its own, without the joins by session, and without the keys where no record names one
 * that is in the table: planned and run in half the time.
 */
export function postgresAppend(
  dialect: SqlDialect,
  runner: SqlRunner,
): (batches: readonly Batch[]) => Promise<readonly (Error | undefined)[]> {
  const deks = dialect.table('deks');
  const insertSessions = `INSERT INTO ${dialect.table('sessions')} AS s (id, subject, next_seq, generation)`;
  const orReserve = `ON CONFLICT (id) DO UPDATE SET next_seq = s.next_seq + excluded.next_seq,
    subject = coalesce(excluded.subject, s.subject)`;
  const insertItems = `INSERT INTO ${dialect.table('items')}
    (session, seq, written_at, expires_at, born_at, dek, head, wrapped, item, body)`;
  const columns = (key: string): string => `r.written_at, r.expires_at, r.born_at, ${key},
    CASE WHEN r.did IS NOT NULL AND ${key} IS NULL THEN r.did || ' ' || r.head ELSE r.head END,
    r.wrapped, r.item, decode(r.body, 'base64')`;
  const unnested = `?::text[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::text[]`;
  const names = 'head, did, written_at, expires_at, born_at, wrapped, item, body';

  const reserveOne = `${insertSessions} SELECT ?::text, ?::text, ?::bigint, ?::bigint`;
  const storeOne = (key: string): string => `${insertItems}
    SELECT v.number, v.next_seq - ?::bigint + r.place - 1, ${columns(key)}
    FROM reserved v CROSS JOIN unnest(${unnested}) WITH ORDINALITY AS r (${names}, place)`;

  const appendOne = kept(`
    WITH reserved AS (${reserveOne} ${orReserve} RETURNING number, next_seq)
    ${storeOne('NULL::bigint')}`);

  const appendWithKeys = kept(`
    WITH keys AS (
      SELECT number, did, wrapped FROM ${deks} WHERE session = ?::text AND did = ANY (?::text[]) FOR SHARE
    ), reserved AS (
      ${reserveOne} WHERE NOT EXISTS (SELECT 1 FROM keys WHERE wrapped IS NULL)
      ${orReserve} RETURNING number, next_seq
    ), stored AS (
      ${storeOne('k.number')} LEFT JOIN keys k ON k.did = r.did AND r.wrapped IS NULL
    )
    SELECT did FROM keys WHERE wrapped IS NULL`);

  const appendMany = kept(`
    WITH batches AS (
      SELECT * FROM unnest(?::text[], ?::text[], ?::bigint[]) AS b (id, subject, items)
    ), records AS (
      SELECT * FROM unnest(?::text[], ?::bigint[], ${unnested}) AS r (id, place, ${names})
    ), keys AS (
      SELECT d.number, d.session, d.did, d.wrapped FROM ${deks} d
      WHERE (d.session, d.did) IN (SELECT id, did FROM records WHERE did IS NOT NULL AND wrapped IS NULL)
      FOR SHARE OF d
    ), refused AS (
      SELECT session, did FROM keys WHERE wrapped IS NULL
    ), reserved AS (
      ${insertSessions}
      SELECT id, subject, items, ? FROM batches WHERE id NOT IN (SELECT session FROM refused) ORDER BY id
      ${orReserve}
      RETURNING number, id, next_seq
    ), stored AS (
      ${insertItems}
      SELECT v.number, v.next_seq - b.items + r.place, ${columns('k.number')}
      FROM records r JOIN reserved v ON v.id = r.id JOIN batches b ON b.id = r.id
      LEFT JOIN keys k ON k.session = r.id AND k.did = r.did AND r.wrapped IS NULL
    )
    SELECT session, did FROM refused`);

  async function one({ sessionId, subject, records }: Batch): Promise<readonly [Error | undefined]> {
    const dids = [...didsOf(records)];
    const values = [
      sessionId,
      subject ?? null,
      records.length,
      firstGeneration(),
      records.length,
      ...arrays(records),
    ];
    const { rows } =
      dids.length === 0
        ? await runner.write(appendOne, values)
        : await runner.write(appendWithKeys, [sessionId, dids, ...values]);
    const [refused] = rows;
    return [refused && shreddedError(sessionId, text(refused['did']))];
  }

  return async (batches) => {
    const [first] = batches;
    if (first !== undefined && batches.length === 1) return await one(first);
    const places = batches.flatMap(({ sessionId, records }) =>
      records.map((_, place) => ({ sessionId, place })),
    );
    const { rows } = await runner.write(appendMany, [
      batches.map(({ sessionId }) => sessionId),
      batches.map(({ subject }) => subject ?? null),
      batches.map(({ records }) => records.length),
      places.map(({ sessionId }) => sessionId),
      places.map(({ place }) => place),
      ...arrays(batches.flatMap(({ records }) => records)),
      firstGeneration(),
    ]);
    const refused = new Map(rows.map((row) => [text(row['session']), text(row['did'])]));
    return batches.map(({ sessionId }) => {
      const did = refused.get(sessionId);
      return did === undefined ? undefined : shreddedError(sessionId, did);
    });
  };
}

/** An array for each column, in the order of the statements; none for nothing but nulls, which `unnest` fills in. */
function arrays(records: readonly StoredRecord[]): SqlValue[] {
  const column = (of: (record: StoredRecord) => string | number | null): SqlValue => {
    const values = records.map(of);
    return values.every((value) => value === null) ? null : values;
  };
  return [
    column(({ head }) => head),
    column(({ did }) => did),
    column(({ writtenAt }) => writtenAt),
    column(({ expiresAt }) => expiresAt),
    column(({ bornAt }) => bornAt),
    column(({ wrapped }) => wrapped),
    column(({ body }) => (typeof body === 'string' ? body : null)),
    column(({ body }) => (typeof body === 'string' ? null : Buffer.from(body).toString('base64'))),
  ];
}
