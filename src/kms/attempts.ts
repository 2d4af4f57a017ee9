import { checkOptions, invalidOption, parseDuration, type Duration } from '../options.ts';
import { checkPolicy, execute, repeating, type Policy } from '../policy.ts';

export type { Policy };

/** Options of every KMS adapter, in addition to its client. */
export interface KmsOptions {
  /**
   * Name of the key in the keyring and in every wrapped data key, 1 to 128 printable ASCII characters. Do not
   * change it later: data keys that were wrapped under another name are not found any more. Each adapter has a
   * default that names the key.
   */
  readonly kid?: string;
  /** How long one attempt may take. @defaultValue `'5s'` */
  readonly timeout?: Duration;
  /**
   * How often a call is made at most, 1 to 10. Only temporary failures are repeated: no answer, overload, an error
   * of the server. @defaultValue `3`
   */
  readonly attempts?: number;
  /**
   * The wait before the n-th repetition is random between 0 and this times 2 to the power of n - 1, at most 5 seconds
   * ("full jitter": many processes do not retry at the same time). @defaultValue `'100ms'`
   */
  readonly backoff?: Duration;
  /**
   * A policy of the package `cockatiel` instead of `timeout`, `attempts` and `backoff`, such as a circuit breaker or a
   * bulkhead, for `handleAll`: it sees only failures that may pass. What the service refuses counts as an answer.
   */
  readonly policy?: Policy;
}

const KMS_OPTIONS = ['kid', 'timeout', 'attempts', 'backoff', 'policy'] as const;

const MAX_ATTEMPTS = 10;
const MAX_WAIT = 5_000;

/** The checked options of repetition. */
export interface AttemptLimits {
  readonly timeout: number;
  readonly attempts: number;
  readonly backoff: number;
  /** Decides instead of the others. */
  readonly policy?: Policy | undefined;
}

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION` */
export function checkKmsOptions(where: string, options: KmsOptions, known: readonly string[]): AttemptLimits {
  checkOptions(where, options, [...known, ...KMS_OPTIONS]);
  const { policy } = options;
  if (policy !== undefined) {
    checkPolicy(where, policy);
    for (const name of ['timeout', 'attempts', 'backoff'] as const) {
      if (options[name] === undefined) continue;
      invalidOption(where, name, 'absent beside policy, which decides instead', options[name]);
    }
  }
  const attempts: unknown = options.attempts ?? 3;
  if (!Number.isSafeInteger(attempts) || (attempts as number) < 1 || (attempts as number) > MAX_ATTEMPTS) {
    invalidOption(where, 'attempts', `a whole number of 1 to ${MAX_ATTEMPTS}`, attempts);
  }
  return {
    attempts: attempts as number,
    timeout: parseDuration(where, 'timeout', options.timeout ?? '5s'),
    backoff: parseDuration(where, 'backoff', options.backoff ?? '100ms'),
    policy,
  };
}

/**
 * Runs `action` until it succeeds, fails for good, or the attempts are used up; the last error is thrown. An attempt
 * that takes too long is aborted, and fails with `ERR_TIMEOUT` even if it ignores its signal.
 */
export async function withAttempts<T>(
  limits: AttemptLimits,
  repeats: (error: unknown) => boolean,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { policy, attempts, backoff, timeout } = limits;
  if (policy !== undefined) return underPolicy(policy, repeats, action);
  const own = repeating({ retries: attempts - 1, delay: backoff, maxDelay: MAX_WAIT, timeout, repeats });
  return execute(own, action, { timeout });
}

async function underPolicy<T>(
  policy: Policy,
  repeats: (error: unknown) => boolean,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const outcome = await execute(policy, async (signal) => {
    try {
      return { value: await action(signal) };
    } catch (error) {
      if (signal.aborted || repeats(error)) throw error;
      return { error };
    }
  });
  if ('error' in outcome) throw outcome.error;
  return outcome.value;
}
