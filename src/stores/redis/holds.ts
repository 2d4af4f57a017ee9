import { defined } from '../../defined.ts';
import { ancestorsOf, isBranch, lineageOf, rootOf } from '../../derived-id.ts';
import { StrongroomError } from '../../errors.ts';
import type { HoldRecord, HoldStore } from '../../keys/dek-store.ts';
import type { HeldSession } from '../driver.ts';
import { saying } from '../failure.ts';
import { textOf } from './client.ts';
import { treeKey } from './keys.ts';
import { lifeOf } from './life.ts';
import { parseObject } from './parse-object.ts';
import type { RedisParts } from './parts.ts';
import { HOLD, RELEASE, type Script } from './scripts.ts';

/*
 * A hold also covers the derived sessions, whose keys are in other slots of a cluster, out of reach of the script
 * that removes there. So a hold is stored in each of these slots as well, and a removal reads the holds of the
 * parent sessions first. A session that is created while a hold is placed is either listed already and gets the
 * hold, or created after its parent has it.
 */

/** The records of all holds are in one hash; beside the data keys of a session are the ids of those that are open. */
export function redisHolds(
  parts: RedisParts,
  fields: (key: string) => Promise<[field: string, value: string][]>,
): HoldStore {
  const { commands, prefix, keysOf } = parts;
  const key = `${prefix}:holds`;

  async function find(id: string): Promise<HoldRecord | undefined> {
    const found = await commands.read('HGET', key, id);
    return found === null ? undefined : parseHold(id, textOf(found));
  }

  /** The session first: what is not listed by then is made after the hold stands above it. */
  async function note(sessionId: string, script: Script, hold: string): Promise<void> {
    // Where the conversation is held, so is what a branch shares with it.
    await noteOn(sessionId, script, hold, parts.shares && isBranch(sessionId));
    const tree = await commands.read('ZRANGE', treeKey(prefix, rootOf(sessionId)), '0', '-1');
    for (const id of (tree as Buffer[]).map(String)) {
      if (ancestorsOf(id).includes(sessionId)) await noteOn(id, script, hold);
    }
  }

  async function noteOn(id: string, script: Script, hold: string, keeps = false): Promise<void> {
    const { meta, ops, deks, holds } = keysOf(id);
    // A session below another held session keeps its keys.
    const life = script === RELEASE ? await lifeOf(parts, id) : '';
    await saying('unknown', () =>
      parts.lists.onList(id, ({ list, items }) =>
        commands.script(
          script,
          [holds, meta, items, ops, deks],
          [list, hold, life, keeps ? prefix : '', id, parts.notesOf(id)],
        ),
      ),
    );
  }

  return {
    async place(hold) {
      const taken = await commands.write('HSETNX', key, hold.id, JSON.stringify(hold));
      // Repeating an interrupted call completes it.
      const record = taken === 1 ? hold : await find(hold.id);
      if (record !== undefined && record.releasedAt === undefined) {
        await note(record.sessionId, HOLD, record.id);
      }
      return taken === 1;
    },
    async release(id, releasedAt, releasedBy) {
      const hold = await find(id);
      if (hold === undefined) return undefined;
      const released: HoldRecord =
        hold.releasedAt !== undefined ? hold : defined({ ...hold, releasedAt, releasedBy });
      await commands.write('HSET', key, id, JSON.stringify(released));
      await note(hold.sessionId, RELEASE, id);
      return released;
    },
    async list({ sessionId, open } = {}) {
      return (await fields(key))
        .map(([id, value]) => parseHold(id, value))
        .filter((hold) => sessionId === undefined || hold.sessionId === sessionId)
        .filter((hold) => open === undefined || (hold.releasedAt === undefined) === open)
        .sort((a, b) => a.placedAt - b.placedAt);
    },
  };
}

/** The open holds on derived sessions. The note in the slot of a session still holds it where the record is damaged. */
export async function derivedHolds({ commands, prefix }: RedisParts): Promise<readonly HeldSession[]> {
  const records = (await commands.read('HVALS', `${prefix}:holds`)) as Buffer[];
  return records.flatMap((record) => {
    const { id, sessionId, releasedAt } = parseObject(record.toString());
    if (typeof id !== 'string' || typeof sessionId !== 'string' || releasedAt !== undefined) return [];
    return lineageOf(sessionId) === undefined ? [] : [{ sessionId, hold: id }];
  });
}

function parseHold(id: string, value: string): HoldRecord {
  const hold = parseObject(value);
  if (hold['id'] !== id || typeof hold['sessionId'] !== 'string' || typeof hold['placedAt'] !== 'number') {
    throw new StrongroomError(
      'ERR_MALFORMED',
      `openRedis: the record of the hold ${JSON.stringify(id)} is damaged. Restore it from a backup; the data under the hold ` +
        'stays held until then.',
    );
  }
  // An object of JSON whose members were checked above.
  return hold as unknown as HoldRecord;
}
