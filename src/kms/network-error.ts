import type { Verdict } from './kms-provider.ts';

/** Codes of Node and undici for a connection that was not established, or broke. */
const CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_SOCKET',
]);

/** Whether a connection failed; `fetch` has its reason in `cause`. */
export function isNetworkError(error: unknown): boolean {
  return codeOf(error) !== undefined;
}

export function networkVerdict(error: unknown): Verdict {
  return {
    code: 'ERR_KEY_UNAVAILABLE',
    transient: true,
    reason: `it does not answer (${codeOf(error)}). Nothing was removed; repeat the call when it does.`,
  };
}

function codeOf(error: unknown, depth: number = 0): string | undefined {
  if (typeof error !== 'object' || error === null || depth > 4) return undefined;
  const { code, name, cause, errors } = error as Record<string, unknown>;
  if (typeof code === 'string' && CODES.has(code)) return code;
  // The name of the AWS client's own time-out error.
  if (name === 'TimeoutError') return name;
  // Several addresses of one host fail together.
  if (Array.isArray(errors)) return codeOf(errors[0], depth + 1);
  return codeOf(cause, depth + 1);
}
