import type { Batch, StoredRecord } from '../driver.ts';
import { shreddedError } from '../failure.ts';
import type { SqlRunner } from '../sql/client.ts';
import type { SqlDialect } from '../sql/dialect.ts';
import { text } from '../sql/text.ts';

/**
 * Appends in one statement, which is its own transaction: one round trip instead of five. Sessions whose data key
 * was destroyed are left out and reported; the rows of the keys are share-locked, so that none is destroyed meanwhile.
 */
export function postgresAppend(
  dialect: SqlDialect,
  runner: SqlRunner,
  now: () => number,
): (batches: readonly Batch[]) => Promise<readonly (Error | undefined)[]> {
  const statement = `
    WITH batches AS (
      SELECT * FROM unnest(?::text[], ?::text[], ?::bigint[]) AS b (id, subject, items)
    ), records AS (
      SELECT * FROM unnest(?::text[], ?::bigint[], ?::text[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[],
        ?::text[], ?::text[], ?::text[])
        AS r (id, place, head, did, written_at, expires_at, born_at, wrapped, item, body)
    ), keys AS (
      SELECT d.number, d.session, d.did, d.wrapped FROM ${dialect.table('deks')} d
      WHERE (d.session, d.did) IN (SELECT id, did FROM records WHERE did IS NOT NULL AND wrapped IS NULL)
      FOR SHARE OF d
    ), refused AS (
      SELECT session, did FROM keys WHERE wrapped IS NULL
    ), reserved AS (
      INSERT INTO ${dialect.table('sessions')} AS s (id, subject, next_seq, generation)
      SELECT id, subject, items, ? FROM batches WHERE id NOT IN (SELECT session FROM refused) ORDER BY id
      ON CONFLICT (id) DO UPDATE SET next_seq = s.next_seq + excluded.next_seq,
        subject = coalesce(excluded.subject, s.subject)
      RETURNING number, id, next_seq
    ), stored AS (
      INSERT INTO ${dialect.table('items')}
        (session, seq, written_at, expires_at, born_at, dek, head, wrapped, item, body)
      SELECT v.number, v.next_seq - b.items + r.place, r.written_at, r.expires_at, r.born_at, k.number,
        CASE WHEN r.did IS NOT NULL AND k.number IS NULL THEN r.did || ' ' || r.head ELSE r.head END,
        r.wrapped, r.item, decode(r.body, 'base64')
      FROM records r JOIN reserved v ON v.id = r.id JOIN batches b ON b.id = r.id
      LEFT JOIN keys k ON k.session = r.id AND k.did = r.did AND r.wrapped IS NULL
    )
    SELECT session, did FROM refused`;

  return async (batches) => {
    const records = batches.flatMap((batch) =>
      batch.records.map((record, place) => ({ id: batch.sessionId, place, record })),
    );
    const column = <T extends string | number | null>(value: (record: StoredRecord) => T): T[] =>
      records.map(({ record }) => value(record));
    const { rows } = await runner.write(statement, [
      batches.map(({ sessionId }) => sessionId),
      batches.map(({ subject }) => subject ?? null),
      batches.map((batch) => batch.records.length),
      records.map(({ id }) => id),
      records.map(({ place }) => place),
      column(({ head }) => head),
      column(({ did }) => did),
      column(({ writtenAt }) => writtenAt),
      column(({ expiresAt }) => expiresAt),
      column(({ bornAt }) => bornAt),
      column(({ wrapped }) => wrapped),
      column(({ body }) => (typeof body === 'string' ? body : null)),
      column(({ body }) => (typeof body === 'string' ? null : Buffer.from(body).toString('base64'))),
      now(),
    ]);
    const refused = new Map(rows.map((row) => [text(row['session']), text(row['did'])]));
    return batches.map(({ sessionId }) => {
      const did = refused.get(sessionId);
      return did === undefined ? undefined : shreddedError(sessionId, did);
    });
  };
}
