import type { ErrorCode } from '../src/errors.ts';

/** The text of `docs/errors.md` for a code; the other columns are fields of the error. */
export interface ErrorPage {
  /** What has happened. */
  readonly meaning: string;
  /** What to do next. */
  readonly fix: string;
}

/**
 * Every code that a `StrongroomError` can carry: what it means and what to do. `docs/errors.md` is generated from this table,
 * whose type makes it complete. It is not in `src` because no program needs it: there it was two of the fifty
 * kilobytes of a bundle.
 */
export const ERROR_CODES: Readonly<Record<ErrorCode, ErrorPage>> = {
  ERR_INVALID_OPTION: {
    meaning: 'An option, argument or session that was passed to strongroom is not valid.',
    fix: 'Correct the option or argument that the message names.',
  },
  ERR_INVALID_ITEM: {
    meaning: 'An item is not valid, is too large, or would lose data when stored as JSON.',
    fix: 'Correct the value at the path that the message names; nothing of the call was stored.',
  },
  ERR_LAYER_ORDER: {
    meaning: 'The layers are in an order in which one of them cannot work.',
    fix: 'Use the order that the message gives.',
  },
  ERR_NOT_SEALED: {
    meaning:
      'A stored record is plain text where a sealed record is required: an old row, or a row that was inserted without encryption.',
    fix: 'Migrate old plaintext with migrate(), or accept it until a date with unsafeAllowPlaintext.',
  },
  ERR_MALFORMED: {
    meaning:
      'A stored record looks like an envelope but violates the format, or a record of the store is damaged or missing.',
    fix: 'Restore the record from a backup, or handle it with onUndecryptable.',
  },
  ERR_UNSUPPORTED: {
    meaning:
      'A record, option or member needs a feature that this version or this inner session does not have.',
    fix: 'Update strongroom, or do without what the message names.',
  },
  ERR_KEY_UNKNOWN: {
    meaning: 'The keyring holds no key with the kid that a record needs.',
    fix: 'Add that key to `previous` of the keyring.',
  },
  ERR_KEY_DISABLED: {
    meaning: 'The key that a record needs is disabled or destroyed in the keyring.',
    fix: 'Enable the key again, or treat the records as erased.',
  },
  ERR_KEY_UNAVAILABLE: {
    meaning:
      'The key exists but cannot be used now: the KMS does not answer, the function given to `encrypt()` as `keys` or `context` failed, or the keyring holds only the public half.',
    fix: 'Retry when the KMS answers. Where reading is needed, put the private key in the place of its public half: without it `retryable` is `false`.',
  },
  ERR_COMMITMENT: {
    meaning: 'A record was sealed for a different session, context or suite, or its data key was replaced.',
    fix:
      'Compare the session id and `context` with those used for writing. If they are the same, treat it as ' +
      'tampering and restore the record or its data key.',
  },
  ERR_AUTHENTICATION: {
    meaning: 'A record or wrapped key was changed after it was sealed, or moved to another session.',
    fix: 'Treat it as tampering; restore the record from a backup.',
  },
  ERR_CLOCK: {
    meaning:
      'A record has a time of writing in the future, the clock returns no usable time, or the clock is too far ahead of ' +
      "the database's clock to delete or to remove hidden items by it.",
    fix:
      'Correct the clock of the machine that wrote the record, or of this one. Where the message names maxAhead, raise it for ' +
      'a clock that you trust.',
  },
  ERR_EXPIRED: {
    meaning: 'A sealed run state has expired.',
    fix: 'Start the run again; seal states with a longer expireAfter, or open them with a longer maxAge.',
  },
  ERR_SHREDDED: {
    meaning: 'The data key of a record was destroyed on purpose; the record can never be read again.',
    fix: 'None: the data was erased by crypto-shredding.',
  },
  ERR_CONFLICT: {
    meaning:
      'The stored history is not what the operation expected, or its operation id was already used for a different operation.',
    fix: 'Read the history again and start a new operation.',
  },
  ERR_HELD: {
    meaning: 'A legal hold forbids the deletion.',
    fix: 'Release the hold first.',
  },
  ERR_ACCESS_DENIED: {
    meaning: 'The authorize() layer refused the call.',
    fix: 'Call with a context that is allowed to use this session.',
  },
  ERR_PII_BLOCKED: {
    meaning: 'An item holds an entity whose operator is `block`, or text that could not be scanned.',
    fix: 'Remove the entity that the message names; nothing of the call was stored.',
  },
  ERR_TIMEOUT: {
    meaning: 'A call took longer than its timeout.',
    fix: 'Retry; raise the timeout if it is too short for this backend.',
  },
  ERR_CLOSED: {
    meaning: 'The store was closed.',
    fix: 'Open the store again, or close it after its last call.',
  },
  ERR_READ_ONLY: {
    meaning: 'Records were skipped as unreadable, so calls that remove or replace history are refused.',
    fix: 'Make the records readable and read the history once, or delete the session in its store.',
  },
  ERR_NOT_STAMPED: {
    meaning: 'expire() found a record without a timestamp.',
    fix: "Migrate the session, or choose `unstamped: 'keep'` or 'hide'.",
  },
  ERR_LOAD: {
    meaning:
      'An installed package could not be loaded, for example because the process has too many open files.',
    fix: 'Repeat the call; see the cause. Nothing was changed.',
  },
  ERR_STORE: {
    meaning: 'The database failed. A call that adds items may have been committed.',
    fix: "Repeat an append when `error.written` is 'no'. When it is 'unknown', read the history first. See the cause.",
  },
};
