/**
 * Every code that a {@link StrongroomError} can carry: what it means and what to do. `docs/errors.md` is
 * generated from this table, and {@link ErrorCode} is its keys, so that a code cannot exist undocumented.
 */
export const ERROR_CODES: Readonly<Record<ErrorCode, ErrorCodeInfo>> = {
  ERR_INVALID_OPTION: {
    meaning: 'An option, argument or session given to strongroom is not usable.',
    fix: 'Correct the option that the message names.',
    dataLost: false,
    retryable: false,
  },
  ERR_INVALID_ITEM: {
    meaning: 'An item cannot be stored without losing something (not JSON, too large) or is no valid item.',
    fix: 'Correct the value at the path that the message names; nothing of the call was stored.',
    dataLost: false,
    retryable: false,
  },
  ERR_LAYER_ORDER: {
    meaning: 'The layers stand in an order in which one of them could not do its work.',
    fix: 'Use the order that the message gives.',
    dataLost: false,
    retryable: false,
  },
  ERR_NOT_SEALED: {
    meaning:
      'A stored record is plain text where a sealed one is required: an old row, or one that somebody inserted.',
    fix: 'Migrate old plaintext with migrate(), or allow it until a date with unsafeAllowPlaintext.',
    dataLost: false,
    retryable: false,
  },
  ERR_MALFORMED: {
    meaning:
      'A stored record looks like an envelope but breaks the format, or what a store wrote is damaged or gone.',
    fix: 'Restore the record from a backup, or decide with onUndecryptable.',
    dataLost: false,
    retryable: false,
  },
  ERR_UNSUPPORTED: {
    meaning:
      'A record, option or member needs something that this version or this inner session does not have.',
    fix: 'Update strongroom, or do without what the message names.',
    dataLost: false,
    retryable: false,
  },
  ERR_KEY_UNKNOWN: {
    meaning: 'The keyring holds no key with the kid that a record needs.',
    fix: 'Add that key to `previous` of the keyring.',
    dataLost: false,
    retryable: false,
  },
  ERR_KEY_DISABLED: {
    meaning: 'The key that a record needs is disabled or destroyed in the keyring.',
    fix: 'Enable the key again, or treat the records as erased.',
    dataLost: false,
    retryable: false,
  },
  ERR_KEY_UNAVAILABLE: {
    meaning:
      'The key exists but cannot be used now: a KMS does not answer, or only the public half is present.',
    fix: 'Retry when the provider answers; give the private key where reading is needed.',
    dataLost: false,
    retryable: true,
  },
  ERR_COMMITMENT: {
    meaning:
      'A record was sealed for another session, context or suite than it is read with, or its data key was swapped.',
    fix:
      'Compare session id and `context` with those that it was written with; if they are the same, treat it as ' +
      'tampering and restore the record or its data key.',
    dataLost: false,
    retryable: false,
  },
  ERR_AUTHENTICATION: {
    meaning: 'A record or wrapped key was changed after it was sealed, or moved to another session.',
    fix: 'Treat it as tampering; restore the record from a backup.',
    dataLost: false,
    retryable: false,
  },
  ERR_CLOCK: {
    meaning:
      'A record claims to have been written in the future, the clock gives no usable time, or it is so far ahead of the ' +
      "database's that nothing is deleted, and no hidden item removed, by it.",
    fix:
      'Correct the clock of the machine that wrote the record, or of this one. Where the message names maxAhead: accept a clock ' +
      'that you trust with it.',
    dataLost: false,
    retryable: true,
  },
  ERR_EXPIRED: {
    meaning: 'The lifetime of a sealed run state is over.',
    fix: 'Start the run again; seal states with a longer expireAfter, or open them with a longer maxAge.',
    dataLost: false,
    retryable: false,
  },
  ERR_SHREDDED: {
    meaning: 'The data key of a record was destroyed on purpose; the record can never be read again.',
    fix: 'None: this is what crypto-shredding is for.',
    dataLost: true,
    retryable: false,
  },
  ERR_CONFLICT: {
    meaning:
      'The stored history is not what the operation expected, or its operation id was used for something else.',
    fix: 'Read the history again and start a new operation.',
    dataLost: false,
    retryable: false,
  },
  ERR_HELD: {
    meaning: 'A legal hold forbids the deletion.',
    fix: 'Release the hold first.',
    dataLost: false,
    retryable: false,
  },
  ERR_ACCESS_DENIED: {
    meaning: 'The authorize() layer refused the call.',
    fix: 'Call with a context that is allowed to use this session.',
    dataLost: false,
    retryable: false,
  },
  ERR_PII_BLOCKED: {
    meaning: 'An item holds an entity whose operator is `block`, or text that could not be scanned.',
    fix: 'Remove the entity that the message names; nothing of the call was stored.',
    dataLost: false,
    retryable: false,
  },
  ERR_TIMEOUT: {
    meaning: 'A call took longer than its limit.',
    fix: 'Retry; raise the limit if it is too short for this backend.',
    dataLost: false,
    retryable: true,
  },
  ERR_CLOSED: {
    meaning: 'The store was closed.',
    fix: 'Open it again, or close it later.',
    dataLost: false,
    retryable: false,
  },
  ERR_READ_ONLY: {
    meaning: 'Records were skipped as unreadable, so calls that remove or replace history are refused.',
    fix: 'Make the records readable and read the history once, or delete the session in its store.',
    dataLost: false,
    retryable: false,
  },
  ERR_NOT_STAMPED: {
    meaning: 'A record without a time stamp was found where expire() needs one.',
    fix: "Migrate the session, or choose `unstamped: 'keep'` or 'hide'.",
    dataLost: false,
    retryable: false,
  },
  ERR_LOAD: {
    meaning:
      'A package that is installed could not be loaded, for example because the process has too many open files.',
    fix: 'Repeat the call; see the cause. Nothing was changed.',
    dataLost: false,
    retryable: true,
  },
  ERR_STORE: {
    meaning: 'The database failed. A call that adds items may have been committed.',
    fix: "Repeat an append when `error.written` is 'no', read back before you do when it is 'unknown'; see the cause.",
    dataLost: false,
    retryable: true,
  },
};

