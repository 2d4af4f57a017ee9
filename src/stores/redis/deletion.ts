import { lineageOf, rootOf } from '../../derived-id.ts';
import { heldError } from '../../keys/dek-store.ts';
import { saying } from '../failure.ts';
import { textOf } from './client.ts';
import { assertNotHeldAbove } from './hold-above.ts';
import { entriesOf, type IndexEntries } from './index-entries.ts';
import { treeKey } from './keys.ts';
import { look } from './look.ts';
import type { RedisParts } from './parts.ts';
import { DROP, REMOVE_ORPHAN } from './scripts.ts';

export interface Deletion {
  /**
   * Removes everything of a session.
   *
   * @param version Does nothing, and returns `false`, when the history has another one.
   * @throws {@link StrongroomError} `ERR_HELD`.
   */
  readonly drop: (sessionId: string, version?: string) => Promise<boolean>;
  /** Removes a session without items from the indexes; one that got items meanwhile is added again. */
  readonly forget: (sessionId: string, subject?: string) => Promise<void>;
}

export function redisDeletion(parts: RedisParts, entries: IndexEntries): Deletion {
  const { commands, prefix, now, shares, keysOf, notesOf, indexed, lists } = parts;
  const { onList } = lists;
  const { ids, births, expiries, subjectKey, leaveSubject, index } = entries;

  async function drop(sessionId: string, version = ''): Promise<boolean> {
    const keys = keysOf(sessionId);
    await assertNotHeldAbove(parts, sessionId);
    const owner = await commands.read('HGET', keys.meta, 'subject');
    const subject = owner === null ? undefined : textOf(owner);
    if (subject !== undefined) await leaveSubject(sessionId, subject);
    // It is listed, but has no list name: the server may have lost it.
    const isLost =
      (await commands.read('ZSCORE', ids, sessionId)) !== null &&
      (await commands.read('EXISTS', keys.meta)) === 0;
    const answer = await onList(sessionId, ({ list, items }) =>
      commands.script(
        DROP,
        [items, keys.meta, keys.ops, keys.deks, keys.holds, keys.turn],
        [
          list,
          String(now()),
          version,
          shares ? prefix : '',
          sessionId,
          rootOf(sessionId),
          notesOf(sessionId),
        ],
      ),
    );
    const [state, detail] = (answer as Buffer[]).map(String);
    if (state === 'held') throw heldError(sessionId, detail as string);
    if (state === 'stale') return false;
    await saying('yes', async () => {
      if (isLost) await removeOrphans(sessionId);
      indexed.name(sessionId, '');
      await forget(sessionId, subject);
    });
    return true;
  }

  /** Removes lists whose name was lost. */
  async function removeOrphans(sessionId: string): Promise<void> {
    const pattern = `${keysOf(sessionId)
      .items('')
      .replace(/[\\*?[\]^]/g, '\\$&')}*`;
    for await (const key of commands.keysLike(pattern)) {
      const name = key.slice(keysOf(sessionId).items('').length);
      await commands.script(REMOVE_ORPHAN, [key, keysOf(sessionId).meta], [name]);
    }
  }

  async function forget(sessionId: string, subject?: string): Promise<void> {
    const lineage = lineageOf(sessionId);
    const indexes = [ids, births, expiries];
    if (subject !== undefined) indexes.push(subjectKey(subject));
    if (lineage !== undefined) indexes.push(treeKey(prefix, lineage.root));
    await Promise.all(indexes.map((key) => commands.entry('yes', 'ZREM', key, sessionId)));
    const { records } = await look(parts, sessionId, 'start', -1, '');
    if (records.length === 0) return;
    const owner = await commands.read('HGET', keysOf(sessionId).meta, 'subject');
    const found = entriesOf(records, owner === null ? undefined : textOf(owner));
    await index(sessionId, found, 'yes');
  }

  return { drop, forget };
}
