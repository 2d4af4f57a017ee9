import { parseMaxAhead } from '../../clock.ts';
import { StrongroomError } from '../../errors.ts';
import type { CallOrigin } from '../../layer.ts';
import { parseCount, parseDuration, type Duration } from '../../options.ts';
import { checkCall, originOf } from '../../protocol/call-origin.ts';
import { warn } from '../../warning.ts';
import type { RetentionReport } from './report.ts';

/** The name in errors. */
export const WHERE = 'retention';

/** Options of {@link retention}: at least one rule. */
export interface RetentionOptions extends Omit<CallOrigin, 'runContext'> {
  /** Purges expired records; with a duration also records of at least this age, see `purgeExpired`. */
  readonly expired?: true | Duration;
  /**
   * Deletes sessions whose first item is older, a conversation with its derived sessions. Data keys, vaults and registers of
   * branches go with their conversation; when it has no items and nothing else of it remains, by their last item.
   */
  readonly maxAge?: Duration;
  /**
   * Deletes conversations whose last item is older, with their derived sessions. Items of branches and other
   * derived sessions count. What somebody writes while a run deletes is kept, in the session in which it was written.
   */
  readonly maxIdle?: Duration;
  /**
   * Keeps the last items of each conversation and each branch. It counts records and cannot see links inside sealed
   * ones: a cut between a call and its result leaves one without the other. Prefer a summary (`strongroom/history`)
   * for sessions that continue.
   */
  readonly keepLast?: number;
  /**
   * How far the store's clock may be ahead before a run that deletes by it is `ERR_CLOCK`, see `purgeExpired`. `keepLast` alone
   * needs no clock.
   */
  readonly maxAhead?: Duration | 'any';
  /** Time between two runs of {@link Retention.start}. Default `'1h'`. */
  readonly every?: Duration;
  /** Records a transaction of the purge. Default 1,000. */
  readonly batch?: number;
  /** Gets the report of each scheduled run. */
  readonly onReport?: (report: RetentionReport) => void;
  /** Gets the error of a scheduled run; the next one runs nevertheless. Default: a process warning. */
  readonly onError?: (error: unknown) => void;
}

/** {@link RetentionOptions}, checked, with their defaults; times in milliseconds. */
export interface RetentionSettings {
  readonly origin: CallOrigin;
  readonly expired: boolean;
  /** Records of at least this age count as expired. */
  readonly after: number | undefined;
  readonly age: number | undefined;
  readonly idle: number | undefined;
  readonly keep: number | undefined;
  readonly maxAhead: ReturnType<typeof parseMaxAhead>;
  /** As given, for the purge, which checks it too. */
  readonly givenAhead: Duration | 'any' | undefined;
  readonly every: number;
  readonly batch: number | undefined;
  readonly onReport: ((report: RetentionReport) => void) | undefined;
  readonly onError: (error: unknown) => void;
}

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION`. */
export function checkRetentionOptions(options: RetentionOptions): RetentionSettings {
  const known = [
    'expired',
    'maxAge',
    'maxIdle',
    'keepLast',
    'maxAhead',
    'every',
    'batch',
    'onReport',
    'onError',
  ] as const;
  checkCall(WHERE, options, known);
  const origin = originOf(options);
  const { expired, maxAge, maxIdle, keepLast, onReport, onError = warnOf } = options;
  if (expired === undefined && maxAge === undefined && maxIdle === undefined && keepLast === undefined) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${WHERE}: give a rule: expired, maxAge, maxIdle or keepLast.`,
    );
  }
  const after =
    expired === undefined || expired === true ? undefined : parseDuration(WHERE, 'expired', expired);
  const age = maxAge === undefined ? undefined : parseDuration(WHERE, 'maxAge', maxAge);
  const idle = maxIdle === undefined ? undefined : parseDuration(WHERE, 'maxIdle', maxIdle);
  const keep = keepLast === undefined ? undefined : parseCount(WHERE, 'keepLast', keepLast);
  const maxAhead = parseMaxAhead(WHERE, options.maxAhead);
  const every = parseDuration(WHERE, 'every', options.every ?? '1h');
  const batch = options.batch === undefined ? undefined : parseCount(WHERE, 'batch', options.batch);
  return {
    origin,
    expired: expired !== undefined,
    after,
    age,
    idle,
    keep,
    maxAhead,
    givenAhead: options.maxAhead,
    every,
    batch,
    onReport,
    onError,
  };
}

function warnOf(error: unknown): void {
  const reason = error instanceof Error ? error.message : 'unknown error';
  warn('STRONGROOM_RETENTION_FAILED', `A retention run failed: ${reason}`);
}
