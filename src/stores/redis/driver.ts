import { redisCheckup } from './checkup.ts';
import { SERVER_BOUND } from '../../clock.ts';
import type { Announcements } from '../announcements.ts';
import type { StoreDriver } from '../driver.ts';
import { isBranch } from '../../derived-id.ts';
import { saying } from '../failure.ts';
import { redisAppend } from './append.ts';
import { redisChange } from './change.ts';
import { textOf, type RedisCommands } from './client.ts';
import { redisDekStore } from './dek-store.ts';
import { redisDeletion } from './deletion.ts';
import { decodeElements } from './element.ts';
import { openHold } from './hold-above.ts';
import { derivedHolds } from './holds.ts';
import { indexEntries } from './index-entries.ts';
import { redisLeases } from './leases.ts';
import { readParts } from './look.ts';
import { redisParts } from './parts.ts';
import { redisPurge } from './purge.ts';
import { redisSummaries } from './summaries.ts';
import { redisVersion } from './version.ts';

export interface RedisDriverOptions {
  readonly prefix: string;
  readonly operationLog: number;
  readonly now: () => number;
  /** Milliseconds after the last write when the keys of a session end; 0 for none. */
  readonly idle: number;
  /** One server has all keys, so that scripts can follow the references of branches. */
  readonly isAlone: boolean;
  readonly close: () => Promise<void>;
  /** Checks the settings of the server. */
  readonly check: () => Promise<void>;
  /** Registers a callback for each new connection. */
  readonly onConnection: (made: () => void) => void;
  /** Announcements of the server, if they are enabled. */
  readonly announcements?: Announcements | undefined;
}

/**
 * {@link StoreDriver} over Redis. A session's history is a list; every change of it is one Lua script in the slot of
 * the session, or one `RPUSHX` to the list by its name. Indexes over all sessions are in other slots: they are
 * written before the session, so that no stored session is missing in them, and a reader of an entry checks whether
 * the session still has records.
 */
export function redisDriver(commands: RedisCommands, options: RedisDriverOptions): StoreDriver {
  const { prefix, operationLog, now } = options;
  const shares = options.isAlone;
  const parts = redisParts(commands, prefix, now, options.idle, shares);
  const { keysOf, indexed, lists } = parts;
  options.onConnection(() => indexed.forgetAll());
  const entries = indexEntries(parts);
  const deletion = redisDeletion(parts, entries);
  return {
    name: 'openRedis',
    read: async (sessionId, count, skip) =>
      shares && isBranch(sessionId)
        ? readParts(parts, sessionId, count, skip)
        : decodeElements(await lists.range(sessionId, count, skip)),
    // Keys that end when nobody writes would end under a branch that is written to.
    ...(shares && options.idle === 0 && { shares }),
    ...redisAppend(parts, entries),
    change: redisChange(parts, entries, deletion, operationLog),
    version: redisVersion(parts),
    announcements: options.announcements,
    applied: async (sessionId, operationKey) =>
      (await commands.read('HEXISTS', keysOf(sessionId).ops, operationKey)) === 1,
    dekStore: redisDekStore(parts),
    summaries: redisSummaries(parts, entries),
    derived: entries.derived,
    ofSubject: entries.ofSubject,
    heldOf: (sessionIds) => openHold(parts, sessionIds),
    heldDerived: () => derivedHolds(parts),
    ...redisPurge(parts, entries, deletion),
    leases: redisLeases(prefix, commands),
    async reference() {
      const [seconds, microseconds] = (await commands.read('TIME')) as unknown[];
      const time = Number(textOf(seconds)) * 1_000 + Math.floor(Number(textOf(microseconds)) / 1_000);
      return { time, of: 'the clock of the database', bound: SERVER_BOUND };
    },
    deleteSession: async (sessionId) => void (await saying('no', () => deletion.drop(sessionId))),
    async ping() {
      await commands.readEach('PING');
      await options.check();
    },
    checkup: () => redisCheckup(commands),
    close: options.close,
  };
}