/** What `docs/errors.md` says of a code. */
export interface ErrorCodeInfo {
  /** What has happened. */
  readonly meaning: string;
  /** What to do next. */
  readonly fix: string;
  /** Whether data is gone when this is thrown. */
  readonly dataLost: boolean;
  /** Whether the same call can succeed later without a change. */
  readonly retryable: boolean;
}

/** The closed union of error codes. */
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

/** What became of a change that failed, see {@link StrongroomError.written}. */
export type Written = 'no' | 'unknown' | 'yes';

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
   * Whether the same call can succeed later without a change: a service can answer 503. It does not say that repeating is
   * harmless: an append that failed with `ERR_STORE` may have been stored, see {@link StrongroomError.written}.
   */
  readonly retryable: boolean;
  /** Whether data is gone when this is thrown: of most codes always or never, of `ERR_MALFORMED` in some cases. */
  readonly dataLost: boolean;
  /**
   * What is known of the change that failed, `undefined` where the error does not say it (reads among them). `'no'`: nothing of
   * it was stored, so the same call can be repeated without storing anything twice. `'unknown'`: it may have been stored; read
   * back first. `'yes'`: it was stored in the session, and something that belongs to it failed; do not repeat it.
   */
  readonly written?: Written;

  /**
   * @param options `dataLost: true` where an error of a code that mostly tells of a mistake tells of a loss; `written`: see
   * there.
   */
  constructor(
    code: ErrorCode,
    message: string,
    options?: {
      readonly cause?: unknown;
      readonly dataLost?: boolean;
      readonly written?: Written | undefined;
    },
  ) {
    super(message, options !== undefined && 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    // Not checked by a compiler everywhere: a code that we do not have must not hide the error that was meant.
    const info: ErrorCodeInfo | undefined = ERROR_CODES[code];
    this.retryable = info?.retryable ?? false;
    this.dataLost = options?.dataLost ?? info?.dataLost ?? false;
    if (options?.written !== undefined) this.written = options.written;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Whether `value` is an error of strongroom, also of another copy of the package (`Symbol.for` brand). */
export function isStrongroomError(value: unknown): value is StrongroomError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
}
