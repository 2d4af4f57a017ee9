import { StrongroomError } from '../../errors.ts';
import type { SqlRunner } from '../sql/client.ts';
import { ifAsked } from '../sql/if-asked.ts';
import { createWarnOnce } from '../warn-once.ts';
import { postgresFailure } from './pool.ts';
import { tableName, type PostgresNames } from './schema.ts';

const WHERE = 'openPostgres';
const warnOnce = createWarnOnce('STRONGROOM_POSTGRES', WHERE);

/** The effect of each setting when it is off (PostgreSQL manual, *Write Ahead Log*). */
const OFF: Readonly<Record<string, string>> = {
  fsync:
    'the server does not wait for its disk (fsync off), so a crash of the machine can damage the whole database. Set fsync to on.',
  full_page_writes:
    'a crash of the machine can leave half-written pages (full_page_writes off). Set it to on, unless the file system writes ' +
    'pages whole.',
  synchronous_commit:
    'a crash of the server loses the last acknowledged writes (synchronous_commit off). Set it to on, for example ' +
    'with ALTER ROLE … SET synchronous_commit = on.',
};

const OURS = ['sessions', 'items', 'operations', 'deks', 'leases', 'holds'] as const;

/**
 * Checks whether the server keeps acknowledged writes, as far as its settings show.
 *
 * @throws {@link StrongroomError} `ERR_UNSUPPORTED` when a crash empties a table of ours, and the options do not
 * accept that.
 */
export async function checkSettings(
  runner: SqlRunner,
  names: PostgresNames,
  allowUnlogged: boolean,
): Promise<void> {
  const settings = Object.keys(OFF)
    .map((name) => `current_setting('${name}', true) AS ${name}`)
    .join(', ');
  // A database that is only compatible with PostgreSQL may not have either.
  const found = await ifAsked(
    () =>
      runner.read(
        `SELECT ${settings}, (SELECT string_agg(relname::text, ', ' ORDER BY relname) FROM pg_class
         WHERE oid IN (${OURS.map(() => 'to_regclass(?)').join(', ')}) AND relpersistence = 'u') AS unlogged`,
        OURS.map((table) => tableName(names, table)),
      ),
    postgresFailure,
  );
  const row = found?.rows[0] ?? {};
  for (const [name, message] of Object.entries(OFF)) if (row[name] === 'off') warnOnce(message);
  const unlogged = row['unlogged'];
  if (typeof unlogged !== 'string') return;
  const problem = `a crash of the server empties these tables, because they are UNLOGGED: ${unlogged}`;
  if (allowUnlogged) {
    warnOnce(`${problem}, which was accepted (allowUnlogged).`);
    return;
  }
  throw new StrongroomError(
    'ERR_UNSUPPORTED',
    `${WHERE}: ${problem}. Run ALTER TABLE … SET LOGGED for each, or accept the loss with allowUnlogged: true; nothing was read ` +
      'or written.',
  );
}
