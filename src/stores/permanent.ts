/** Result codes of SQLite: damaged, not a database. */
const SQLITE: ReadonlySet<number> = new Set([11, 26]);
/** Errors of the file system at a wrong path, or without the rights to it. */
const FILES: ReadonlySet<string> = new Set([
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
  'EACCES',
  'EPERM',
  'EROFS',
  'ELOOP',
  'ENAMETOOLONG',
]);
/** SQLSTATE and names of errors: a wrong user or password, missing rights, no such database. */
const SERVERS: ReadonlySet<string> = new Set([
  '28000',
  '28P01',
  '3D000',
  '42501',
  'ER_ACCESS_DENIED_ERROR',
  'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_BAD_DB_ERROR',
]);
/** First words of answers of Redis: the same, and a key of another program. */
const REDIS = /^(?:NOAUTH|NOPERM|WRONGPASS|WRONGTYPE) /;

/**
 * Whether a database refuses a call in a way that does not pass by itself. A host that is not there can come, and so can the socket of a
 * server.
 */
export function isPermanent(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, errcode, syscall } = error as {
    readonly code?: unknown;
    readonly errcode?: unknown;
    readonly syscall?: unknown;
  };
  if (typeof errcode === 'number') return SQLITE.has(errcode & 0xff);
  if (typeof syscall === 'string') return syscall !== 'connect' && FILES.has(String(code));
  return (typeof code === 'string' && SERVERS.has(code)) || REDIS.test(error.message);
}
