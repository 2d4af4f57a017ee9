import type { StoreCheckup } from '../checkup.ts';
import { text, type SqlRunner } from '../sql/client.ts';
import { migrations } from './schema.ts';

/** The settings are checked at the connection. */
export async function mysqlCheckup(runner: SqlRunner, prefix: string): Promise<StoreCheckup> {
  const { rows } = await runner.read(
    'SELECT DISTINCT table_name AS owner, index_name AS name FROM information_schema.statistics WHERE table_schema = database()',
  );
  const present = new Set(rows.map((row) => `${text(row['owner'])}.${text(row['name'])}`));
  return { settings: [], missingIndexes: indexesOfSchema(prefix).filter((name) => !present.has(name)) };
}

/** Those that the migrations make, as `table.index`; none of them was removed again by a later one. */
function indexesOfSchema(prefix: string): string[] {
  const made = migrations(prefix)
    .flat()
    .map((step) => (typeof step === 'string' ? step : step.statement))
    .flatMap((statement) => {
      const table = /^(?:CREATE TABLE IF NOT EXISTS|ALTER TABLE) `([^`]+)`/.exec(statement)?.[1];
      const keys = statement.matchAll(/(?<!DROP )KEY (?<name>by_\w+) \(/g);
      return table === undefined
        ? []
        : Array.from(keys, ({ groups }) => `${table}.${groups?.['name'] ?? ''}`);
    });
  return [...new Set(made)];
}
