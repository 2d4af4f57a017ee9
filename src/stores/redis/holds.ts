import { defined } from '../../defined.ts';
import { ancestorsOf, rootOf } from '../../derived-id.ts';
import { StrongroomError } from '../../errors.ts';
import { heldError, type HoldRecord, type HoldStore } from '../../keys/dek-store.ts';
import { textOf, type RedisCommands } from './client.ts';
import { treeKey, type SessionKeys } from './keys.ts';
import { parseObject } from './parse-object.ts';

/*
 * A hold is also on what belongs to its session, whose keys are in other slots of a cluster, out of reach of the script that
 * removes there. So a hold is noted in each of these slots as well, and who removes reads the notes of the sessions above first.
 * What is made while a hold is placed is either listed by then and gets the note, or made after the hold stands above it.
 */

interface Places {
  readonly commands: RedisCommands;
  readonly keysOf: (sessionId: string) => SessionKeys;
}

/**
 * Before a script that looks at the session's own holds.
 *
 * @throws {@link StrongroomError} `ERR_HELD` when there is one on a session that this one was made from.
 */
export async function assertNotHeldAbove(places: Places, sessionId: string): Promise<void> {
  const hold = await holdAbove(places, sessionId);
  if (hold !== undefined) throw heldError(sessionId, hold);
}

/** The id of an open hold on a session that this one was made from. */
export async function holdAbove(
  { commands, keysOf }: Places,
  sessionId: string,
): Promise<string | undefined> {
  for (const ancestor of ancestorsOf(sessionId)) {
    const [hold] = (await commands.read('HKEYS', keysOf(ancestor).holds)) as Buffer[];
    if (hold !== undefined) return hold.toString();
  }
  return undefined;
}

/** The records of all holds are in one hash; beside the data keys of a session are the ids of those that are open. */
export function redisHolds(
  { commands, keysOf }: Places,
  prefix: string,
  fields: (key: string) => Promise<[field: string, value: string][]>,
): HoldStore {
  const key = `${prefix}:holds`;

  async function find(id: string): Promise<HoldRecord | undefined> {
    const found = await commands.read('HGET', key, id);
    return found === null ? undefined : parseHold(id, textOf(found));
  }

  /** The session first, then what belongs to it. */
  async function note(
    sessionId: string,
    ...command: readonly [name: string, ...rest: string[]]
  ): Promise<void> {
    const [name, ...rest] = command;
    await commands.entry('unknown', name, keysOf(sessionId).holds, ...rest);
    const tree = await commands.read('ZRANGE', treeKey(prefix, rootOf(sessionId)), '0', '-1');
    for (const id of (tree as Buffer[]).map(String)) {
      if (ancestorsOf(id).includes(sessionId)) {
        await commands.entry('unknown', name, keysOf(id).holds, ...rest);
      }
    }
  }

  return {
    async place(hold) {
      const taken = await commands.write('HSETNX', key, hold.id, JSON.stringify(hold));
      // The one who repeats a call that was cut off makes it whole.
      const record = taken === 1 ? hold : await find(hold.id);
      if (record !== undefined && record.releasedAt === undefined) {
        await note(record.sessionId, 'HSET', record.id, '1');
      }
      return taken === 1;
    },
    async release(id, releasedAt, releasedBy) {
      const hold = await find(id);
      if (hold === undefined) return undefined;
      const released: HoldRecord =
        hold.releasedAt !== undefined ? hold : defined({ ...hold, releasedAt, releasedBy });
      await commands.write('HSET', key, id, JSON.stringify(released));
      await note(hold.sessionId, 'HDEL', id);
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
