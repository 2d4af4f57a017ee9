/**
 * The settings of a connection that our statements need: autocommit, no truncation to fit a column, row locks
 * without gap locks, and no longer wait for a lock than the time limit of the call. On connections that no other
 * program uses, MariaDB also ends a transaction that waits for its client for longer: when the network fails, its
 * locks would stay.
 *
 * @param own No other program uses the connection.
 */
export function settingsOf(timeout: number, isMariaDb: boolean, own: boolean): string {
  const seconds = Math.max(1, Math.ceil(timeout / 1_000));
  const isolation = isMariaDb ? 'tx_isolation' : 'transaction_isolation';
  return (
    "SET SESSION autocommit = 1, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', " +
    `innodb_lock_wait_timeout = ${seconds}, ${isolation} = 'READ-COMMITTED'` +
    (isMariaDb && own ? `, idle_transaction_timeout = ${seconds}` : '')
  );
}

/** The statement after the settings, in one round trip. MariaDB only. */
export function withSettings(settings: string, sql: string): string {
  return `BEGIN NOT ATOMIC ${settings}; ${sql.replace(/^BEGIN NOT ATOMIC\b/, 'BEGIN')}; END`;
}
