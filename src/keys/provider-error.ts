import { isStrongroomError, StrongroomError } from '../errors.ts';

/**
 * Errors of a provider of the application that are not ours get a code: nobody knows what they mean, so no record is taken as lost.
 *
 * @param kid The key, where it is known.
 * @returns `ERR_KEY_UNAVAILABLE` with the error as its cause; an error of ours as it is.
 */
export function providerError(
  kid: string | undefined,
  task: 'wrap' | 'unwrap',
  cause: unknown,
): StrongroomError {
  if (isStrongroomError(cause)) return cause;
  const of = kid === undefined ? 'a key' : `the key ${JSON.stringify(kid)}`;
  return new StrongroomError(
    'ERR_KEY_UNAVAILABLE',
    `The provider of ${of} did not ${task} a data key; see the cause. Nothing was sealed or opened: repeat the call.`,
    { cause },
  );
}

/** The answer of a provider. @throws {@link StrongroomError} as {@link providerError} says. */
export async function askProvider<T>(
  kid: string | undefined,
  task: 'wrap' | 'unwrap',
  answer: () => Promise<T>,
): Promise<T> {
  try {
    return await answer();
  } catch (cause) {
    throw providerError(kid, task, cause);
  }
}
