import { isStrongroomError, StrongroomError, type Written } from '../errors.ts';

/** After `close()`. */
export function closedError(name: string): StrongroomError {
  return new StrongroomError(
    'ERR_CLOSED',
    `This store (${name}) was closed. Open it again, or close it after its last call.`,
    { written: 'no' },
  );
}

/** Whether a failed write was stored. `yes`: the session has it, but not the indexes elsewhere. */
export type Outcome = Written;

const HINTS: Readonly<Record<Outcome, string>> = {
  no: ' Nothing was written.',
  unknown: ' The call may have been committed: read the history before you repeat it.',
  yes:
    ' The session itself was changed as requested, so do not repeat an append. Listings and purges may miss that ' +
    'until the next write to the session.',
};

/**
 * Wraps the error of the database. Its text stays in `cause`: messages of drivers quote statements and values.
 *
 * @param outcome Omitted for reads.
 */
export function storeError(name: string, what: string, cause: unknown, outcome?: Outcome): unknown {
  if (isStrongroomError(cause)) return cause;
  const hint = outcome === undefined ? '' : HINTS[outcome];
  const error = new StrongroomError('ERR_STORE', `${name}: ${what}.${hint} See the cause.`, {
    cause,
    written: outcome,
  });
  failures.set(error, { name, what });
  return error;
}

const failures = new WeakMap<object, { readonly name: string; readonly what: string }>();

/** The same error with another outcome: it happened in a part of the call. */
export function withOutcome(error: unknown, outcome: Outcome | undefined): unknown {
  const failure = failures.get(error as object);
  if (failure === undefined) return error;
  return storeError(failure.name, failure.what, (error as Error).cause, outcome);
}

/** Runs a part of a call: gives its errors this outcome, if they have none. */
export async function saying<T>(outcome: Outcome, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isSilent = isStrongroomError(error) && error.written === undefined;
    throw isSilent ? withOutcome(error, outcome) : error;
  }
}

/** A record was sealed under a data key that has been destroyed since. */
export function shreddedError(sessionId: string, did: string): StrongroomError {
  return new StrongroomError(
    'ERR_SHREDDED',
    `The data key ${did} of session ${JSON.stringify(sessionId)} was destroyed, so a record sealed under it could ` +
      'never be read. Nothing was stored; seal it again under a new data key.',
    { written: 'no' },
  );
}

/** A record was sealed under a data key of this database that is missing: the database lost it. */
export function lostKeyError(sessionId: string, did: string): StrongroomError {
  return new StrongroomError(
    'ERR_KEY_UNKNOWN',
    `The data key ${did} of session ${JSON.stringify(sessionId)} is no longer in this database, and there is no ` +
      'tombstone for it: the database was restored to an earlier state, or the row was deleted. Nothing was stored; ' +
      'seal it again under a new data key.',
    { written: 'no' },
  );
}

/** A problem with the data key of a record. */
export interface KeyProblem {
  readonly did: string;
  readonly problem: 'destroyed' | 'lost';
}

export function keyError(sessionId: string, { did, problem }: KeyProblem): StrongroomError {
  return problem === 'destroyed' ? shreddedError(sessionId, did) : lostKeyError(sessionId, did);
}

/** The subject of a session is set by its first write and never changes: an erasure by subject must find it. */
export function subjectError(sessionId: string): StrongroomError {
  const error = new StrongroomError(
    'ERR_CONFLICT',
    `Session ${JSON.stringify(sessionId)} belongs to another subject. Nothing was changed. Open it with its own ` +
      'subject (see sessions()), or use another session for this subject.',
    { written: 'no' },
  );
  subjectErrors.add(error);
  return error;
}

const subjectErrors = new WeakSet<object>();

export function isSubjectError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && subjectErrors.has(error);
}

/** A branch that has records of its own cannot begin with those of another session. */
export function notEmptyError(sessionId: string, branchId: string): StrongroomError {
  return new StrongroomError(
    'ERR_CONFLICT',
    `Session ${JSON.stringify(branchId)} has items already, so it cannot begin with those of ${JSON.stringify(sessionId)}. ` +
      'Nothing was changed. Delete it first, or choose another name.',
    { written: 'no' },
  );
}

/** The error for a history that the store had and lost. */
export function lostHistoryError(name: string, sessionId: string): StrongroomError {
  const error = new StrongroomError(
    'ERR_MALFORMED',
    `${name}: the items of session ${JSON.stringify(sessionId)} are gone: the server evicted their key, or the key was ` +
      'deleted. Nothing was changed. Restore the session from a backup, or delete what is left of it with ' +
      'deleteSession().',
    { dataLost: true },
  );
  lostHistories.add(error);
  return error;
}

const lostHistories = new WeakSet<object>();

export function isLostHistory(error: unknown): boolean {
  return typeof error === 'object' && error !== null && lostHistories.has(error);
}

/**
 * Whether the database has the newest schema that this version of strongroom knows.
 *
 * @throws {@link StrongroomError} `ERR_UNSUPPORTED` when it has a later one: the meaning of its rows is unknown.
 */
export function isCurrentSchema(name: string, found: number, known: number): boolean {
  if (found <= known) return found === known;
  throw new StrongroomError(
    'ERR_UNSUPPORTED',
    `${name}: the database has schema version ${found}, this version of strongroom knows up to ${known}. ` +
      'Update strongroom; nothing was changed.',
  );
}

/** The schema of the database is of an earlier version, and the store may not change it. */
export function olderSchemaError(name: string, found: number, known: number, setup: string): StrongroomError {
  return new StrongroomError(
    'ERR_UNSUPPORTED',
    `${name}: the database has schema version ${found}, this version of strongroom needs ${known}. Run the statements ` +
      `of ${setup}({ from: ${found} }), or let the store create its tables; nothing was changed.`,
  );
}
