import { createHash } from 'node:crypto';
import type { RedisArgument } from '../../src/stores/redis/client.ts';
import type { IoRedisClient } from '../../src/stores/redis/ioredis.ts';
import type { Script } from '../../src/stores/redis/scripts.ts';

type Match = (command: RedisArgument[]) => boolean;

/** Whether a command runs the script. */
export function isScript(script: Script): (command: readonly RedisArgument[]) => boolean {
  const digest = createHash('sha1').update(script.source).digest('hex');
  return ([, text]) => text === digest || text === script.source;
}

/** A client between whose commands something else can happen. */
export interface Interposed extends IoRedisClient {
  /** What happens just before the first command from now on that matches. */
  readonly before: (match: Match, act: () => Promise<unknown>) => void;
}

export function interposed(send: (command: RedisArgument[]) => Promise<unknown>): Interposed {
  let pending: { readonly match: Match; readonly act: () => Promise<unknown> } | undefined;
  return {
    before(match, act) {
      pending = { match, act };
    },
    async callBuffer(...command) {
      const due = pending?.match(command) === true ? pending : undefined;
      if (due !== undefined) {
        pending = undefined;
        await due.act();
      }
      return await send(command);
    },
  };
}
