/**
 * What our statements need of a connection: each is committed by itself or by `COMMIT`, nothing is cut to fit a column,
 * row locks lock no gaps between rows, and a lock is waited for no longer than the call lasts. MariaDB ends a transaction that waits
 * for its client for longer, on connections that nobody else uses: when the network swallows the client, its locks would stay.
 *
 * @param own Nobody else uses the connection.
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

/** The statement behind the settings, in one round trip. MariaDB only. */
export function withSettings(settings: string, sql: string): string {
  return `BEGIN NOT ATOMIC ${settings}; ${sql.replace(/^BEGIN NOT ATOMIC\b/, 'BEGIN')}; END`;
}
