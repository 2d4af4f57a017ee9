import { newerSchemaError } from '../failure.ts';
import type { SqlResult, SqlRunner } from '../sql/client.ts';
import { migrations, setupStatements, tableName } from './schema.ts';

/** Any number of processes may do this at once: a named lock of the server lets one after the other. */
export async function setUp(runner: SqlRunner, prefix: string): Promise<void> {
  const known = migrations(prefix).length;
  const schema = tableName(prefix, 'schema');
  // A replica is read-only: where everything is there, nothing is written and no lock is taken.
  const { rows: found } = await runner.read(
    'SELECT 1 FROM information_schema.tables WHERE table_schema = database() AND table_name = ?',
    [`${prefix}schema`],
  );
  if (found.length > 0 && (await isCurrent((sql) => runner.read(sql)))) return;
  await runner.transaction(async (client) => {
    const lock = `strongroom ${prefix}`.slice(0, 60);
    await client.query('SELECT GET_LOCK(?, 60)', [lock]);
    try {
      const [create = '', ...statements] = setupStatements(prefix);
      await client.query(create);
      if (await isCurrent((sql) => client.query(sql))) return;
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.query('SELECT RELEASE_LOCK(?)', [lock]);
    }
  });

  async function isCurrent(query: (sql: string) => Promise<SqlResult>): Promise<boolean> {
    const { rows } = await query(`SELECT max(version) AS version FROM ${schema}`);
    const version = Number(rows[0]?.['version'] ?? 0);
    if (version > known) throw newerSchemaError('openMysql', version, known);
    return version === known;
  }
}
