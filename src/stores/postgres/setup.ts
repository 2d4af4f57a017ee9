import { isCurrentSchema, olderSchemaError } from '../failure.ts';
import { NOTHING, type SqlClient, type SqlRunner } from '../sql/client.ts';
import { ANNOUNCES, announceStatements, announceValues } from './announce.ts';
import { migrations, tableName, type PostgresNames } from './schema.ts';

/**
 * Any number of processes may do this at once: the first one works, the others wait and find it done.
 *
 * @param push Whether the database must announce changes.
 */
export async function setUp(runner: SqlRunner, names: PostgresNames, push: boolean): Promise<void> {
  const announces = async (client: SqlClient): Promise<boolean> =>
    (await client.query(`SELECT ${ANNOUNCES}`, announceValues(names))).rows[0]?.['announces'] === true;
  const known = migrations(names);
  const schema = tableName(names, 'schema');
  await runner.transaction(async (client) => {
    const found = await client.query('SELECT to_regclass(?) AS name', [schema]);
    if (found.rows[0]?.['name'] !== null) {
      const { rows } = await client.query(`SELECT max(version) AS version FROM ${schema}`);
      const version = Number(rows[0]?.['version'] ?? 0);
      if (isCurrentSchema('openPostgres', version, known.length) && (!push || (await announces(client))))
        return NOTHING;
    }
    await client.query('SELECT pg_advisory_xact_lock(hashtext(?))', [`strongroom ${schema}`]);
    if (names.schema !== undefined) {
      // `IF NOT EXISTS` would need the right to create schemas even if the schema exists.
      const present = await client.query('SELECT to_regnamespace(?) AS name', [`"${names.schema}"`]);
      if (present.rows[0]?.['name'] === null) await client.query(`CREATE SCHEMA "${names.schema}"`);
    }
    await client.query(`CREATE TABLE IF NOT EXISTS ${schema} (version integer PRIMARY KEY)`);
    const { rows } = await client.query(`SELECT max(version) AS version FROM ${schema}`);
    const version = Number(rows[0]?.['version'] ?? 0);
    isCurrentSchema('openPostgres', version, known.length);
    for (const [index, steps] of known.entries()) {
      if (index < version) continue;
      for (const statement of steps) await client.query(statement);
      await client.query(`INSERT INTO ${schema} (version) VALUES (?)`, [index + 1]);
    }
    if (push && !(await announces(client))) {
      for (const statement of announceStatements(names)) await client.query(statement);
    }
    return undefined;
  });
}

/** For a store that creates no tables. If they are missing, the first statement fails. */
export async function checkVersion(runner: SqlRunner, names: PostgresNames): Promise<void> {
  const known = migrations(names).length;
  const { rows } = await runner.read(`SELECT max(version) AS version FROM ${tableName(names, 'schema')}`);
  const version = Number(rows[0]?.['version'] ?? 0);
  if (!isCurrentSchema('openPostgres', version, known)) {
    throw olderSchemaError('openPostgres', version, known, 'postgresSetup');
  }
}
