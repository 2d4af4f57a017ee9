import { StrongroomError } from '../../errors.ts';
import { invalidOption } from '../../options.ts';
import { closedError } from '../failure.ts';
import { isReply, NotSentError, type RedisArgument, type SendCommand } from './client.ts';
import { clusterNodes, PATIENCE, type Nodes } from './cluster-nodes.ts';
import { isDown, redirectionOf } from './redirection.ts';
import { slotOwners, type SlotOwners } from './slot-owners.ts';
import { keyOf, slotOf } from './slot.ts';
import type { Source } from './connection-source.ts';

const WHERE = 'openRedis';
/** A slot can move more than once; this bounds a circle of redirections. */
const REDIRECTIONS = 16;

/**
 * A cluster by the URLs of some of its nodes. Each primary has the connection of a single server, which reports
 * whether a command was sent. Not with `createCluster` of `redis`: it cannot be opened while a primary is down, and
 * it learns of a failover seconds later, by a setting that not every supported version has.
 *
 * @param open Makes the connection to one node.
 */
export function fromUrls(urls: readonly string[], timeout: number, open: (url: string) => Source): Source {
  for (const url of urls.length === 0 ? [undefined] : urls) {
    if (typeof url !== 'string' || !/^rediss?:\/\//.test(url) || !URL.canParse(url)) {
      invalidOption(WHERE, 'target', 'an array of redis:// or rediss:// URLs of nodes of one cluster', urls);
    }
  }
  const nodes = clusterNodes(urls, open);
  const owners = slotOwners(nodes);
  const connection = clusterConnection(nodes, owners, timeout);
  return {
    isCluster: true,
    async connect() {
      if (nodes.isClosed()) throw closedError(WHERE);
      if (!owners.isKnown()) await owners.ask();
      return connection;
    },
    onConnection: (called) => nodes.onConnection(called),
    // A former primary names the current one.
    replace: () => undefined,
    // One of the nodes does not answer: a probe of each node shows which.
    abandon() {
      nodes.abandonSilent();
      owners.refresh();
    },
    close: () => nodes.close(),
  };
}

/** Sends each command to the node that has the slot of its key. */
function clusterConnection(nodes: Nodes, owners: SlotOwners, timeout: number): SendCommand {
  async function connectionTo(address: string): Promise<SendCommand> {
    try {
      return await nodes.at(address).connect();
    } catch (error) {
      owners.refresh();
      if (error instanceof StrongroomError || isReply(error)) throw error;
      throw new NotSentError(`No connection to ${address}.`, { cause: error });
    }
  }

  const send = async (command: readonly RedisArgument[]): Promise<unknown> => {
    const deadline = performance.now() + timeout;
    const slot = slotOf(keyOf(command));
    // A primary that does not answer can be replaced meanwhile: then its connection ends.
    const impatience = setInterval(() => owners.refresh(), PATIENCE);
    try {
      for (let asked: string | undefined, redirections = 0; ; redirections++) {
        const address = asked ?? owners.of(slot);
        if (address === undefined) {
          owners.refresh();
          throw new NotSentError(`No node of the cluster has slot ${slot}.`);
        }
        const connection = await connectionTo(address);
        if (performance.now() > deadline) throw new NotSentError(`No connection in ${timeout} ms.`);
        try {
          // Commands that are sent in one turn share a packet: nothing comes between the two.
          if (asked !== undefined) connection(['ASKING']).catch(() => undefined);
          return await connection(command);
        } catch (error) {
          const redirection = redirectionOf(error, address);
          const isElsewhere =
            redirection === undefined ? !isReply(error) || isDown(error) : !redirection.once;
          if (isElsewhere) owners.refresh();
          if (redirection === undefined || redirections === REDIRECTIONS) throw error;
          asked = redirection.once ? redirection.target : undefined;
          if (!redirection.once) owners.moved(slot, redirection.target);
        }
      }
    } finally {
      clearInterval(impatience);
    }
  };
  const primaries = (): Promise<SendCommand[]> => Promise.all(owners.primaries().map(connectionTo));
  return Object.assign(send, { primaries });
}
