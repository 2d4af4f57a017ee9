import { isStrongroomError, StrongroomError } from '../errors.ts';

/**
 * The answer of a key. Errors of a provider of the application that are not ours get a code: nobody knows what they mean, so no record
 * is taken as lost.
 *
 * @param kid The key, where it is known.
 * @throws {@link StrongroomError} `ERR_KEY_UNAVAILABLE` with the error as its cause.
 */
export async function askProvider<T>(
  kid: string | undefined,
  task: 'wrap' | 'unwrap',
  answer: () => Promise<T>,
): Promise<T> {
  try {
    return await answer();
  } catch (cause) {
    if (isStrongroomError(cause)) throw cause;
    const of = kid === undefined ? 'a key' : `the key ${JSON.stringify(kid)}`;
    throw new StrongroomError(
      'ERR_KEY_UNAVAILABLE',
      `The provider of ${of} did not ${task} a data key; see the cause. Nothing was sealed or opened: repeat the call.`,
      { cause },
    );
  }
}
