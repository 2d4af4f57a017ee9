import { isStrongroomError } from '../../errors.ts';
import type { Batch } from '../driver.ts';
import { firstGeneration } from '../generation.ts';
import { list, type SqlRunner, type SqlValue } from '../sql/client.ts';
import type { SqlDialect } from '../sql/dialect.ts';
import { CHUNK, didsOf, insertItems, withDid } from '../sql/insert-items.ts';

/** SQLSTATE of an exception that a statement raises itself. */
const REFUSAL = '45000';

/**
 * Appends each batch in a transaction. MariaDB runs a whole one that is sent as one compound statement, which saves
 * four of five round trips; MySQL has that only in stored procedures, which take a right that few users have.
 */
export function mysqlAppend(
  dialect: SqlDialect,
  runner: SqlRunner,
): (batches: readonly Batch[]) => Promise<readonly (Error | undefined)[]> {
  let compound: Promise<boolean> | undefined;
  const hasCompound = (): Promise<boolean> =>
    (compound ??= runner.read('SELECT version() AS version').then(
      ({ rows }) => String(rows[0]?.['version']).includes('MariaDB'),
      (error: unknown) => {
        compound = undefined;
        throw error;
      },
    ));

  async function inSteps({ sessionId: id, records, subject }: Batch): Promise<void> {
    await runner.transaction(async (client) => {
      const reservation = await dialect.reserve(client, { id, subject }, records.length);
      await insertItems(dialect, client, { id, ...reservation }, records);
    });
  }

  async function append(batch: Batch): Promise<void> {
    const dids = didsOf(batch.records);
    if (batch.records.length <= CHUNK && dids.size <= 1 && (await hasCompound())) {
      const [did] = dids;
      const { sql, values } = compoundAppend(dialect, batch, did);
      try {
        await runner.write(sql, values);
        return;
      } catch (error) {
        if (!isRefusal(error)) throw error;
        // The data key is destroyed: the other way finds that too, and says it.
      }
    }
    await inSteps(batch);
  }

  return (batches) =>
    Promise.all(
      batches.map((batch) =>
        append(batch).then(
          () => undefined,
          (error: unknown) => error as Error,
        ),
      ),
    );
}

function isRefusal(error: unknown): boolean {
  const cause = isStrongroomError(error) ? error.cause : error;
  return (cause as { sqlState?: unknown } | undefined)?.sqlState === REFUSAL;
}

/**
 * When it fails inside, its transaction stays open until the connection is rolled back, which the runner does.
 *
 * @param did The one data key that is not in the records.
 */
function compoundAppend(
  dialect: SqlDialect,
  { sessionId, records, subject }: Batch,
  did: string | undefined,
): { readonly sql: string; readonly values: readonly SqlValue[] } {
  const sessions = dialect.table('sessions');
  const count = records.length;
  const owner = subject ?? null;
  const lockDek = `
    SELECT max(number), max(wrapped IS NULL) INTO found_dek, is_destroyed FROM ${dialect.table('deks')}
      WHERE session = ? AND did = ? ${dialect.forShare};
    IF is_destroyed THEN SIGNAL SQLSTATE '${REFUSAL}'; END IF;`;
  const rows = records.map((record, index) => {
    const lookedUp = record.did !== null && record.wrapped === null;
    const [head, dek] = lookedUp ? ['if(found_dek IS NULL, ?, ?)', 'found_dek'] : ['?', 'NULL'];
    return `(in_session, first_seq + ${index}, ${head}, ${dek}, ${list(6)})`;
  });
  const sql = `BEGIN NOT ATOMIC
    DECLARE in_session, first_seq, found_dek, is_destroyed bigint;
    START TRANSACTION;
    UPDATE ${sessions} SET next_seq = next_seq + ?, subject = coalesce(?, subject) WHERE id = ?;
    IF row_count() = 0 THEN
      INSERT INTO ${sessions} (id, subject, next_seq, generation) VALUES (?, ?, ?, ?)
        ON DUPLICATE KEY UPDATE next_seq = next_seq + ?, subject = coalesce(?, subject);
    END IF;
    SELECT number, next_seq - ? INTO in_session, first_seq FROM ${sessions} WHERE id = ?;
    ${did === undefined ? '' : lockDek}
    INSERT INTO ${dialect.table('items')}
      (session, seq, head, dek, written_at, expires_at, born_at, wrapped, item, body) VALUES ${rows.join(', ')};
    COMMIT;
  END`;
  const values: SqlValue[] = [count, owner, sessionId];
  values.push(sessionId, owner, count, firstGeneration(), count, owner);
  values.push(count, sessionId);
  if (did !== undefined) values.push(sessionId, did);
  for (const record of records) {
    if (record.did !== null) values.push(withDid(record));
    if (record.did === null || record.wrapped === null) values.push(record.head);
    values.push(record.writtenAt, record.expiresAt, record.bornAt, record.wrapped);
    values.push(...(typeof record.body === 'string' ? [record.body, null] : [null, record.body]));
  }
  return { sql, values };
}
