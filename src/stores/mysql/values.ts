import type { SqlValue } from '../sql/client.ts';

/**
 * A value of a prepared statement. Text is sent as bytes: a string would be converted to the charset of the
 * connection.
 */
export type MysqlValue = Buffer | number | null;

export function toMysql(value: SqlValue): MysqlValue {
  if (value === null || typeof value === 'number') return value;
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw new TypeError('MySQL has no arrays.');
}

/**
 * The statement with its values, for servers that cannot prepare it. Hexadecimal literals mean the same in every
 * `sql_mode` and charset; quoted ones do not (`NO_BACKSLASH_ESCAPES`). Our statements have no question mark but for
 * values.
 */
export function withLiterals(sql: string, values: readonly MysqlValue[]): string {
  if (values.length === 0) return sql;
  let place = 0;
  return sql.replaceAll('?', () => {
    const value = values[place++];
    if (value === null || value === undefined) return 'NULL';
    if (typeof value === 'number') return String(value);
    return `X'${value.toString('hex')}'`;
  });
}
