import { StrongroomError } from '../../errors.ts';
import { invalidOption } from '../../options.ts';
import { closedError } from '../failure.ts';
import { inTime } from '../in-time.ts';
import { isReply, NotSentError, textOf, type RedisArgument, type SendCommand } from './client.ts';
import { keyOf, slotOf } from './slot.ts';
import type { Source } from './connection-source.ts';

const WHERE = 'openRedis';
/** Milliseconds that a node has to say which node has which slots; and to answer before others are asked whether it still has its own. */
const PATIENCE = 1_000;
/** A slot can be on its way more than once; a circle of nodes that send each other away ends here. */
const REDIRECTIONS = 16;

/** How often nodes are asked at most, in milliseconds: many calls can fail at the same moment. */
const PAUSE = 50;

/** One node: a connection of its own, made when something is to be sent there. */
interface Node {
  readonly source: Source;
  connect(): Promise<SendCommand>;
  /** The one that was made last. */
  connection?: SendCommand;
}

/**
 * A cluster by the URLs of some of its nodes. Each primary has the connection that a server alone has, which says whether a
 * command was sent. Not with `createCluster` of `redis`: it cannot be opened while a primary is down, and it learns of a
 * failover seconds later, by a setting that not every supported version has.
 *
 * @param open Makes the connection to one node.
 */
