import type { StoredRecord } from '../driver.ts';
import { keyError } from '../failure.ts';
import { didsOf, keyProblem, withDid } from '../record.ts';
import { list, text, type SqlClient, type SqlValue } from './client.ts';
import type { Reservation, SqlDialect } from './dialect.ts';

/** Rows in one `INSERT`. */
export const CHUNK = 500;

/**
 * Writes records under numbers that were reserved, in the transaction that reserved them.
 *
 * @param stored Records that were in this history already: their data key may be destroyed.
 */
export async function insertItems(
  dialect: SqlDialect,
  client: SqlClient,
  { id, session, firstSeq }: Omit<Reservation, 'isNew'> & { readonly id: string },
  records: readonly StoredRecord[],
  stored?: ReadonlySet<StoredRecord>,
): Promise<void> {
  const keys = await lockDeks(dialect, client, id, records);
  const hasOrigins = records.some(({ origin }) => origin !== undefined);
  const columns = `session, seq, head, dek, written_at, expires_at, born_at, wrapped, item, body${hasOrigins ? ', origin' : ''}`;
  for (let start = 0; start < records.length; start += CHUNK) {
    const chunk = records.slice(start, start + CHUNK);
    const values: SqlValue[] = [];
    for (const [index, record] of chunk.entries()) {
      const key =
        record.wrapped === null && record.did !== null
          ? keys.get(nameOf(record.did, record.origin))
          : undefined;
      const problem = record.wrapped === null ? keyProblem(record, key) : undefined;
      if (problem !== undefined && !stored?.has(record)) throw keyError(id, problem);
      const body = typeof record.body === 'string' ? [record.body, null] : [null, record.body];
      values.push(
        session,
        firstSeq + start + index,
        record.did !== null && key === undefined ? withDid(record) : record.head,
        key?.number ?? null,
        record.writtenAt,
        record.expiresAt,
        record.bornAt,
        record.wrapped,
        ...body,
        ...(hasOrigins ? [record.origin ?? null] : []),
      );
    }
    await client.query(
      `INSERT INTO ${dialect.table('items')}
         (${columns})
       VALUES ${chunk.map(() => `(${list(hasOrigins ? 11 : 10)})`).join(', ')}`,
      values,
    );
  }
}

/** A data key, of the session of the items or of the one that they were written for. */
function nameOf(did: string, origin: string | undefined): string {
  return origin === undefined ? did : `${did} ${origin}`;
}

async function lockDeks(
  dialect: SqlDialect,
  client: SqlClient,
  sessionId: string,
  records: readonly StoredRecord[],
): Promise<ReadonlyMap<string, { readonly number: number; readonly destroyed: boolean }>> {
  const keys = new Map<string, { readonly number: number; readonly destroyed: boolean }>();
  for (const origin of new Set(records.map((record) => record.origin))) {
    const dids = didsOf(records.filter((record) => record.origin === origin));
    if (dids.size === 0) continue;
    const { rows } = await client.query(
      `SELECT number, did, wrapped IS NULL AS destroyed FROM ${dialect.table('deks')}
       WHERE session = ? AND did IN (${list(dids.size)}) ${dialect.forShare}`,
      [origin ?? sessionId, ...dids],
    );
    for (const row of rows) {
      const key = { number: Number(row['number']), destroyed: Boolean(row['destroyed']) };
      keys.set(nameOf(text(row['did']), origin), key);
    }
  }
  return keys;
}
