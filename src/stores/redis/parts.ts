import { createIndexed, type Indexed } from './indexed.ts';
import type { RedisCommands } from './client.ts';
import { sessionKeys, type SessionKeys } from './keys.ts';
import { listNames, type ListNames } from './lists.ts';

/** What the parts of the driver share. */
export interface RedisParts {
  readonly commands: RedisCommands;
  readonly prefix: string;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly keysOf: (sessionId: string) => SessionKeys;
  readonly indexed: Indexed;
  readonly lists: ListNames;
}

export function redisParts(commands: RedisCommands, prefix: string, now: () => number): RedisParts {
  const indexed = createIndexed();
  const keysOf = (sessionId: string): SessionKeys => sessionKeys(prefix, sessionId);
  return { commands, prefix, now, keysOf, indexed, lists: listNames(commands, prefix, indexed) };
}
