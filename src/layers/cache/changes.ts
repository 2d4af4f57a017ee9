import type { LayerIO, VersionAnswer, VersionSource } from '../../layer.ts';
import { recordKey } from '../../protocol/envelope.ts';
import { keyOf, type Known } from './known.ts';
import type { List } from './lists.ts';

/**
 * Whether the inner session still ends with what the list ends with: all that was appended since the last check,
 * and the record before it. Without that one, a record that another writer put in between would be lost for good.
 */
export async function endsWithKnown(list: List, length: number, io: LayerIO): Promise<boolean> {
  const expected = list.known.slice(Math.max(0, list.checked - 1), length);
  const count = length - list.checked + 1;
  const records = await io.raw(count);
  if (records.length !== expected.length) return false;
  if (!records.every((record, index) => recordKey(record) === keyOf(expected[index] as Known))) return false;
  list.checked = Math.max(list.checked, length);
  return true;
}

/**
 * Whether the history is what the list was when it was checked, and what this process appended since. What was announced is
 * not enough after an append of our own: others may have been faster, and what was said be older than ours.
 */
export async function compare(
  { version, steps, stepCount }: List,
  versions: VersionSource,
): Promise<VersionAnswer> {
  if (version === undefined) return { version: await versions.read(), follows: false };
  if (stepCount === 0 && versions.known() === version) return { version, follows: true };
  return await versions.compare(version, steps.slice(0, stepCount));
}
