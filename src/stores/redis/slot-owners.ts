import { StrongroomError } from '../../errors.ts';
import { inTime } from '../in-time.ts';
import { isReply, NotSentError, textOf } from './client.ts';
import { hostOf } from './cluster-address.ts';
import { PATIENCE, type Nodes } from './cluster-nodes.ts';

const WHERE = 'openRedis';
/** The shortest time between two queries of nodes, in milliseconds: many calls can fail at the same time. */
const PAUSE = 50;

/** The known primaries of slots. */
export interface SlotOwners {
  /** The address of the primary that has a slot. */
  of(slot: number): string | undefined;
  /** A node reported the new owner of the slot. */
  moved(slot: number, address: string): void;
  /** The addresses of all primaries. */
  primaries(): string[];
  /** Reads the owners of all slots. Callers do not wait for it, but retry. */
  refresh(): void;
  /** Whether the owners were read once. */
  isKnown(): boolean;
  /** @throws when no node answered, and nothing is known from before. */
  ask(): Promise<void>;
}

export function slotOwners(nodes: Nodes): SlotOwners {
  let owners: string[] | undefined;
  let asking: Promise<void> | undefined;
  let askedAt = 0;

  function refresh(): void {
    if (nodes.isClosed() || performance.now() - askedAt < PAUSE) return;
    ask().catch(() => undefined);
  }

  function ask(): Promise<void> {
    return (asking ??= askOneOfThem().finally(() => {
      asking = undefined;
      askedAt = performance.now();
    }));
  }

  async function askOneOfThem(): Promise<void> {
    let failure: unknown = new NotSentError('No node of the cluster has slots.');
    for (const address of nodes.addresses()) {
      try {
        const answer = nodes
          .at(address)
          .connect()
          .then((connection) => connection(['CLUSTER', 'SLOTS']));
        const found = ownersOf(await inTime(answer, PATIENCE), hostOf(address));
        if (found.length === 0) continue;
        owners = found;
        nodes.retire(new Set(found));
        return;
      } catch (error) {
        if (isNoCluster(error)) throw noCluster(error);
        if (error instanceof StrongroomError) throw error;
        failure = isReply(error)
          ? error
          : new NotSentError('No node of the cluster answers.', { cause: error });
      }
    }
    if (owners === undefined) throw failure;
  }

  return {
    of: (slot) => owners?.[slot],
    moved(slot, address) {
      if (owners !== undefined) owners[slot] = address;
    },
    primaries: () => [...new Set(owners)],
    refresh,
    isKnown: () => owners !== undefined,
    ask,
  };
}

/**
 * The reply has `[from, to, primary, ...replicas]` for each range, a node being `[host, port, ...]`.
 *
 * @param asked The host of the node that answered, which may omit its own.
 */
function ownersOf(reply: unknown, asked: string): string[] {
  const owners: string[] = [];
  for (const [from, to, [name, port]] of reply as [number, number, [unknown, number]][]) {
    const host = name === null ? '' : textOf(name);
    const address = `${host === '' || host === '?' ? asked : host}:${port}`;
    for (let slot = from; slot <= to; slot++) owners[slot] = address;
  }
  return owners;
}

function isNoCluster(error: unknown): error is Error {
  return error instanceof Error && error.message.includes('cluster support disabled');
}

function noCluster(cause: Error): StrongroomError {
  return new StrongroomError(
    'ERR_INVALID_OPTION',
    `${WHERE}: the URLs belong to a server that is not a cluster node. Pass its URL as a string, not in an array.`,
    { cause },
  );
}
