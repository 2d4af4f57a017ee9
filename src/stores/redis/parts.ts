import { createIndexed, type Indexed } from './indexed.ts';
import type { RedisCommands } from './client.ts';
import { kept } from './kept.ts';
import { sessionKeys, type SessionKeys } from './keys.ts';
import { listNames, type ListNames } from './lists.ts';
import { notesBeside } from './notes-end.ts';

/** The shared parts of the driver. */
export interface RedisParts {
  readonly commands: RedisCommands;
  readonly prefix: string;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds after the last write when the keys of a session end; 0 for none. */
  readonly idle: number;
  /** Branches can share records: all keys are on one server. */
  readonly shares: boolean;
  readonly keysOf: (sessionId: string) => SessionKeys;
  /** See {@link notesBeside}; `''` where nothing is shared. */
  readonly notesOf: (sessionId: string) => string;
  readonly indexed: Indexed;
  readonly lists: ListNames;
}

export function redisParts(
  commands: RedisCommands,
  prefix: string,
  now: () => number,
  idle: number,
  shares: boolean,
): RedisParts {
  const indexed = createIndexed();
  const keysOf = kept((sessionId) => sessionKeys(prefix, sessionId));
  return {
    commands,
    prefix,
    now,
    idle,
    shares,
    keysOf,
    notesOf: shares ? kept((sessionId) => notesBeside(prefix, sessionId)) : () => '',
    indexed,
    lists: listNames(commands, keysOf, indexed),
  };
}
