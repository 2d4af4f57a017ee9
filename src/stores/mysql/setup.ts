import { newerSchemaError } from '../failure.ts';
import type { SqlRunner } from '../sql/client.ts';
import { migrations, setupStatements, tableName } from './schema.ts';

/** Any number of processes may do this at once: a named lock of the server lets one after the other. */
export async function setUp(runner: SqlRunner, prefix: string): Promise<void> {
  const known = migrations(prefix).length;
  const schema = tableName(prefix, 'schema');
  await runner.transaction(async (client) => {
    const lock = `strongroom ${prefix}`.slice(0, 60);
    await client.query('SELECT GET_LOCK(?, 60)', [lock]);
    try {
      const [create = '', ...statements] = setupStatements(prefix);
      await client.query(create);
      const { rows } = await client.query(`SELECT max(version) AS version FROM ${schema}`);
      const version = Number(rows[0]?.['version'] ?? 0);
      if (version > known) throw newerSchemaError('openMysql', version, known);
      if (version === known) return;
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.query('SELECT RELEASE_LOCK(?)', [lock]);
    }
  });
}
