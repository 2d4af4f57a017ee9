import type { RedisParts } from './parts.ts';
import { LOOK } from './scripts.ts';

/** The data that a change is decided on. */
export interface Looked {
  readonly version: string;
  readonly digest: string;
  readonly length: number;
  readonly records: Buffer[];
}

/**
 * Reads records, `count` from one end and all when it is negative, with the version of the history and the digest of an
 * operation.
 *
 * @param takes Renames the list, so that no other process appends to it with one command meanwhile.
 */
export async function look(
  { commands, keysOf, indexed, lists: { onList } }: RedisParts,
  sessionId: string,
  from: 'start' | 'end',
  count: number,
  operation: string,
  takes = false,
): Promise<Looked> {
  const { meta, ops } = keysOf(sessionId);
  let name = '';
  const answer = await onList(sessionId, ({ list, items, next, nextItems }) => {
    name = takes && list !== '' ? next : list;
    const args = [list, takes ? next : '', from, String(count), operation];
    return commands.script(LOOK, [items, nextItems, meta, ops], args, !takes);
  });
  if (takes) indexed.name(sessionId, name);
  const [, version, digest, length, records] = answer as [Buffer, Buffer, Buffer, number, Buffer[]];
  return { version: String(version), digest: String(digest), length, records };
}
