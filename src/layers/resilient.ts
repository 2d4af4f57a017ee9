import { isStrongroomError, StrongroomError } from '../errors.ts';
import type { CallKind, SessionCall, SessionLayer } from '../layer.ts';
import { checkOptions, invalidOption, parseDuration, type Duration } from '../options.ts';

/** Options of {@link resilient}. */
export interface ResilientOptions {
  /**
   * How often a call that failed is tried again; 0 to 100.
   *
   * @defaultValue 2
   */
  readonly retries?: number;
  /**
   * How long one attempt of a read may take before it fails with `ERR_TIMEOUT`. Writes have no limit: an abandoned
   * one could still be applied, after a later one.
   *
   * @defaultValue no limit
   */
  readonly timeout?: Duration;
  /**
   * Longest pause before the first retry; it doubles with each, up to `maxDelay`. The pause is a random part of it,
   * so that clients which failed together do not retry together.
   *
   * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("full jitter")
   * @defaultValue 100
   */
  readonly delay?: Duration;
  /** @defaultValue '5s' */
  readonly maxDelay?: Duration;
  /**
   * Whether the call can succeed when it is repeated.
   *
   * @defaultValue strongroom errors that are marked as retryable in docs/errors.md, except `ERR_CLOCK`, and every
   * other error
   */
  readonly retryOn?: (error: unknown) => boolean;
}

/** More is a mistake: with the default pauses a call would hang for minutes. */
const MAX_RETRIES = 100;

/**
 * Repeats failed calls where this is safe: reads; transactions with an operation id, which the inner session
 * applies only once; and `addItems` whose error says that nothing was written (`error.written` is `'no'`, see
 * {@link StrongroomError}): a refused connection, a key service that does not answer. After any other error of
 * `addItems`, also of a session that is not ours, only the acknowledgement may be lost, and a repeat would store
 * the items twice. `popItem`, `clearSession` and compactions are never repeated.
 *
 * It may stand anywhere in a stack; below `exclusive()`, so that the turn of a run lasts through the retries. Calls
 * of one session keep their order, so a later call waits for the retries of an earlier write.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Reads reject with `ERR_TIMEOUT`; after the last retry a call
 * rejects with the last error.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { wrapSession } from 'strongroom';
 * import { resilient } from 'strongroom/resilience';
 *
 * const session = wrapSession(new MemorySession(), [resilient({ retries: 3, timeout: '2s' })]);
 * ```
 */
export function resilient(options: ResilientOptions = {}): SessionLayer {
  checkOptions('resilient', options, ['retries', 'timeout', 'delay', 'maxDelay', 'retryOn']);
  const { retries = 2, retryOn = canSucceedLater } = options;
  if (!Number.isSafeInteger(retries) || retries < 0 || retries > MAX_RETRIES) {
    invalidOption('resilient', 'retries', `a whole number from 0 to ${MAX_RETRIES}`, retries);
  }
  const timeout =
    options.timeout === undefined ? undefined : parseDuration('resilient', 'timeout', options.timeout);
  const delay = options.delay === undefined ? 100 : parseDuration('resilient', 'delay', options.delay);
  const maxDelay =
    options.maxDelay === undefined ? 5_000 : parseDuration('resilient', 'maxDelay', options.maxDelay);
  if (typeof retryOn !== 'function') invalidOption('resilient', 'retryOn', 'a function', retryOn);

  return {
    name: 'resilient',
    async around(call, next) {
      const reads = call.kind === 'getItems';
      const always = reads || isIdempotent(call);
      if (!always && call.kind !== 'addItems') return next();
      const attempt =
        reads && timeout !== undefined ? async () => within(timeout, call, next) : async () => next();
      for (let retry = 0; ; retry++) {
        try {
          return await attempt();
        } catch (error) {
          if (retry >= retries || !(always || isUnwritten(error, call)) || !retryOn(error)) throw error;
          await pause(Math.random() * Math.min(maxDelay, delay * 2 ** retry));
        }
      }
    },
  };
}

/** Calls that can be repeated under their operation id. */
const IDEMPOTENT: readonly CallKind[] = ['applyHistoryTransaction', 'replacePrefix', 'archive'];

function isIdempotent({ kind, operationId }: SessionCall): boolean {
  return operationId !== undefined && IDEMPOTENT.includes(kind);
}

/** The error can be of an inner layer, after the append was acknowledged. */
function isUnwritten(error: unknown, { result }: SessionCall): boolean {
  return isStrongroomError(error) && error.written === 'no' && result.items === undefined;
}

function canSucceedLater(error: unknown): boolean {
  if (!isStrongroomError(error)) return true;
  return error.code !== 'ERR_CLOCK' && error.retryable;
}

async function within<T>(limit: number, call: SessionCall, next: () => Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(
        new StrongroomError(
          'ERR_TIMEOUT',
          `resilient: ${call.kind} on session ${JSON.stringify(call.sessionId)} took longer than ${limit} ms. ` +
            'Try again, or raise timeout if it is too short for this backend.',
        ),
      );
    }, limit);
  });
  try {
    // The abandoned read may still fail; race() observes both promises to the end, so no rejection is unhandled.
    return await Promise.race([next(), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}
