import { isStrongroomError } from '../errors.ts';
import type { CallKind, SessionCall, SessionLayer } from '../layer.ts';
import { atOnce, checkOptions, invalidOption, parseDuration, type Duration } from '../options.ts';
import { checkPolicy, execute, repeating, type Policy } from '../policy.ts';
import { createNesting } from './resilient/nesting.ts';

export type { Policy };

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
   * @defaultValue {@link isTemporary}
   */
  readonly retryOn?: (error: unknown) => boolean;
  /**
   * A policy of the package `cockatiel` instead of all other options: a retry, circuit breaker, bulkhead or timeout, or
   * several by its `wrap()`. All sessions of the layer share it, so a breaker opens for all of them. Whatever the
   * policy, calls are repeated only where this is safe, a change is never given up while it is running, and calls that
   * are part of another call (of a vault in the same store, for example) are in its slot of a bulkhead, where the
   * runtime has `AsyncLocalStorage`.
   *
   * @see https://github.com/connor4312/cockatiel
   */
  readonly policy?: Policy;
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
 * With a `policy` of `cockatiel` all calls on sessions are under it, these too: a breaker counts their failures and
 * refuses them while it is open, a bulkhead bounds how many run at once. What a policy repeats although it is not safe
 * fails with the error of the first attempt.
 *
 * It may stand anywhere in a stack; below `exclusive()`, so that the turn of a run lasts through the retries. Calls
 * of one session keep their order, so a later call waits for the retries of an earlier write.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Reads reject with `ERR_TIMEOUT`, calls that a breaker or bulkhead
 * refuses with `ERR_STORE` (`written` is `'no'`); after the last retry a call rejects with the last error.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { ConsecutiveBreaker, ExponentialBackoff, bulkhead, circuitBreaker, handleWhen, retry, wrap } from 'cockatiel';
 * import { wrapSession } from 'strongroom';
 * import { isTemporary, resilient } from 'strongroom/resilience';
 *
 * const session = wrapSession(new MemorySession(), [resilient({ retries: 3, timeout: '2s' })]);
 *
 * const temporary = handleWhen(isTemporary);
 * const policy = wrap(
 *   retry(temporary, { maxAttempts: 3, backoff: new ExponentialBackoff() }),
 *   circuitBreaker(temporary, { halfOpenAfter: 10_000, breaker: new ConsecutiveBreaker(5) }),
 *   bulkhead(50, 500),
 * );
 * const guarded = wrapSession(new MemorySession(), [resilient({ policy })]);
 * ```
 */
export function resilient(options: ResilientOptions = {}): SessionLayer {
  const own = ['retries', 'timeout', 'delay', 'maxDelay', 'retryOn'] as const;
  checkOptions('resilient', options, [...own, 'policy']);
  const { policy } = options;
  if (policy === undefined) return { name: 'resilient', around: repeated(options) };
  checkPolicy('resilient', policy);
  for (const name of own) {
    if (options[name] === undefined) continue;
    invalidOption('resilient', name, 'absent beside policy, which decides instead', options[name]);
  }
  const nesting = createNesting();
  return {
    name: 'resilient',
    async around(call, next) {
      if (call.sessionId === '' || nesting.isInside()) return next();
      return guarded(policy, call, () => nesting.inside(next));
    },
  };
}

function repeated(options: ResilientOptions): NonNullable<SessionLayer['around']> {
  const { retries = 2, retryOn = isTemporary } = options;
  if (!Number.isSafeInteger(retries) || retries < 0 || retries > MAX_RETRIES) {
    invalidOption('resilient', 'retries', `a whole number from 0 to ${MAX_RETRIES}`, retries);
  }
  const timeout =
    options.timeout === undefined ? undefined : parseDuration('resilient', 'timeout', options.timeout);
  const delay = options.delay === undefined ? 100 : parseDuration('resilient', 'delay', options.delay);
  const maxDelay =
    options.maxDelay === undefined ? 5_000 : parseDuration('resilient', 'maxDelay', options.maxDelay);
  if (typeof retryOn !== 'function') invalidOption('resilient', 'retryOn', 'a function', retryOn);
  const waits = { retries, delay, maxDelay };

  return async (call, next) => {
    if (call.kind !== 'addItems' && !isRepeatable(call, undefined)) return next();
    const limit = call.kind === 'getItems' ? timeout : undefined;
    const repeats = (error: unknown): boolean =>
      isRepeatable(call, error) && atOnce('resilient', 'retryOn', retryOn(error));
    return execute(repeating({ ...waits, timeout: limit, repeats }), next, {
      where: whereOf(call),
      timeout: limit,
    });
  };
}

/** Makes a call under a policy that does not know which calls may be repeated or given up. */
async function guarded<T>(policy: Policy, call: SessionCall, next: () => Promise<T>): Promise<T> {
  const where = whereOf(call);
  if (call.kind === 'getItems') return execute(policy, next, { where });
  const end = new AbortController();
  /** The attempt that runs, or that failed and must not be repeated. */
  let only: Promise<T> | undefined;
  let isOver = false;
  const change = (): Promise<T> => {
    // The policy repeats what cannot be repeated: it gets the same error, and a sign to stop.
    if (isOver) end.abort();
    only ??= (async () => {
      try {
        return await next();
      } catch (error) {
        if (isRepeatable(call, error)) only = undefined;
        else isOver = true;
        throw error;
      }
    })();
    return only;
  };
  try {
    return await execute(policy, change, { where }, end.signal);
  } catch (error) {
    // A policy can stop waiting, but the change goes on: its outcome is that of the call.
    if (only === undefined) throw error;
    return await only;
  }
}

const whereOf = ({ kind, sessionId }: SessionCall): string =>
  `resilient: ${kind} on session ${JSON.stringify(sessionId)}: `;

/** Calls that can be repeated under their operation id. */
const IDEMPOTENT: readonly CallKind[] = ['applyHistoryTransaction', 'replacePrefix', 'archive'];

function isRepeatable(call: SessionCall, error: unknown): boolean {
  const { kind, operationId } = call;
  if (kind === 'getItems' || (operationId !== undefined && IDEMPOTENT.includes(kind))) return true;
  return kind === 'addItems' && isUnwritten(error, call);
}

/** The error can be of an inner layer, after the append was acknowledged. */
function isUnwritten(error: unknown, { result }: SessionCall): boolean {
  return isStrongroomError(error) && error.written === 'no' && result.items === undefined;
}

/**
 * Whether the same call can succeed a little later: strongroom errors that are marked as retryable in docs/errors.md,
 * except `ERR_CLOCK`, and every other error. For `handleWhen()` of cockatiel, so that a breaker does not open because
 * of calls that are refused for good.
 */
export function isTemporary(error: unknown): boolean {
  if (!isStrongroomError(error)) return true;
  return error.code !== 'ERR_CLOCK' && error.retryable;
}
