import { StrongroomError } from '../../errors.ts';
import { createWarnOnce } from '../warn-once.ts';
import { textOf, type RedisCommands } from './client.ts';

const WHERE = 'openRedis';
const warnOnce = createWarnOnce('STRONGROOM_REDIS', WHERE);

/**
 * Checks whether the server keeps acknowledged writes, as far as its settings show; of a cluster, each primary.
 * Redis manual, *Key eviction*: `allkeys-…` evicts any key when memory is full, `volatile-…` those with a time to
 * live, which are the leases of `exclusive()`.
 *
 * @throws {@link StrongroomError} `ERR_UNSUPPORTED` when histories can be evicted, and the options do not accept
 * that.
 */
export async function checkSettings(commands: RedisCommands, allowEviction: boolean): Promise<void> {
  const [memories, persistences] = await Promise.all([
    infoOf(commands, 'memory'),
    infoOf(commands, 'persistence'),
  ]);
  if (memories === undefined) {
    warnOnce(
      'the server refuses INFO, so strongroom cannot check whether it evicts keys. Set maxmemory-policy to noeviction: ' +
        'otherwise histories are lost when its memory is full.',
    );
  }
  for (const memory of memories ?? []) {
    const policy = memory.get('maxmemory_policy') ?? 'noeviction';
    if (policy !== 'noeviction') checkPolicy(policy, memory.get('maxmemory') ?? '', allowEviction);
  }
  const appends = persistences?.map((persistence) => persistence.get('aof_enabled') !== '0') ?? [];
  if (
    appends.includes(false) &&
    (await savesNothing(commands)).some((nothing, at) => nothing && !appends[at])
  ) {
    warnOnce(
      'the server does not persist to disk (appendonly no, no save points), so all histories are lost when it stops. Set ' +
        'appendonly to yes.',
    );
  }
}

/**
 * A store with one node of a larger cluster finds a part of the sessions, and gets an error for each of the others.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when the server is such a node.
 */
export async function refuseNode(commands: RedisCommands): Promise<void> {
  const [info] = (await infoOf(commands, 'cluster')) ?? [];
  if (info?.get('cluster_enabled') !== '1') return;
  const [state] = (await asked(commands, 'CLUSTER', 'INFO')) ?? [];
  if (linesOf(state).get('cluster_size') === '1') return;
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${WHERE}: the server is one node of a Redis Cluster. Pass an array of nodes, openRedis([url, …]), or a client of ` +
      'createCluster of redis, or of Cluster of ioredis; nothing was read or written.',
  );
}

function checkPolicy(policy: string, limit: string, allowEviction: boolean): void {
  // Without a limit nothing is evicted.
  if (limit === '0') return;
  if (!policy.startsWith('allkeys-')) {
    warnOnce(
      `the server can evict the leases of exclusive() and of jobs when its memory is full (maxmemory-policy ${policy}). Set ` +
        'it to noeviction.',
    );
  } else if (allowEviction) {
    warnOnce(
      `the server evicts histories and data keys when its memory is full (maxmemory-policy ${policy}), which was accepted ` +
        '(allowEviction).',
    );
  } else {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `${WHERE}: the server evicts histories and data keys when its memory is full (maxmemory-policy ${policy}). Set ` +
        'maxmemory-policy to noeviction, or accept the loss with allowEviction: true; nothing was read or written.',
    );
  }
}

/** `undefined` when the user has no permission. */
export async function infoOf(
  commands: RedisCommands,
  section: string,
): Promise<ReadonlyMap<string, string>[] | undefined> {
  return (await asked(commands, 'INFO', section))?.map(linesOf);
}

function linesOf(reply: unknown): ReadonlyMap<string, string> {
  const lines = textOf(reply ?? '').split('\r\n');
  return new Map(lines.map((line) => [line.split(':')[0] ?? '', line.slice(line.indexOf(':') + 1)]));
}

/** Of each server. */
async function savesNothing(commands: RedisCommands): Promise<boolean[]> {
  const answers = (await asked(commands, 'CONFIG', 'GET', 'save')) ?? [];
  return answers.map((found) => {
    const values = Array.isArray(found)
      ? (found as unknown[]).map(textOf)
      : Object.values((found ?? {}) as Record<string, unknown>).map(textOf);
    return values.length > 0 && values.at(-1) === '';
  });
}

/** A refused query means "unknown"; a missing answer is an error like any other. */
async function asked(commands: RedisCommands, ...command: string[]): Promise<unknown[] | undefined> {
  try {
    return await commands.readEach(...command);
  } catch (error) {
    const cause = (error as { cause?: unknown }).cause;
    if (/^(?:NOPERM|ERR unknown)/.test(cause instanceof Error ? cause.message : '')) return undefined;
    throw error;
  }
}
