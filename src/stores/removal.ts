import type { Change, View } from './driver.ts';

/**
 * Whether records go that do not come back with the same change, so that a legal hold forbids it. What is not seen
 * counts as something.
 */
export function removes({ remove, insert }: Change, view: View, isWhole: boolean): boolean {
  if (remove === 'none') return false;
  if (remove === 'all' && !isWhole) return true;
  const going =
    remove === 'all' ? view.records : view.records.slice(remove.start, remove.start + remove.count);
  const kept = new Set(insert);
  return going.some((record) => !kept.has(record));
}

/** Whether a change of a session that is not there leaves nothing of it: then nobody may find that it was asked for. */
export function leavesNothing({ insert, operation, archive }: Change): boolean {
  return insert.length === 0 && operation === undefined && archive === undefined;
}
