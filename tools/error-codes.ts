import type { ErrorCode } from '../src/errors.ts';

/** What `docs/errors.md` says of a code; the rest of it are fields of the error. */
export interface ErrorPage {
  /** What has happened. */
  readonly meaning: string;
  /** What to do next. */
  readonly fix: string;
}

/**
 * Every code that a `StrongroomError` can carry: what it means and what to do. `docs/errors.md` is generated from this table,
 * whose type makes it complete. It stands here because no program needs it: in `src` it was two of the fifty kilobytes of a bundle.
 */
export const ERROR_CODES: Readonly<Record<ErrorCode, ErrorPage>> = {
  ERR_INVALID_OPTION: {
    meaning: 'An option, argument or session given to strongroom is not usable.',
    fix: 'Correct the option that the message names.',
  },
  ERR_INVALID_ITEM: {
    meaning: 'An item cannot be stored without losing something (not JSON, too large) or is no valid item.',
    fix: 'Correct the value at the path that the message names; nothing of the call was stored.',
  },
  ERR_LAYER_ORDER: {
    meaning: 'The layers stand in an order in which one of them could not do its work.',
    fix: 'Use the order that the message gives.',
  },
  ERR_NOT_SEALED: {
    meaning:
      'A stored record is plain text where a sealed one is required: an old row, or one that somebody inserted.',
    fix: 'Migrate old plaintext with migrate(), or allow it until a date with unsafeAllowPlaintext.',
  },
  ERR_MALFORMED: {
    meaning:
      'A stored record looks like an envelope but breaks the format, or what a store wrote is damaged or gone.',
    fix: 'Restore the record from a backup, or decide with onUndecryptable.',
  },
  ERR_UNSUPPORTED: {
    meaning:
      'A record, option or member needs something that this version or this inner session does not have.',
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
      'The key exists but cannot be used now: a KMS does not answer, or only the public half is present.',
    fix: 'Retry when the provider answers; give the private key where reading is needed.',
  },
  ERR_COMMITMENT: {
    meaning:
      'A record was sealed for another session, context or suite than it is read with, or its data key was swapped.',
    fix:
      'Compare session id and `context` with those that it was written with; if they are the same, treat it as ' +
      'tampering and restore the record or its data key.',
  },
  ERR_AUTHENTICATION: {
    meaning: 'A record or wrapped key was changed after it was sealed, or moved to another session.',
    fix: 'Treat it as tampering; restore the record from a backup.',
  },
  ERR_CLOCK: {
    meaning:
      'A record claims to have been written in the future, the clock gives no usable time, or it is so far ahead of the ' +
      "database's that nothing is deleted, and no hidden item removed, by it.",
    fix:
      'Correct the clock of the machine that wrote the record, or of this one. Where the message names maxAhead: accept a clock ' +
      'that you trust with it.',
  },
  ERR_EXPIRED: {
    meaning: 'The lifetime of a sealed run state is over.',
    fix: 'Start the run again; seal states with a longer expireAfter, or open them with a longer maxAge.',
  },
  ERR_SHREDDED: {
    meaning: 'The data key of a record was destroyed on purpose; the record can never be read again.',
    fix: 'None: this is what crypto-shredding is for.',
  },
  ERR_CONFLICT: {
    meaning:
      'The stored history is not what the operation expected, or its operation id was used for something else.',
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
    meaning: 'A call took longer than its limit.',
    fix: 'Retry; raise the limit if it is too short for this backend.',
  },
  ERR_CLOSED: {
    meaning: 'The store was closed.',
    fix: 'Open it again, or close it later.',
  },
  ERR_READ_ONLY: {
    meaning: 'Records were skipped as unreadable, so calls that remove or replace history are refused.',
    fix: 'Make the records readable and read the history once, or delete the session in its store.',
  },
  ERR_NOT_STAMPED: {
    meaning: 'A record without a time stamp was found where expire() needs one.',
    fix: "Migrate the session, or choose `unstamped: 'keep'` or 'hide'.",
  },
  ERR_LOAD: {
    meaning:
      'A package that is installed could not be loaded, for example because the process has too many open files.',
    fix: 'Repeat the call; see the cause. Nothing was changed.',
  },
  ERR_STORE: {
    meaning: 'The database failed. A call that adds items may have been committed.',
    fix: "Repeat an append when `error.written` is 'no', read back before you do when it is 'unknown'; see the cause.",
  },
};
