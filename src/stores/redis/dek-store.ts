import { StrongroomError } from '../../errors.ts';
import {
  type HoldStore,
  type DekTombstone,
  type DekStore,
  type DekRecord,
  heldError,
} from '../../keys/dek-store.ts';
import { textOf } from './client.ts';
import { assertNotHeldAbove } from './hold-above.ts';
import { redisHolds } from './holds.ts';
import type { RedisParts } from './parts.ts';
import { parseObject } from './parse-object.ts';
import { DESTROY, FIELDS, REWRAP } from './scripts.ts';

const PAGE = 100;

/** Wrapped data keys, their tombstones and legal holds, in hashes beside the items. */
export function redisDekStore(parts: RedisParts): DekStore & { readonly holds: HoldStore } {
  const { commands, prefix, now, keysOf } = parts;
  const { onList } = parts.lists;
  /** The set of sessions with data keys, which `list` needs. */
  const sessions = `${prefix}:dek-sessions`;
  const fields = async (key: string): Promise<[field: string, value: string][]> => {
    const flat = ((await commands.script(FIELDS, [key], [], true)) as Buffer[]).map(String);
    return Array.from({ length: flat.length / 2 }, (_, index) => [
      flat[2 * index] as string,
      flat[2 * index + 1] as string,
    ]);
  };

  async function sessionsAfter(id: string | undefined): Promise<string[]> {
    const start = id === undefined ? '-' : `(${id}`;
    const page = await commands.read('ZRANGEBYLEX', sessions, start, '+', 'LIMIT', '0', String(PAGE));
    return (page as Buffer[]).map(String);
  }

  async function* liveKeys(sessionId: string, kid: string | undefined): AsyncGenerator<DekRecord> {
    for (const [did, value] of await fields(keysOf(sessionId).deks)) {
      const record = parseDek(sessionId, did, value);
      if ('wrapped' in record && (kid === undefined || record.kid === kid)) yield record;
    }
  }

  return {
    async put({ sessionId, did, kid, wrapped, createdAt }) {
      await commands.entry('no', 'ZADD', sessions, '0', sessionId);
      const value = JSON.stringify({ kid, wrapped, createdAt });
      return (await commands.write('HSETNX', keysOf(sessionId).deks, did, value)) === 1;
    },
    async get(sessionId, did) {
      const value = await commands.read('HGET', keysOf(sessionId).deks, did);
      return value === null ? undefined : parseDek(sessionId, did, textOf(value));
    },
    async *list({ sessionId, kid } = {}) {
      if (sessionId !== undefined) {
        yield* liveKeys(sessionId, kid);
        return;
      }
      for (let after: string | undefined; ;) {
        const page = await sessionsAfter(after);
        for (const id of page) yield* liveKeys(id, kid);
        if (page.length < PAGE) return;
        after = page.at(-1);
      }
    },
    async replaceWrapped(sessionId, did, expected, next) {
      const args = [did, expected, next.wrapped, next.kid];
      const answer = await commands.script(REWRAP, [keysOf(sessionId).deks], args);
      if (answer === -1) throw damagedKey(sessionId, did);
      return answer === 1;
    },
    async destroy(sessionId, did) {
      await assertNotHeldAbove({ commands, keysOf }, sessionId);
      const { deks, holds, meta } = keysOf(sessionId);
      const answer = await onList(sessionId, ({ items, list, nextItems, next }) =>
        commands.script(
          DESTROY,
          [deks, holds, items, nextItems, meta],
          [list, next, String(now()), did ?? ''],
        ),
      );
      const [state, ...rest] = (answer as Buffer[]).map(String);
      if (state === 'held') throw heldError(sessionId, rest[0] as string);
      const tombstones: DekTombstone[] = [];
      for (let at = 0; at < rest.length; at += 2) {
        tombstones.push({ sessionId, did: rest[at] as string, destroyedAt: Number(rest[at + 1]) });
      }
      return tombstones;
    },
    holds: redisHolds(parts, fields),
  };
}

/** Tombstones begin with an exclamation mark; anything else is, or was, a record. */
function parseDek(sessionId: string, did: string, value: string): DekRecord | DekTombstone {
  if (value.startsWith('!')) return { sessionId, did, destroyedAt: Number(value.slice(1)) };
  const { kid, wrapped, createdAt } = parseObject(value);
  if (typeof kid !== 'string' || typeof wrapped !== 'string' || typeof createdAt !== 'number') {
    throw damagedKey(sessionId, did);
  }
  return { sessionId, did, kid, wrapped, createdAt };
}

function damagedKey(sessionId: string, did: string): StrongroomError {
  return new StrongroomError(
    'ERR_MALFORMED',
    `openRedis: the record of the data key ${did} of session ${JSON.stringify(sessionId)} is damaged. Restore it ` +
      'from a backup, or destroy the data key, or delete the session.',
  );
}
