import { isBranch } from '../../derived-id.ts';
import type { StoredRecord } from '../driver.ts';
import { decodeElements, decodeParts } from './element.ts';
import type { RedisParts } from './parts.ts';
import { LOOK, LOOK_SHARED, VIEW } from './scripts.ts';

/** The data that a change is decided on. */
export interface Looked {
  readonly version: string;
  readonly digest: string;
  readonly length: number;
  readonly records: StoredRecord[];
}

/**
 * Reads records, `count` from one end and all when it is negative, with the version of the history and the digest of an
 * operation.
 *
 * @param takes Renames the list, so that no other process appends to it with one command meanwhile.
 */
export async function look(
  { commands, prefix, shares, keysOf, indexed, lists: { onList } }: RedisParts,
  sessionId: string,
  from: 'start' | 'end',
  count: number,
  operation: string,
  takes = false,
): Promise<Looked> {
  const { meta, ops } = keysOf(sessionId);
  const isShared = shares && isBranch(sessionId);
  let name = '';
  const answer = await onList(sessionId, ({ list, items, next, nextItems }) => {
    name = takes && list !== '' ? next : list;
    const args = [list, takes ? next : '', from, String(count), operation, prefix, sessionId];
    return commands.script(isShared ? LOOK_SHARED : LOOK, [items, nextItems, meta, ops], args, !takes);
  });
  if (takes) indexed.name(sessionId, name);
  const [, version, digest, length, records] = answer as [Buffer, Buffer, Buffer, number, Buffer[]];
  const decoded = isShared ? decodeParts(records, sessionId) : decodeElements(records);
  return { version: String(version), digest: String(digest), length, records: decoded };
}

/** The last records of a branch, of those before the last `skip`. */
export async function readParts(
  { commands, prefix, keysOf, lists: { onList } }: RedisParts,
  sessionId: string,
  count = -1,
  skip = 0,
): Promise<StoredRecord[]> {
  const { meta } = keysOf(sessionId);
  const answer = await onList(sessionId, ({ list, items }) =>
    commands.script(VIEW, [items, meta], [list, prefix, sessionId, String(count), String(skip)], true),
  );
  return decodeParts((answer as unknown[]).slice(1), sessionId);
}
