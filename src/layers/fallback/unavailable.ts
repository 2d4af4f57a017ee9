import { isStrongroomError } from '../../errors.ts';

/** How many causes below an error are checked. */
const DEPTH = 8;

/** Codes of Node's network errors and of `undici`, which `fetch` puts into the cause. */
const NETWORK_CODE =
  /^(?:ECONN(?:REFUSED|RESET|ABORTED)|ETIMEDOUT|ESOCKETTIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN|EHOSTDOWN|EHOSTUNREACH|ENETDOWN|ENETUNREACH|UND_ERR_(?:CONNECT_TIMEOUT|HEADERS_TIMEOUT|BODY_TIMEOUT|SOCKET|CLOSED))$/;

/** Errors of the `openai` package without a status, and of `AbortSignal.timeout()`. */
const NETWORK_NAMES: ReadonlySet<unknown> = new Set([
  'APIConnectionError',
  'APIConnectionTimeoutError',
  'TimeoutError',
]);

/**
 * Errors of a database or an operating system that refuses access: classes 28 and 42501 of SQLSTATE, error names of
 * MySQL and SQLite, error words of Redis.
 */
const ACCESS_CODE = /^(?:28\w{3}|42501|ER_\w*ACCESS_DENIED\w*|SQLITE_(?:AUTH|PERM)|EACCES|EPERM)$/;
const ACCESS_WORD = /^(?:NOAUTH|WRONGPASS|NOPERM)\b/;

interface Loose {
  readonly code?: unknown;
  readonly name?: unknown;
  readonly message?: unknown;
  readonly status?: unknown;
  readonly cause?: unknown;
}

/**
 * Whether an error says that a backend cannot be reached or does not answer now. All other errors count as another
 * failure, and so do errors about a key, authentication or access.
 */
export function isUnavailable(error: unknown): boolean {
  const chain = causesOf(error);
  if (chain.some(isAccessFailure)) return false;
  if (isStrongroomError(error)) {
    return error.code === 'ERR_STORE' || error.code === 'ERR_TIMEOUT' || error.code === 'ERR_LOAD';
  }
  return chain.some(isNetworkFailure);
}

function causesOf(error: unknown): Loose[] {
  const chain: Loose[] = [];
  for (let current = error; chain.length < DEPTH;) {
    if (typeof current !== 'object' || current === null || chain.includes(current)) break;
    chain.push(current);
    current = (current as Loose).cause;
  }
  return chain;
}

function isAccessFailure({ code, message, status }: Loose): boolean {
  return (
    status === 401 ||
    status === 403 ||
    (typeof code === 'string' && ACCESS_CODE.test(code)) ||
    (typeof message === 'string' && ACCESS_WORD.test(message))
  );
}

/** RFC 9110 and RFC 6585: 408 request timeout, 429 too many requests, 5xx server errors but 501 and 505. */
function isNetworkFailure({ code, name, status }: Loose): boolean {
  if (typeof status === 'number') {
    return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
  }
  return (typeof code === 'string' && NETWORK_CODE.test(code)) || NETWORK_NAMES.has(name);
}
