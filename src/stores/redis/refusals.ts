import { isLostHistory, keyError, subjectError, type KeyProblem } from '../failure.ts';

/** In the form of the scripts: `+` before those that must exist here. */
export function signed(dids: readonly string[], needed: ReadonlySet<string>): string[] {
  return dids.map((did) => (needed.has(did) ? `+${did}` : `-${did}`));
}

const REFUSALS: Readonly<Record<string, KeyProblem['problem']>> = { destroyed: 'destroyed', missing: 'lost' };

/** @throws {@link StrongroomError} when a script reported that a data key is missing. */
export function throwRefusal(sessionId: string, state: string, did: string): void {
  if (state === 'owned') throw subjectError(sessionId);
  const problem = REFUSALS[state];
  if (problem !== undefined) throw keyError(sessionId, { did, problem });
}

/** A call over all sessions does not stop at a lost one: the error is for the call that reads that session. */
export async function unlessLost<T, E>(work: Promise<T>, otherwise: E): Promise<T | E> {
  try {
    return await work;
  } catch (error) {
    if (isLostHistory(error)) return otherwise;
    throw error;
  }
}
