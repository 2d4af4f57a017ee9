import { TimeoutError } from '../in-time.ts';
import type { FailureKind } from '../sql/client.ts';

const FAILURES: Readonly<Record<string, string>> = {
  ER_ACCESS_DENIED_ERROR: 'the database refused the user or the password',
  ER_BAD_DB_ERROR: 'the database does not exist',
  ER_DISK_FULL: 'the disk of the database is full',
  ER_NET_PACKET_TOO_LARGE: 'the call is larger than the limit of the server (max_allowed_packet)',
  ER_NO_SUCH_TABLE: 'a table is missing: let the store create its tables, or run mysqlSetup() by hand',
  ER_RECORD_FILE_FULL: 'the disk of the database is full',
  ER_TABLEACCESS_DENIED_ERROR: 'the database user may not do this',
};
const FULL = ['ER_CON_COUNT_ERROR', 'ER_TOO_MANY_USER_CONNECTIONS'];
/**
 * ER_OPTION_PREVENTS_STATEMENT (`read_only`, `super_read_only`), ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION,
 * ER_READ_ONLY_MODE: nothing was done; at a commit it was undone.
 */
const READ_ONLY = [1290, 1792, 1836];
/** ER_SERVER_SHUTDOWN, ER_NORMAL_SHUTDOWN, ER_CONNECTION_KILLED of MariaDB: they can come after a commit, too. */
const ENDING = [1053, 1077, 1927];
const TRANSIENT = ['ER_LOCK_DEADLOCK', 'ER_CHECKREAD'];

/** A row with this key exists. */
export function isDuplicate(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 'ER_DUP_ENTRY';
}

export function mysqlFailure(error: unknown): FailureKind {
  const { code, errno, fatal, message } = (error ?? {}) as Record<
    'code' | 'errno' | 'fatal' | 'message',
    unknown
  >;
  if (error instanceof TimeoutError || code === 'ETIMEDOUT') {
    return { what: 'the database did not answer in time', disconnected: true, late: true };
  }
  const name = typeof code === 'string' ? code : '';
  if (TRANSIENT.includes(name))
    return { what: 'the database ended a conflict of transactions', transient: true };
  // One code for all limits of a user, also for those by the hour.
  const ofUser = name === 'ER_USER_LIMIT_REACHED' && String(message).includes('max_user_connections');
  if (FULL.includes(name) || ofUser) {
    return {
      what: 'the database has no connection left: lower maxConnections of its users, or raise max_connections or max_user_connections',
      full: true,
    };
  }
  if (READ_ONLY.includes(Number(errno))) return { what: 'the database is read-only', refused: true };
  const known = FAILURES[name];
  const disconnected = fatal === true || !name.startsWith('ER_') || ENDING.includes(Number(errno));
  if (known !== undefined) return { what: known, disconnected };
  if (disconnected) return { what: 'the connection to the database failed', disconnected };
  return { what: `the database answered with error ${String(errno)} (${name})` };
}
