import type { StoreDriver } from '../driver.ts';
import type { AppendStep } from '../../layer.ts';
import type { Since } from '../marks.ts';
import { textOf } from './client.ts';
import type { RedisParts } from './parts.ts';
import { VERSION } from './scripts.ts';

/** The version, which has the mark of the last element, and the marks of the elements at these places, counted from the end. */
export async function versionOf(
  { commands, keysOf, lists: { onList } }: RedisParts,
  sessionId: string,
  places: readonly number[] = [],
): Promise<[version: string, ...marks: string[]]> {
  const { meta } = keysOf(sessionId);
  const fromEnd = places.map((place) => String(-1 - place));
  const answer = await onList(sessionId, ({ list, items }) =>
    commands.script(VERSION, [items, meta], [list, ...fromEnd], true),
  );
  return (answer as unknown[]).map(textOf) as [string, ...string[]];
}

export function redisVersion(parts: RedisParts): StoreDriver['version'] {
  return async (sessionId, since) => {
    const places = since === undefined ? [] : placesOf(since);
    const [version, ...marks] = await versionOf(parts, sessionId, places);
    return { version, follows: since !== undefined && follows(since, version, marks) };
  };
}

/**
 * The positions of the last elements of these appends but the newest one, counted from the end, the newest first; then the
 * position of the one before them.
 */
function placesOf({ steps }: Since): number[] {
  let place = 0;
  return steps.toReversed().map(({ records }) => (place += records));
}

/**
 * Whether the list has grown by these appends only. Each of them is at its position, and so is the element before
 * them: a list that lost its end and grew again to this length has others there.
 *
 * @param marks The marks at {@link placesOf}.
 */
function follows({ version: before, steps }: Since, now: string, marks: readonly string[]): boolean {
  const [first] = steps;
  if (first === undefined) return now === before;
  const [generationBefore, lengthBefore, markBefore = ''] = before.split(':');
  const grown = steps.reduce((sum, { records }) => sum + records, Number(lengthBefore));
  const end = `:${grown}:${(steps.at(-1) as AppendStep).mark}`;
  // The first append made the session.
  const isMade = generationBefore === '0' && now === `${first.mark}${end}`;
  if (now !== `${generationBefore}${end}` && !isMade) return false;
  return steps.every((_, index) => marks[index] === String(steps.at(-2 - index)?.mark ?? markBefore));
}
