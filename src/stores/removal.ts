import type { Change, View } from './driver.ts';

/**
 * Whether a change removes records that it does not insert again, so that a legal hold forbids it. Records outside
 * of the view count as removed.
 */
export function removes({ remove, insert }: Change, view: View, isWhole: boolean): boolean {
  if (remove === 'none') return false;
  if (remove === 'all' && !isWhole) return true;
  const going =
    remove === 'all' ? view.records : view.records.slice(remove.start, remove.start + remove.count);
  const kept = new Set(insert);
  return going.some((record) => !kept.has(record));
}

/** Whether a change of a missing session stores nothing: then it must not create the session. */
export function leavesNothing({ insert, operation, archive, share }: Change): boolean {
  return insert.length === 0 && operation === undefined && archive === undefined && share === undefined;
}
