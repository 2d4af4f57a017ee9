import { setTimeout as delay } from 'node:timers/promises';
import { randomNumber } from '../../crypto/random.ts';
import { StrongroomError } from '../../errors.ts';
import { after, type MaybePromise } from '../../maybe-promise.ts';
import { lostHistoryError } from '../failure.ts';
import { damagedBeginningError } from '../shared-parts.ts';
import { textOf, type RedisCommands } from './client.ts';
import type { Indexed } from './indexed.ts';
import type { SessionKeys } from './keys.ts';

/** The list of a session under its current name, and under the next one if it must be renamed. */
export interface Lists {
  /** `''` when there is none. */
  readonly list: string;
  readonly items: string;
  readonly next: string;
  readonly nextItems: string;
}

/**
 * Runs a script with the name of the session's list, again when the list was renamed meanwhile.
 *
 * @param first The names to begin with, if they were read before.
 */
export type OnList = (
  sessionId: string,
  run: (lists: Lists) => Promise<unknown>,
  first?: Lists,
) => Promise<unknown>;

/** How often a list may be renamed during one call. */
const ATTEMPTS = 200;

/** The names of the lists of sessions. */
export interface ListNames {
  readonly onList: OnList;
  /** The last `count` elements, all when absent; of those before the last `skip`. */
  readonly range: (sessionId: string, count?: number, skip?: number) => Promise<Buffer[]>;
  /** The names for a script that returns `moved` itself. */
  readonly of: (sessionId: string) => MaybePromise<Lists>;
}

export function listNames(
  commands: RedisCommands,
  keysOf: (sessionId: string) => SessionKeys,
  indexed: Indexed,
): ListNames {
  async function ask(sessionId: string): Promise<string> {
    const found = await commands.read('HGET', keysOf(sessionId).meta, 'list');
    const list = found === null ? '' : textOf(found);
    indexed.name(sessionId, list);
    return list;
  }

  function of(sessionId: string): MaybePromise<Lists> {
    return after(indexed.list(sessionId) ?? ask(sessionId), (list) => named(sessionId, list));
  }

  function named(sessionId: string, list: string): Lists {
    const { items } = keysOf(sessionId);
    let name: string | undefined;
    const next = (): string => (name ??= randomNumber().toString(36));
    return {
      list,
      items: items(list),
      // Not for a read: a call of the system's generator costs as much as the rest of it.
      get next() {
        return next();
      },
      get nextItems() {
        return items(next());
      },
    };
  }

  return {
    of,
    async onList(sessionId, run, first) {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (attempt > 2) await outOfStep(attempt);
        const known = attempt === 0 ? first : undefined;
        const lists = known ?? of(sessionId);
        const answer = await run(lists instanceof Promise ? await lists : lists);
        if (isGone(answer)) throw lostHistoryError('openRedis', sessionId);
        if (stateOf(answer) === 'damaged') throw damagedBeginningError('openRedis', sessionId);
        const list = movedTo(answer);
        if (list === undefined) return answer;
        indexed.name(sessionId, list);
      }
      throw new StrongroomError(
        'ERR_CONFLICT',
        `Other processes deleted or purged session ${JSON.stringify(sessionId)} ${ATTEMPTS} times in a row. Nothing was changed; try again.`,
      );
    },
    async range(sessionId, count, skip = 0) {
      const { items } = keysOf(sessionId);
      const start = count === undefined ? '0' : String(-count - skip);
      for (let list = indexed.list(sessionId); ;) {
        if (list !== undefined) {
          const found = await commands.read('LRANGE', items(list), start, String(-1 - skip));
          if ((found as Buffer[]).length > 0) return found as Buffer[];
          // Nothing stands before those.
          if (skip > 0 && (await commands.read('EXISTS', items(list))) === 1) return [];
        }
        // Empty, or renamed: a name is never used again, so the same name after the read means that it did not
        // change.
        const present = await ask(sessionId);
        if (present === '') return [];
        if (present === list) throw lostHistoryError('openRedis', sessionId);
        list = present;
      }
    },
  };
}

/** Waits for a random time, longer after more attempts: conflicting callers must not retry in step. */
export function outOfStep(attempt: number): Promise<void> {
  return delay(Math.random() * Math.min(attempt, 20));
}

/** Whether a script found a name and no list. */
export function isGone(answer: unknown): boolean {
  return stateOf(answer) === 'gone';
}

function stateOf(answer: unknown): string | undefined {
  return Array.isArray(answer) && Buffer.isBuffer(answer[0]) ? answer[0].toString() : undefined;
}

/** The name that a script found instead of the one in its arguments. */
export function movedTo(answer: unknown): string | undefined {
  return stateOf(answer) === 'moved' ? textOf((answer as unknown[])[1]) : undefined;
}
