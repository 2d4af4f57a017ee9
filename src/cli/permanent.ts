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
 * Whether the error of a command comes from a database that refuses in a way that needs a person: an application may wait for a folder
 * that is mounted later, or for a password that is set there, and a person at a terminal has to look. A host that is not there can come,
 * and so can the socket of a server.
 */
export function isPermanent(error: unknown): boolean {
  const chain: unknown[] = [];
  for (let each = error; each instanceof Error && !chain.includes(each); each = each.cause) chain.push(each);
  return chain.some(isRefusal);
}

function isRefusal(error: unknown): boolean {
  const { code, errcode, syscall, message } = error as {
    readonly code?: unknown;
    readonly errcode?: unknown;
    readonly syscall?: unknown;
    readonly message: string;
  };
  if (typeof errcode === 'number') return SQLITE.has(errcode & 0xff);
  if (typeof syscall === 'string') return syscall !== 'connect' && FILES.has(String(code));
  return (typeof code === 'string' && SERVERS.has(code)) || REDIS.test(message);
}
