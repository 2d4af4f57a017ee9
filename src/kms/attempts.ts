import { StrongroomError } from '../errors.ts';
import { checkOptions, invalidOption, parseDuration, type Duration } from '../options.ts';

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
}

const KMS_OPTIONS = ['kid', 'timeout', 'attempts', 'backoff'] as const;

const MAX_ATTEMPTS = 10;
const MAX_WAIT = 5_000;

/** The checked options of repetition. */
export interface AttemptLimits {
  readonly timeout: number;
  readonly attempts: number;
  readonly backoff: number;
}

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION` */
export function checkKmsOptions(where: string, options: KmsOptions, known: readonly string[]): AttemptLimits {
  checkOptions(where, options, [...known, ...KMS_OPTIONS]);
  const attempts: unknown = options.attempts ?? 3;
  if (!Number.isSafeInteger(attempts) || (attempts as number) < 1 || (attempts as number) > MAX_ATTEMPTS) {
    invalidOption(where, 'attempts', `a whole number of 1 to ${MAX_ATTEMPTS}`, attempts);
  }
  return {
    attempts: attempts as number,
    timeout: parseDuration(where, 'timeout', options.timeout ?? '5s'),
    backoff: parseDuration(where, 'backoff', options.backoff ?? '100ms'),
  };
}

/** Sources of waiting and randomness; tests pass their own. */
export interface AttemptSources {
  wait(milliseconds: number): Promise<void>;
  /** 0 (included) to 1 (excluded). */
  random(): number;
}

const REAL: AttemptSources = {
  wait: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  random: () => Math.random(),
};

/**
 * Runs `action` until it succeeds, fails for good, or the attempts are used up; the last error is thrown. An attempt
 * that takes too long is aborted, and fails with `ERR_TIMEOUT` even if it ignores its signal.
 */
export async function withAttempts<T>(
  limits: AttemptLimits,
  repeats: (error: unknown) => boolean,
  action: (signal: AbortSignal) => Promise<T>,
  sources: AttemptSources = REAL,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await withTimeout(limits.timeout, action);
    } catch (error) {
      if (attempt >= limits.attempts || !repeats(error)) throw error;
      const most = Math.min(MAX_WAIT, limits.backoff * 2 ** (attempt - 1));
      await sources.wait(sources.random() * most);
    }
  }
}

async function withTimeout<T>(milliseconds: number, action: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new StrongroomError('ERR_TIMEOUT', `No answer within ${milliseconds} ms.`);
      // Reject before the abort: an action that obeys its signal would otherwise reject first, with its own error.
      reject(error);
      controller.abort(error);
    }, milliseconds);
  });
  try {
    return await Promise.race([action(controller.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
