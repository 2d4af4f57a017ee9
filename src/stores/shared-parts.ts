import { StrongroomError } from '../errors.ts';

/**
 * Of so many sessions a history has records at most: a branch of a branch, and so on. The next one gets records of its own,
 * so that what follows the references ends, also where somebody wrote a circle into the database. Databases follow
 * 1,000 by default.
 */
export const MOST_PARTS = 100;

/** What a branch begins with refers back to the branch, or to more sessions than strongroom ever lets it. */
export function damagedBeginningError(name: string, sessionId: string): StrongroomError {
  return new StrongroomError(
    'ERR_MALFORMED',
    `${name}: what session ${JSON.stringify(sessionId)} begins with is damaged: it refers to itself, or to more than ` +
      `${MOST_PARTS} sessions. Nothing was changed. Restore the session from a backup, or delete it with deleteSession().`,
  );
}
