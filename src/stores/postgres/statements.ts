import { createHash } from 'node:crypto';
import type { KeptStatement, Statement } from '../sql/client.ts';

export function textOf(statement: Statement): string {
  return numbered(typeof statement === 'string' ? statement : statement.sql);
}

const compiled = new Map<string, string>();

/** `?` to `$1`, `$2`, … Our statements have no question mark but for values. */
function numbered(sql: string): string {
  let found = compiled.get(sql);
  if (found === undefined) {
    let number = 0;
    found = sql.replaceAll('?', () => `$${++number}`);
    if (compiled.size > 500) compiled.clear();
    compiled.set(sql, found);
  }
  return found;
}

/** As an option of a query. */
export function rowModeOf(statement: Statement): { rowMode?: 'array' } {
  return typeof statement === 'object' && statement.tuples ? { rowMode: 'array' } : {};
}

export interface NamedStatement {
  readonly text: string;
  readonly name: string;
}

const named = new WeakMap<KeptStatement, NamedStatement>();

/** The name is derived from the text, so that on connections which a proxy shares it never means another statement. */
export function nameOf(statement: KeptStatement): NamedStatement {
  let found = named.get(statement);
  if (found === undefined) {
    const text = numbered(statement.sql);
    const digest = createHash('sha256').update(text).digest('base64url').slice(0, 22);
    named.set(statement, (found = { text, name: `strongroom_${digest}` }));
  }
  return found;
}
