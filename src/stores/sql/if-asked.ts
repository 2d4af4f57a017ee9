import type { StrongroomError } from '../../errors.ts';
import type { FailureKind } from './client.ts';

/**
 * The answer to a query that not every database allows; `undefined` when it is refused. A missing answer is an
 * error like any other.
 */
export async function ifAsked<T>(
  question: () => Promise<T>,
  kindOf: (error: unknown) => FailureKind,
): Promise<T | undefined> {
  try {
    return await question();
  } catch (error) {
    const { disconnected, transient, full } = kindOf((error as StrongroomError).cause);
    if (disconnected === true || transient === true || full === true) throw error;
    return undefined;
  }
}
