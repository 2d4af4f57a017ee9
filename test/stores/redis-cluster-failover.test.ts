import { randomInt } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentInputItem, Session } from '@openai/agents';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { cache, encrypt, expire, redact, wrapStore, type Layers } from '../../src/index.ts';
import { slotOf } from '../../src/stores/redis/slot.ts';
import { openRedis } from '../../src/stores/redis.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { rounds } from '../support/soak.ts';
import { CLUSTER_CLIENTS } from './cluster-clients.ts';
import { ownCluster, withoutCluster, type ClusterNode, type OwnCluster } from './own-cluster.ts';
import { ownServer } from './own-server.ts';
import { uniqueName } from './servers.ts';

// Sessions that are written to through every client, bare and under the full stack, while slots move and primaries are killed.

const RESHARDS = rounds(1, 20);
/** How many slots move at a time, the first of a server: each takes some milliseconds. */
const SLOTS = rounds(400, 2_500);
const FAILOVERS = rounds(1, 10);
const SESSIONS = rounds(1, 4);
const TIMEOUT = rounds(120_000, 1_800_000);

const STACKS: readonly (readonly [name: string, layers: () => Layers])[] = [
  ['bare', () => []],
  [
    'the full stack',
    () => [
      redact({ entities: ['EMAIL_ADDRESS'] }),
      expire({ after: '30d' }),
      cache({ maxItems: 10_000 }),
      encrypt({ keys: fixedKeyring() }),
    ],
  ],
];

function contentOf(item: AgentInputItem): string {
  return 'content' in item && typeof item.content === 'string' ? item.content : JSON.stringify(item);
}

/** A name in one of the slots that move. */
function inMovingSlot(name: string): string {
  let number = 0;
  while (slotOf(`{${encodeURIComponent(`${name} ${number}`)}}`) >= SLOTS) number++;
  return `${name} ${number}`;
}

/** A session somebody writes to without a pause. */
interface Load {
  readonly id: string;
  readonly layers: () => Layers;
  readonly prefix: string;
  readonly session: Session;
  readonly acknowledged: string[];
  /** What failed, and whether it can be there nevertheless. */
  readonly failures: { readonly content: string; readonly text: string }[];
  stop(): Promise<void>;
}

function startLoad(session: Session, id: string, prefix: string, layers: () => Layers): Load {
  const load = {
    id,
    prefix,
    layers,
    session,
    acknowledged: [] as string[],
    failures: [] as Load['failures'],
  };
  const over = new AbortController();
  const work = async (): Promise<void> => {
    for (let number = 0; !over.signal.aborted; number++) {
      const content = `${number} of ${id}: ask ada@example.com`;
      const stored = content.replace(
        'ada@example.com',
        layers().length > 0 ? '<EMAIL_ADDRESS>' : 'ada@example.com',
      );
      try {
        await session.addItems([{ type: 'message', role: 'user', content }]);
        load.acknowledged.push(stored);
        if (number % 10 === 0) await session.getItems();
      } catch (error) {
        load.failures.push({
          content: stored,
          text: `${(error as { code?: string }).code}: ${(error as Error).message}`,
        });
        await delay(20);
      }
      await delay(rounds(20, 5));
    }
  };
  const working = work();
  return {
    ...load,
    async stop() {
      over.abort();
      await working;
    },
  };
}