export function fromUrls(urls: readonly string[], timeout: number, open: (url: string) => Source): Source {
  for (const url of urls.length === 0 ? [undefined] : urls) {
    if (typeof url !== 'string' || !/^rediss?:\/\//.test(url) || !URL.canParse(url)) {
      invalidOption(WHERE, 'target', 'a list of redis:// or rediss:// URLs of nodes of one cluster', urls);
    }
  }
  const seeds = new Map(urls.map((url) => [addressOf(new URL(url)), url]));
  const nodes = new Map<string, Node>();
  /** The address of the primary that has a slot. */
  let owners: string[] | undefined;
  let asking: Promise<void> | undefined;
  let askedAt = 0;
  let isClosed = false;
  let made = (): void => undefined;

  function nodeAt(address: string): Node {
    const known = nodes.get(address);
    if (known !== undefined) return known;
    if (isClosed) throw closedError(WHERE);
    const source = open(seeds.get(address) ?? withAddress(urls[0] as string, address));
    source.onConnection(() => made());
    const node: Node = { source, connect: async () => (node.connection = await source.connect()) };
    nodes.set(address, node);
    return node;
  }

  async function connectionTo(address: string): Promise<SendCommand> {
    try {
      return await nodeAt(address).connect();
    } catch (error) {
      refresh();
      if (error instanceof StrongroomError || isReply(error)) throw error;
      throw new NotSentError(`No connection to ${address}.`, { cause: error });
    }
  }

  /** Finds out who has which slots. What waits for that waits by trying again. */
  function refresh(): void {
    if (isClosed || performance.now() - askedAt < PAUSE) return;
    ask().catch(() => undefined);
  }

  /** @throws when nobody could say, and nothing is known from before. */
  function ask(): Promise<void> {
    return (asking ??= askOneOfThem().finally(() => {
      asking = undefined;
      askedAt = performance.now();
    }));
  }

  async function askOneOfThem(): Promise<void> {
    let failure: unknown = new NotSentError('No node of the cluster has slots.');
    for (const address of new Set([...shuffled(nodes.keys()), ...shuffled(seeds.keys())])) {
      try {
        const answer = nodeAt(address)
          .connect()
          .then((connection) => connection(['CLUSTER', 'SLOTS']));
        const found = ownersOf(await inTime(answer, PATIENCE), hostOf(address));
        if (found.length === 0) continue;
        owners = found;
        retire(new Set(found));
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

  /** What a node that is no primary any more has under way gets a moment to end. */
  function retire(primaries: ReadonlySet<string>): void {
    for (const [address, { source, connection }] of nodes) {
      if (primaries.has(address)) continue;
      nodes.delete(address);
      inTime(source.close(), PATIENCE, () => source.abandon(connection)).catch(() => undefined);
    }
  }

  const send = async (command: readonly RedisArgument[]): Promise<unknown> => {
    const deadline = performance.now() + timeout;
    const slot = slotOf(keyOf(command));
    // A primary that falls silent can be replaced meanwhile: then its connection ends.
    const impatience = setInterval(refresh, PATIENCE);
    try {
      for (let asked: string | undefined, redirections = 0; ; redirections++) {
        const address = asked ?? owners?.[slot];
        if (address === undefined) {
          refresh();
          throw new NotSentError(`No node of the cluster has slot ${slot}.`);
        }
        const connection = await connectionTo(address);
        if (performance.now() > deadline) throw new NotSentError(`No connection in ${timeout} ms.`);
        try {
          // What is sent in one turn travels together: nothing comes between the two.
          if (asked !== undefined) connection(['ASKING']).catch(() => undefined);
          return await connection(command);
        } catch (error) {
          const redirection = redirectionOf(error, address);
          if (redirection === undefined ? !isReply(error) || isDown(error) : !redirection.once) refresh();
          if (redirection === undefined || redirections === REDIRECTIONS) throw error;
          asked = redirection.once ? redirection.target : undefined;
          if (!redirection.once && owners !== undefined) owners[slot] = redirection.target;
        }
      }
    } finally {
      clearInterval(impatience);
    }
  };
  const primaries = (): Promise<SendCommand[]> => Promise.all([...new Set(owners)].map(connectionTo));
  const connection: SendCommand = Object.assign(send, { primaries });

  return {
    isCluster: true,
    async connect() {
      if (isClosed) throw closedError(WHERE);
      if (owners === undefined) await ask();
      return connection;
    },
    onConnection(called) {
      made = called;
    },
    // A node that was the primary names the one that is.
    replace: () => undefined,
    // One of the nodes fell silent: its own answer tells which.
    abandon() {
      for (const { source, connection: used } of nodes.values()) {
        if (used === undefined) source.abandon(undefined);
        else inTime(used(['PING']), PATIENCE, () => source.abandon(used)).catch(() => undefined);
      }
      refresh();
    },
    async close() {
      isClosed = true;
      await Promise.all([...nodes.values()].map(({ source }) => source.close()));
    },
  };
}

/**
 * The reply has `[from, to, primary, ...replicas]` for each range, a node being `[host, port, ...]`.
 *
 * @param asked The host of the node that answered, which can leave out its own.
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

interface Redirection {
  readonly target: string;
  /** The slot is on its way: the next command goes to its present owner again. */
  readonly once: boolean;
}

/** Redis Cluster specification, *MOVED redirection* and *ASK redirection*. */
function redirectionOf(error: unknown, address: string): Redirection | undefined {
  const found = error instanceof Error ? /^(MOVED|ASK) \d+ (\S+)/.exec(error.message) : null;
  if (found === null) return undefined;
  const [, kind, named = ''] = found;
  return { once: kind === 'ASK', target: named.startsWith(':') ? `${hostOf(address)}${named}` : named };
}

function isDown(error: unknown): boolean {
  return error instanceof Error && /^(?:CLUSTERDOWN|LOADING|MASTERDOWN|READONLY)/.test(error.message);
}

function isNoCluster(error: unknown): error is Error {
  return error instanceof Error && error.message.includes('cluster support disabled');
}

function noCluster(cause: Error): StrongroomError {
  return new StrongroomError(
    'ERR_INVALID_OPTION',
    `${WHERE}: the URLs are those of a server that is no node of a cluster. Give its URL alone, not a list.`,
    { cause },
  );
}

/** In the form in which nodes name each other. */
function addressOf({ hostname, port }: URL): string {
  return `${hostname.replace(/^\[|\]$/g, '')}:${port === '' ? '6379' : port}`;
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}

/** The same user, password and encryption at another address. */
function withAddress(url: string, address: string): string {
  const host = hostOf(address);
  const changed = new URL(url);
  changed.hostname = host.includes(':') ? `[${host}]` : host;
  changed.port = address.slice(host.length + 1);
  return changed.href;
}

function shuffled(addresses: Iterable<string>): string[] {
  return [...addresses]
    .map((address) => ({ address, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ address }) => address);
}
