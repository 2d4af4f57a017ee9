/** The closed union of error codes; `docs/errors.md` gives the meaning of each and what to do. */
export type ErrorCode =
  | 'ERR_INVALID_OPTION'
  | 'ERR_INVALID_ITEM'
  | 'ERR_LAYER_ORDER'
  | 'ERR_NOT_SEALED'
  | 'ERR_MALFORMED'
  | 'ERR_UNSUPPORTED'
  | 'ERR_KEY_UNKNOWN'
  | 'ERR_KEY_DISABLED'
  | 'ERR_KEY_UNAVAILABLE'
  | 'ERR_COMMITMENT'
  | 'ERR_AUTHENTICATION'
  | 'ERR_CLOCK'
  | 'ERR_EXPIRED'
  | 'ERR_SHREDDED'
  | 'ERR_CONFLICT'
  | 'ERR_HELD'
  | 'ERR_ACCESS_DENIED'
  | 'ERR_PII_BLOCKED'
  | 'ERR_TIMEOUT'
  | 'ERR_CLOSED'
  | 'ERR_READ_ONLY'
  | 'ERR_NOT_STAMPED'
  | 'ERR_LOAD'
  | 'ERR_STORE';

/** Whether a failed change was written, see {@link StrongroomError.written}. */
export type Written = 'no' | 'unknown' | 'yes';

/** The same call can succeed later without a change. */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  'ERR_KEY_UNAVAILABLE',
  'ERR_CLOCK',
  'ERR_TIMEOUT',
  'ERR_LOAD',
  'ERR_STORE',
]);
/** Data is gone when it is thrown. */
const DATA_LOST: ReadonlySet<ErrorCode> = new Set(['ERR_SHREDDED']);

const BRAND = Symbol.for('strongroom.error');

/**
 * The one error type of strongroom. Decide by {@link StrongroomError.code}, never by the message. Messages hold
 * ids, counts and the next step; never item text, key material or a token.
 *
 * @example
 * ```ts
 * import { isStrongroomError } from 'strongroom';
 *
 * export const isWrongKey = (error: unknown): boolean =>
 *   isStrongroomError(error) && error.code === 'ERR_KEY_UNKNOWN';
 * ```
 */
export class StrongroomError extends Error {
  override readonly name: string = 'StrongroomError';
  readonly code: ErrorCode;
  /**
   * Whether the same call can succeed later without a change: a service can answer 503. It does not mean that
   * repeating is harmless: an append that failed with `ERR_STORE` may have been stored, see {@link
   * StrongroomError.written}.
   */
  readonly retryable: boolean;
  /** Whether data was lost when this is thrown: for most codes always or never, for `ERR_MALFORMED` in some cases. */
  readonly dataLost: boolean;
  /**
   * Whether the failed change was written; `undefined` where this is not stated (for reads, for example). `'no'`:
   * nothing of it was stored, so the same call can be repeated without storing anything twice. `'unknown'`: it may
   * have been stored; read back first. `'yes'`: it was stored in the session, and a later step of the call failed;
   * do not repeat it.
   */
  readonly written?: Written;

  /**
   * @param options `dataLost: true` where data was lost although the code usually means a mistake; `retryable: false`
   * where only a change helps although the code usually passes by itself; `written`: see {@link StrongroomError.written}.
   */
  constructor(
    code: ErrorCode,
    message: string,
    options?: {
      readonly cause?: unknown;
      readonly dataLost?: boolean;
      readonly retryable?: boolean;
      readonly written?: Written | undefined;
    },
  ) {
    super(message, options !== undefined && 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options?.retryable ?? RETRYABLE.has(code);
    this.dataLost = options?.dataLost ?? DATA_LOST.has(code);
    if (options?.written !== undefined) this.written = options.written;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Whether `value` is an error of strongroom, also of another copy of the package (`Symbol.for` brand). */
export function isStrongroomError(value: unknown): value is StrongroomError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
}
