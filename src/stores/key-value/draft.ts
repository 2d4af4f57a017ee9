import { StrongroomError } from '../../errors.ts';
import { saying } from '../failure.ts';
import type { Database, KeyRange, KeyValue } from './database.ts';
import { decodeJson, encodeJson } from './layout.ts';

/** A change before its commit: the values that it has read must not change until then. */
export interface Draft {
  /** The values under these keys, each of which the commit expects to be the same. */
  read(...keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** The same for one value of JSON. */
  readJson<T>(key: string): Promise<T | undefined>;
  /**
   * The current pairs of the range. The commit has no condition on them: a value that was read must change with
   * them.
   */
  list(range: KeyRange): Promise<readonly KeyValue[]>;
  expect(key: string, value: Uint8Array | undefined): void;
  put(key: string, value: Uint8Array): void;
  putJson(key: string, value: unknown): void;
  remove(key: string): void;
  /** Whether all values that were read are unchanged. */
  isCurrent(): Promise<boolean>;
}

/** Thrown by a decision that is based on outdated data: it is made again. */
export class Outdated extends Error {}

const ATTEMPTS = 200;
/** Attempts without a pause. */
const PATIENCE = 3;
const MOST_DELAY = 20;

/**
 * Decides on a change and commits it; again, when another writer changed the data of the decision.
 *
 * @param what The changed object, for the message.
 * @param decide Reads and writes through the draft. Its writes are not stored when it throws.
 * @throws {@link StrongroomError} `ERR_CONFLICT` when others are always faster.
 */
export async function attempt<T>(
  database: Database,
  what: string,
  decide: (draft: Draft) => Promise<T>,
): Promise<T> {
  for (let number = 0; number < ATTEMPTS; number++) {
    if (number > PATIENCE) await outOfStep(number);
    const expected = new Map<string, Uint8Array | undefined>();
    const writes = new Map<string, Uint8Array | undefined>();
    let result: T;
    try {
      result = await saying('no', () => decide(draftOver(database, expected, writes)));
    } catch (error) {
      if (error instanceof Outdated) continue;
      throw error;
    }
    if (writes.size === 0) return result;
    const put: KeyValue[] = [];
    const remove: string[] = [];
    for (const [key, value] of writes) {
      if (value === undefined) remove.push(key);
      else put.push([key, value]);
    }
    if (await database.commit({ expect: [...expected], put, remove })) return result;
  }
  throw new StrongroomError(
    'ERR_CONFLICT',
    `Other writers changed ${what} ${ATTEMPTS} times in a row, or the driver refuses a commit although nothing that it expects has changed. Nothing was changed; try again.`,
    { written: 'no' },
  );
}

/** The same for one session. */
export function attemptOn<T>(
  database: Database,
  sessionId: string,
  decide: (draft: Draft) => Promise<T>,
): Promise<T> {
  return attempt(database, `session ${JSON.stringify(sessionId)}`, decide);
}

function draftOver(
  database: Database,
  expected: Map<string, Uint8Array | undefined>,
  writes: Map<string, Uint8Array | undefined>,
): Draft {
  const draft: Draft = {
    async read(...keys) {
      const missing = keys.filter((key) => !expected.has(key));
      const values = missing.length === 0 ? [] : await database.get(missing);
      for (const [index, key] of missing.entries()) expected.set(key, values[index]);
      return keys.map((key) => expected.get(key));
    },
    async readJson<T>(key: string) {
      const [value] = await draft.read(key);
      return value === undefined ? undefined : (decodeJson(value) as T);
    },
    list: (range) => database.list(range),
    expect: (key, value) => void expected.set(key, value),
    put: (key, value) => void writes.set(key, value),
    putJson: (key, value) => void writes.set(key, encodeJson(value)),
    remove: (key) => void writes.set(key, undefined),
    async isCurrent() {
      const keys = [...expected.keys()];
      const values = await database.get(keys);
      return keys.every((key, index) => isSame(expected.get(key), values[index]));
    },
  };
  return draft;
}

function isSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

/** Waits for a random time, longer after more attempts: conflicting callers must not retry in step. */
function outOfStep(number: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.random() * Math.min(number, MOST_DELAY));
  });
}