describe.skipIf(withoutCluster('a cluster that changes under load'))(
  'A cluster that changes under load',
  () => {
    let cluster: OwnCluster;
    beforeAll(async () => {
      // A longer time than others need: a machine that is busy for a moment must not look like one that died.
      cluster = await ownCluster({
        replicas: 1,
        settings: ['--repl-diskless-sync-delay', '0', '--cluster-node-timeout', '2000'],
      });
    }, 60_000);
    afterAll(() => cluster?.destroy());

    /** Every client with every stack. */
    async function loaded(
      prefix: string,
      idOf: (name: string) => string = (name) => name,
    ): Promise<{ readonly loads: readonly Load[]; end: () => Promise<void> }> {
      const stores = await Promise.all(
        CLUSTER_CLIENTS.flatMap(([client, open]) =>
          STACKS.map(async ([stack, layers]) => ({
            name: `${client}, ${stack}`,
            store: await open(cluster.urls, { prefix }),
            layers,
          })),
        ),
      );
      const loads = stores.flatMap(({ name, store, layers }) => {
        const sessions = wrapStore(store, layers());
        return Array.from({ length: SESSIONS }, (_, index) => {
          const id = idOf(`${name} ${index}`);
          return startLoad(sessions.session(id), id, prefix, layers);
        });
      });
      return {
        loads,
        async end() {
          await Promise.all(stores.map(({ store }) => store.close()));
        },
      };
    }

    const progress = async (loads: readonly Load[], more: number): Promise<void> => {
      const goals = loads.map(({ acknowledged }) => acknowledged.length + more);
      await vi.waitUntil(
        () => loads.every(({ acknowledged }, index) => acknowledged.length >= (goals[index] as number)),
        {
          timeout: 60_000,
          interval: 20,
        },
      );
    };

    /** What another process reads of a session. */
    const readAnew = async (
      { id, prefix, layers }: Load,
      target: string | readonly string[],
    ): Promise<string[]> => {
      await using store = openRedis(target, { prefix });
      return (await wrapStore(store, layers()).session(id).getItems()).map(contentOf);
    };

    /** Doubled, out of order, or acknowledged and not there. */
    const wrongIn = async (load: Load): Promise<{ readonly wrong: string[]; readonly lost: string[] }> => {
      const found = await readAnew(load, cluster.urls);
      const wrong = found
        .filter((content, index) => found.indexOf(content) !== index)
        .map((content) => `doubled: ${content}`);
      const known = new Set([...load.acknowledged, ...load.failures.map(({ content }) => content)]);
      wrong.push(
        ...found.filter((content) => !known.has(content)).map((content) => `never written: ${content}`),
      );
      const numbers = found.map((content) => Number.parseInt(content, 10));
      if (numbers.some((number, index) => index > 0 && number <= (numbers[index - 1] as number)))
        wrong.push(`out of order: ${load.id}`);
      const stored = new Set(found);
      return { wrong, lost: load.acknowledged.filter((content) => !stored.has(content)) };
    };

    test(
      'loses and duplicates nothing while slots move, and no call fails',
      async () => {
        const { loads, end } = await loaded(uniqueName('reshard'), inMovingSlot);
        await progress(loads, 3);
        for (let round = 0; round < RESHARDS; round++) {
          const primaries = await cluster.primaries();
          const [from, to] = [primaries[round % 3], primaries[(round + 1) % 3]] as [ClusterNode, ClusterNode];
          await cluster.reshard(from, to, SLOTS);
          // All of them are in slots that moved.
          const { id } = loads[0] as Load;
          expect((await cluster.ownerOf(`{${encodeURIComponent(id)}}`)).url).toBe(to.url);
          await progress(loads, 2);
        }
        for (const load of loads) await load.stop();
        const findings = await Promise.all(loads.map(wrongIn));
        expect(findings.flatMap(({ wrong, lost }) => [...wrong, ...lost])).toEqual([]);
        expect(loads.flatMap(({ failures }) => failures)).toEqual([]);
        await end();
      },
      TIMEOUT,
    );

    test(
      'loses only writes that the killed primary alone had, duplicates nothing, and every session still works',
      async () => {
        const prefix = uniqueName('failover');
        const { loads, end } = await loaded(prefix);
        await progress(loads, 3);
        const had: string[] = [];
        for (let round = 0; round < FAILOVERS; round++) {
          const primaries = await cluster.primaries();
          const victim = primaries[randomInt(primaries.length)] as ClusterNode;
          await victim.kill('SIGKILL');
          // A process that starts while nobody has these slots.
          await using late = openRedis(cluster.urls, { prefix });
          await Promise.all(
            Array.from({ length: 8 }, (_, index) =>
              late.session(`late ${round} ${index}`).addItems([{ role: 'user', content: 'late' }]),
            ),
          );
          await progress(loads, 3);
          had.push(...(await contentsOf(victim, loads)));
          // It comes back as a replica of the one that took its place.
          await victim.start();
          await cluster.settled();
        }
        for (const load of loads) await load.stop();
        const findings = await Promise.all(loads.map(wrongIn));
        expect(findings.flatMap(({ wrong }) => wrong)).toEqual([]);
        const lost = findings.flatMap(({ lost: of }) => of);
        expect(lost.filter((content) => !had.includes(content))).toEqual([]);
        const failures = loads.flatMap(({ failures: of }) => of);
        expect(
          failures.filter(
            ({ text }) => !/^ERR_STORE: .*(?:may have been committed|Nothing was written)/.test(text),
          ),
        ).toEqual([]);
        console.info(
          `${FAILOVERS} failovers: ${loads.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)} acknowledged, ${failures.length} failed, ${lost.length} lost by servers.`,
        );
        await end();
      },
      TIMEOUT,
    );

    /** What a server that was killed had on its disk. */
    async function contentsOf(killed: ClusterNode, loads: readonly Load[]): Promise<string[]> {
      const folder = await mkdtemp(join(tmpdir(), 'strongroom-killed-'));
      await cp(killed.folder, folder, { recursive: true });
      const server = await ownServer('Redis', { folder });
      await server.start();
      const contents = await Promise.all(loads.map((load) => readAnew(load, server.url)));
      await server.destroy();
      await rm(folder, { recursive: true, force: true });
      return contents.flat();
    }
  },
);
