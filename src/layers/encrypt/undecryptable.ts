import type { AgentInputItem } from '@openai/agents';
import { defined } from '../../defined.ts';
import { isStrongroomError, StrongroomError, type ErrorCode } from '../../errors.ts';
import type { SessionCall } from '../../layer.ts';
import { dropPromise } from '../../options.ts';
import { headerOf } from './record.ts';

/** Why a record does not open: an error code without `ERR_`. */
export type UndecryptableReason =
  | 'NOT_SEALED'
  | 'MALFORMED'
  | 'UNSUPPORTED'
  | 'KEY_UNKNOWN'
  | 'KEY_DISABLED'
  | 'KEY_UNAVAILABLE'
  | 'COMMITMENT'
  | 'AUTHENTICATION'
  | 'SHREDDED';

/** Identifies a record that does not open, without its content. */
export interface UndecryptableReference {
  readonly sessionId: string;
  /** Position in the records of this read, 0 for the oldest; absent when a single record was opened. */
  readonly index?: number;
  /** How many records this read opened. */
  readonly count?: number;
  /** Id of the data key, when the record names one. */
  readonly did?: string;
  /** The time of writing in the record, Unix milliseconds; not authenticated. */
  readonly writtenAt?: number;
  /** The error that is thrown unless the record is skipped. */
  readonly error: StrongroomError;
}

/** Why a record does not open. */
export interface Failure {
  readonly failure: StrongroomError;
}

export function failed(code: ErrorCode, message: string): Failure {
  return { failure: new StrongroomError(code, message) };
}

const UNDECRYPTABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_NOT_SEALED',
  'ERR_MALFORMED',
  'ERR_UNSUPPORTED',
  'ERR_KEY_UNKNOWN',
  'ERR_KEY_DISABLED',
  'ERR_KEY_UNAVAILABLE',
  'ERR_COMMITMENT',
  'ERR_AUTHENTICATION',
  'ERR_SHREDDED',
]);

export function isUndecryptable(error: unknown): error is StrongroomError {
  return isStrongroomError(error) && UNDECRYPTABLE.has(error.code);
}

/** The result, or the failure when the error is that of a record that does not open. */
export function attempt<T>(action: () => T): T | Failure {
  try {
    return action();
  } catch (error) {
    if (isUndecryptable(error)) return { failure: error };
    throw error;
  }
}

/** The type of the option `onUndecryptable`. */
export type UndecryptablePolicy = (
  reason: UndecryptableReason,
  reference: UndecryptableReference,
) => 'throw' | 'skip';

/**
 * Returns when the policy skips the record; reports it to the engine, unless its data key was destroyed on purpose.
 *
 * @param place The position of the record in the read, if it is one of many.
 */
export function skipOrThrow(
  policy: UndecryptablePolicy | undefined,
  error: StrongroomError,
  record: AgentInputItem,
  place: { readonly index: number; readonly count: number } | undefined,
  call: SessionCall,
): void {
  const which = place === undefined ? 'A record' : `Record ${place.index + 1} of ${place.count}`;
  const located = new StrongroomError(
    error.code,
    `${which} of session ${JSON.stringify(call.sessionId)} does not open: ${error.message}`,
    { cause: error.cause ?? error, dataLost: error.dataLost, retryable: error.retryable },
  );
  const reason = error.code.slice('ERR_'.length) as UndecryptableReason;
  const header = headerOf(record);
  const decision = policy?.(
    reason,
    defined({ sessionId: call.sessionId, ...place, did: header?.d, writtenAt: header?.t, error: located }),
  );
  // Every answer but 'skip' throws, a promise included.
  dropPromise(decision);
  const skip = policy === undefined ? reason === 'SHREDDED' : decision === 'skip';
  if (!skip || reason === 'KEY_UNAVAILABLE') throw located;
  if (reason !== 'SHREDDED') call.skipped();
}
