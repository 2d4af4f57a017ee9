import type { StoreCheckup } from '../checkup.ts';
import { text, type SqlRunner } from '../sql/client.ts';
import { migrations, type PostgresNames } from './schema.ts';

/** The settings are checked at the connection. */
export async function postgresCheckup(runner: SqlRunner, names: PostgresNames): Promise<StoreCheckup> {
  const wanted = indexesOfSchema(names);
  const tables = [...new Set(wanted.values())];
  const { rows } = await runner.read(
    `SELECT c.relname::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indisvalid AND i.indrelid IN (${tables.map(() => 'to_regclass(?)').join(', ')})`,
    tables,
  );
  const present = new Set(rows.map((row) => text(row['name'])));
  return { settings: [], missingIndexes: [...wanted.keys()].filter((name) => !present.has(name)) };
}

/** Those that the migrations make, with their tables; none of them was removed again by a later one. */
function indexesOfSchema(names: PostgresNames): ReadonlyMap<string, string> {
  const made = migrations(names)
    .flat()
    .map(
      (statement) =>
        /^CREATE INDEX (?:IF NOT EXISTS )?"(?<name>[^"]+)" ON (?<table>\S+)/.exec(statement)?.groups,
    )
    .filter((groups) => groups !== undefined);
  return new Map(made.map(({ name = '', table = '' }) => [name, table]));
}
