import { isReserved } from '../../derived-id.ts';
import { isStrongroomError } from '../../errors.ts';
import { appendEach } from '../append-each.ts';
import type { Batch } from '../driver.ts';
import { saying } from '../failure.ts';
import { firstTimes } from '../first-times.ts';
import { MARKS } from '../marks.ts';
import { didsOf, neededDids, withDid } from '../record.ts';
import {
  kept,
  list,
  type KeptStatement,
  type SqlRunner,
  type SqlValue,
  type Statement,
} from '../sql/client.ts';
import type { SqlDialect } from '../sql/dialect.ts';
import { CHUNK, insertItems } from '../sql/insert-items.ts';
import { LOWER_BOUNDS } from './dialect.ts';

/** SQLSTATE of an exception that a statement raises itself. */
const REFUSAL = '45000';

/** A statement is prepared for each number of records up to this one: a turn of a conversation is a few. */
const MOST_KEPT = 16;

/**
 * Appends each batch in a transaction. MariaDB runs a whole transaction as one compound statement, which saves four
 * of five round trips; MySQL allows that only in stored procedures, which need a permission that few users have.
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
  const known = new Map<string, KeptStatement>();

  function statementOf(shape: Shape, count: number): Statement {
    if (count > MOST_KEPT) return compoundAppend(dialect, shape, count);
    const key = `${shape} ${count}`;
    let statement = known.get(key);
    if (statement === undefined) known.set(key, (statement = kept(compoundAppend(dialect, shape, count))));
    return statement;
  }

  async function inSteps({ sessionId: id, records, subject, presumed, mark }: Batch): Promise<void> {
    await runner.transaction(async (client) => {
      const reservation = await dialect.reserve(client, { id, subject, presumed, mark }, records);
      await insertItems(dialect, client, { id, ...reservation }, records);
    });
  }

  async function append(batch: Batch): Promise<void> {
    const { records } = batch;
    const dids = didsOf(records);
    if (
      records.length > 0 &&
      records.length <= CHUNK &&
      dids.size <= 1 &&
      (await saying('no', hasCompound))
    ) {
      const [did] = dids;
      const shape = did === undefined ? 'any' : 'keyed';
      try {
        await runner.write(statementOf(shape, records.length), valuesOf(shape, batch, did));
        return;
      } catch (error) {
        if (!isRefusal(error)) throw error;
        // The data key is destroyed or lost, or the subject differs: the append in steps detects that too, and
        // throws the error. Or the session is a new derived one, whose subject it finds.
      }
    }
    await inSteps(batch);
  }

  return (batches) => appendEach(batches, append);
}

function isRefusal(error: unknown): boolean {
  const cause = isStrongroomError(error) ? error.cause : error;
  return (cause as { sqlState?: unknown } | undefined)?.sqlState === REFUSAL;
}

/** With `keyed` records a data key is looked up, in the table, and locked. */
type Shape = 'keyed' | 'any';

/**
 * When it fails inside, its transaction stays open until the connection is rolled back, which the runner does. User
 * variables pass on the session's number and position from the update that locks it: a `SELECT … FOR UPDATE` before
 * it would take as long as the update.
 */
function compoundAppend(dialect: SqlDialect, shape: Shape, count: number): string {
  const sessions = dialect.table('sessions');
  const reserve = `UPDATE ${sessions} SET generation = (generation + ?) % ${MARKS} + 0 * (@strongroom_session := number),
      next_seq = (@strongroom_seq := next_seq) + ${count}, subject = coalesce(?, subject), ${LOWER_BOUNDS}
      WHERE id = ? AND coalesce(subject = ?, TRUE);`;
  const lockDek = `
    SELECT max(number), max(wrapped IS NULL) INTO found_dek, is_destroyed FROM ${dialect.table('deks')}
      WHERE session = ? AND did = ? ${dialect.forShare};
    IF is_destroyed OR (found_dek IS NULL AND ?) THEN SIGNAL SQLSTATE '${REFUSAL}'; END IF;`;
  const columns = {
    keyed: 'head, dek, written_at, expires_at, born_at, wrapped, item, body',
    any: 'head, written_at, expires_at, born_at, wrapped, item, body',
  };
  const values = {
    keyed: `if(found_dek IS NULL, ?, ?), if(?, found_dek, NULL), ${list(6)}`,
    any: list(7),
  };
  const rows = Array.from(
    { length: count },
    (_, index) => `(@strongroom_session, @strongroom_seq + ${index}, ${values[shape]})`,
  );
  return `BEGIN NOT ATOMIC
    DECLARE found_dek, is_destroyed bigint;
    START TRANSACTION;
    ${reserve}
    IF row_count() = 0 THEN
      IF ? THEN SIGNAL SQLSTATE '${REFUSAL}'; END IF;
      INSERT INTO ${sessions} (id, next_seq, generation) VALUES (?, 0, 0) ON DUPLICATE KEY UPDATE number = number;
      ${reserve}
      IF row_count() = 0 THEN SIGNAL SQLSTATE '${REFUSAL}'; END IF;
    END IF;
    ${shape === 'keyed' ? lockDek : ''}
    INSERT INTO ${dialect.table('items')} (session, seq, ${columns[shape]}) VALUES ${rows.join(', ')};
    COMMIT;
  END`;
}

/** In the order of {@link compoundAppend}. */
function valuesOf(
  shape: Shape,
  { sessionId, records, subject, mark }: Batch,
  did: string | undefined,
): SqlValue[] {
  const { expiry, birth } = firstTimes(records);
  const reserve = [mark, subject ?? null, expiry, expiry, birth, birth, sessionId, subject ?? null];
  const values: SqlValue[] = [...reserve, Number(isReserved(sessionId)), sessionId, ...reserve];
  if (did !== undefined) values.push(sessionId, did, Number(neededDids(records).has(did)));
  for (const record of records) {
    const head = record.did === null ? record.head : withDid(record);
    values.push(head);
    if (shape === 'keyed') {
      const isLookedUp = record.did !== null && record.wrapped === null;
      values.push(isLookedUp ? record.head : head, Number(isLookedUp));
    }
    values.push(record.writtenAt, record.expiresAt, record.bornAt, record.wrapped);
    values.push(...(typeof record.body === 'string' ? [record.body, null] : [null, record.body]));
  }
  return values;
}
