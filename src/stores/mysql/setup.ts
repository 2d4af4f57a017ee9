import { isCurrentSchema, olderSchemaError, storeError } from '../failure.ts';
import type { SqlClient, SqlResult, SqlRunner } from '../sql/client.ts';
import { migrations, setupStatements, tableName, type Step } from './schema.ts';

const WHERE = 'openMysql';
/** Seconds that a process waits for another one which changes the schema. */
const PATIENCE = 60;

/** Any number of processes may do this at once: a named lock of the server runs them one after the other. */
export async function setUp(runner: SqlRunner, prefix: string): Promise<void> {
  const known = migrations(prefix).length;
  const schema = tableName(prefix, 'schema');
  // A replica is read-only: when the schema is complete, nothing is written and no lock is taken.
  const { rows: found } = await runner.read(
    'SELECT 1 FROM information_schema.tables WHERE table_schema = database() AND table_name = ?',
    [`${prefix}schema`],
  );
  if (found.length > 0) {
    const version = await versionOf(schema, (sql) => runner.read(sql));
    if (isCurrentSchema(WHERE, version, known)) return;
  }
  await runner.transaction(async (client) => {
    const lock = `strongroom ${prefix}`.slice(0, 60);
    const { rows } = await client.query('SELECT GET_LOCK(?, ?) AS locked', [lock, PATIENCE]);
    if (Number(rows[0]?.['locked']) !== 1) {
      const cause = new Error(`GET_LOCK gave no lock in ${PATIENCE} s.`);
      throw storeError(WHERE, 'another process is changing the schema', cause, 'no');
    }
    try {
      const [create = ''] = setupStatements(prefix, 0);
      await client.query(create);
      const version = await versionOf(schema, (sql) => client.query(sql));
      if (isCurrentSchema(WHERE, version, known)) return;
      for (const [index, steps] of migrations(prefix).entries()) {
        if (index < version) continue;
        for (const step of steps) await take(client, step);
        await client.query(`INSERT IGNORE INTO ${schema} (version) VALUES (?)`, [index + 1]);
      }
    } finally {
      await client.query('SELECT RELEASE_LOCK(?)', [lock]);
    }
  });
}

/**
 * The condition is a query of its own: preparing a statement is not possible everywhere
 * (`max_prepared_stmt_count`).
 */
async function take(client: SqlClient, step: Step): Promise<void> {
  if (typeof step === 'string') return void (await client.query(step));
  const { rows } = await client.query(`SELECT ${step.unless} AS done`);
  if (Number(rows[0]?.['done']) !== 1) await client.query(step.statement);
}

/** For a store that creates no tables. If they are missing, the first statement fails. */
export async function checkVersion(runner: SqlRunner, prefix: string): Promise<void> {
  const known = migrations(prefix).length;
  const version = await versionOf(tableName(prefix, 'schema'), (sql) => runner.read(sql));
  if (!isCurrentSchema(WHERE, version, known)) throw olderSchemaError(WHERE, version, known, 'mysqlSetup');
}

async function versionOf(schema: string, query: (sql: string) => Promise<SqlResult>): Promise<number> {
  const { rows } = await query(`SELECT max(version) AS version FROM ${schema}`);
  return Number(rows[0]?.['version'] ?? 0);
}
