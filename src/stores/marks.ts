import { microseconds } from '../crypto/random.ts';
import type { AppendStep, HistoryVersion, VersionAnswer } from '../layer.ts';

/** Marks, and sums of them, stay below this: 2^48. Two such sums fit into a whole number of JavaScript. */
export const MARKS: number = 2 ** 48;

/**
 * The number that a change adds to the version of its history. Random, so that a history that was restored to an
 * earlier state (a server that lost its last commits, a backup) and changed since never has an earlier version
 * again. The writer chooses the mark, and so knows the version afterwards if there was no other writer.
 *
 * It is not a secret, so it does not come from the system's generator, whose call takes a twentieth of the time of
 * an append to SQLite. The time in it separates the marks of clones of this process (see crypto/random.ts).
 *
 * @returns From 1 to 2^48 - 1.
 */
export function newMark(): number {
  return 1 + ((Math.floor(Math.random() * MARKS) + microseconds()) % (MARKS - 1));
}

/** A version where the database keeps the sum of all marks, and the number that follows the last item's. */
export interface CountedVersion {
  readonly generation: number;
  readonly end: number;
}

/** The generation after a change with this mark. */
export function movedOn(generation: number, mark: number): number {
  return (generation + mark) % MARKS;
}

/** The version after one more append, where the generation is the sum of the marks of all changes. */
export function afterAppend(
  { generation, end }: CountedVersion,
  { mark, records }: AppendStep,
): CountedVersion {
  return { generation: movedOn(generation, mark), end: end + records };
}

/**
 * @param next The version after one more append.
 * @param since The earlier version: see `VersionSource.compare`.
 */
export function answerOf(
  { generation, end }: CountedVersion,
  next: (before: CountedVersion, step: AppendStep) => CountedVersion,
  since: Since | undefined,
): VersionAnswer {
  const version = `${generation}:${end}`;
  if (since === undefined) return { version, follows: false };
  if (since.steps.length === 0) return { version, follows: version === since.version };
  const [generationThen, endThen] = since.version.split(':').map(Number) as [number, number];
  const expected = since.steps.reduce(next, { generation: generationThen, end: endThen });
  return { version, follows: expected.generation === generation && expected.end === end };
}

/** An earlier version of a history, and the appends of this process since. */
export interface Since {
  readonly version: HistoryVersion;
  readonly steps: readonly AppendStep[];
}
