import {
  ExponentialBackoff,
  fullJitterGenerator,
  handleWhen,
  isBrokenCircuitError,
  isBulkheadRejectedError,
  isTaskCancelledError,
  retry,
  timeout as timeLimit,
  TimeoutStrategy,
  wrap,
} from 'cockatiel';
import { StrongroomError } from './errors.ts';
import { invalidOption } from './options.ts';

/**
 * A policy of the package `cockatiel`: a retry, circuit breaker, bulkhead or timeout, or several by its `wrap()`.
 * Only this method is used, so that any copy of `cockatiel` 3 or later will do.
 *
 * @see https://github.com/connor4312/cockatiel
 */
export interface Policy {
  execute<T>(
    action: (context: { readonly signal: AbortSignal }) => PromiseLike<T> | T,
    signal?: AbortSignal,
  ): Promise<T>;
}

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION` */
export function checkPolicy(where: string, policy: unknown): asserts policy is Policy {
  if (typeof (policy as Partial<Policy> | null)?.execute !== 'function') {
    invalidOption(where, 'policy', 'a policy of the package cockatiel', policy);
  }
}

/** When a call is repeated, and how long one attempt may take. */
export interface Repetition {
  /** How often a failed call is made again. */
  readonly retries: number;
  /** Longest wait before the first repetition, in milliseconds; it doubles with each, up to `maxDelay`. */
  readonly delay: number;
  readonly maxDelay: number;
  /** Milliseconds; absent for no limit. */
  readonly timeout?: number | undefined;
  /** Gets the errors that {@link execute} rejects with. */
  readonly repeats: (error: unknown) => boolean;
}

/**
 * Repeats failures after random waits ("full jitter": many processes do not repeat at the same time).
 *
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function repeating({ retries, delay, maxDelay, timeout, repeats }: Repetition): Policy {
  const backoff = new ExponentialBackoff({
    generator: fullJitterGenerator,
    initialDelay: delay,
    maxDelay,
  });
  const handled = handleWhen((error) => repeats(translated(error, { timeout })));
  const repeated = retry(handled, { maxAttempts: retries, backoff });
  return timeout === undefined ? repeated : wrap(repeated, timeLimit(timeout, TimeoutStrategy.Aggressive));
}

/** The beginning of messages, and the milliseconds that an attempt may take, where they are known. */
interface Said {
  readonly where?: string;
  readonly timeout?: number | undefined;
}

/**
 * Makes a call under a policy. The result is always that of an attempt: a policy that answers by itself (`fallback()`
 * of cockatiel) would invent history or ciphertext.
 *
 * @param said For messages.
 * @param signal Ends the repetitions.
 * @throws {@link StrongroomError} `ERR_TIMEOUT`; `ERR_STORE` when a breaker or bulkhead did not let the call through; `ERR_INVALID_OPTION`
 * for a policy that answers by itself; else the error of the last attempt.
 */
export async function execute<T>(
  policy: Policy,
  action: (signal: AbortSignal) => Promise<T>,
  said: Said = {},
  signal?: AbortSignal,
): Promise<T> {
  const results = new WeakSet<object>();
  const attempt = async (context: { readonly signal: AbortSignal }): Promise<{ readonly value: T }> => {
    try {
      const result = { value: await action(context.signal) };
      results.add(result);
      return result;
    } catch (error) {
      // An action that obeys its signal rejects with an error of its own, which says less.
      if (context.signal.aborted && signal?.aborted !== true) throw late(said, error);
      throw error;
    }
  };
  let result: { readonly value: T };
  try {
    result = await policy.execute(attempt, signal);
  } catch (error) {
    throw translated(error, said);
  }
  if (typeof result === 'object' && results.has(result)) return result.value;
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${said.where ?? ''}The policy answered a call by itself. Take fallback() of cockatiel out of it: the answer must come from what is called.`,
  );
}

function translated(error: unknown, { where = '', timeout }: Said): unknown {
  if (isTaskCancelledError(error)) return late({ where, timeout }, error);
  const reason = isBrokenCircuitError(error)
    ? 'the circuit breaker of the policy is open after failures'
    : isBulkheadRejectedError(error)
      ? 'the bulkhead of the policy is full'
      : undefined;
  if (reason === undefined) return error;
  return new StrongroomError(
    'ERR_STORE',
    `${where}The call was not tried: ${reason}. Nothing was written; try again later.`,
    { cause: error, written: 'no' },
  );
}

function late({ where = '', timeout }: Said, cause: unknown): StrongroomError {
  const time = timeout === undefined ? 'in the time that the policy allows' : `within ${timeout} ms`;
  return new StrongroomError('ERR_TIMEOUT', `${where}No answer ${time}.`, { cause });
}
