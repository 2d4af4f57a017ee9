import type { LayerIO, MaybePromise, VersionAnswer, VersionSource } from '../../layer.ts';
import { after } from '../../maybe-promise.ts';
import { keyFor, type Known } from './known.ts';
import type { List } from './lists.ts';

/**
 * Whether the inner session still ends with the end of the list: all records that were appended since the last
 * check, and the record before them. Without that one, a record that another writer added in between would never be
 * read.
 */
export async function endsWithKnown(list: List, length: number, io: LayerIO): Promise<boolean> {
  const expected = list.known.slice(Math.max(0, list.checked - 1), length);
  const count = length - list.checked + 1;
  const records = await io.raw(count);
  if (records.length !== expected.length) return false;
  const keyOf = keyFor(expected);
  if (!records.every((record, index) => keyOf(record) === keyOf((expected[index] as Known).stored)))
    return false;
  list.checked = Math.max(list.checked, length);
  return true;
}

/**
 * Whether the history is the list at its last check plus the appends of this process since then. An announcement is
 * not enough after an append of our own: others may have been faster, and the announcement may be older than our
 * append.
 */
export function compare(
  { version, steps, stepCount }: List,
  versions: VersionSource,
): MaybePromise<VersionAnswer> {
  if (version === undefined) return after(versions.read(), (read) => ({ version: read, follows: false }));
  if (stepCount === 0 && versions.known() === version) return { version, follows: true };
  return versions.compare(version, steps.slice(0, stepCount));
}
