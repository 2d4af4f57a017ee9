import { StrongroomError } from '../errors.ts';

/** The error of a deletion that a hold forbids. */
export function heldError(sessionId: string, holdId: string): StrongroomError {
  return new StrongroomError(
    'ERR_HELD',
    `Session ${JSON.stringify(sessionId)} is under the hold ${JSON.stringify(holdId)}: nothing of it may be destroyed. ` +
      'Release the hold first.',
  );
}
