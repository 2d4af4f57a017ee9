import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, Runner, type AgentInputItem, type Session } from '@openai/agents';
import { assistantMessage, modelResponder, ScriptedModel } from '@openai/agents/testing';
import { afterAll, describe, expect, test } from 'vitest';
import {
  cache,
  encrypt,
  exclusive,
  expire,
  generateKey,
  keyring,
  redact,
  wrapStore,
} from '../../src/index.ts';
import { archiveHistory, archiveOf } from '../../src/history/archive-history.ts';
import type { Store } from '../../src/stores/store.ts';
import { rounds } from '../support/soak.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { temporaryFolder } from './folder.ts';
import { openStore } from './open-store.ts';
import { announce, uniqueName } from './servers.ts';

const SOAKING = rounds(0, 1) === 1;
const SESSIONS = rounds(30, 1_000);
const TURNS = rounds(2, 20);
const AT_ONCE = rounds(30, 500);
const LONG = rounds(600, 50_000);
/** Milliseconds of the 99th percentile on SQLite. Processor time decides, because the machine has other work. */
const MOST = 50;

const file = temporaryFolder();
const postgres = await announce('PostgreSQL', 'the delay of the event loop on PostgreSQL');
const mariadb = await announce('MariaDB', 'the delay of the event loop on MariaDB');
const redis = await announce('Redis', 'the delay of the event loop on Redis');

/** In milliseconds. */
interface Delays {
  /** Of a timer: what others on the machine take counts, too. */
  readonly p99: number;
  readonly max: number;
  /** Processor time of this thread in one turn of the loop; of turns of a millisecond and more. */
  readonly work99: number;
  readonly longestWork: number;
}

/** Processor time of this thread; of the process where Node.js cannot tell. */
function worked(): number {
  const { user, system } = process.threadCpuUsage?.() ?? process.cpuUsage();
  return (user + system) / 1_000;
}

async function delaysDuring(work: () => Promise<unknown>): Promise<Delays> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await delay(20);
  histogram.reset();
  const turns: number[] = [];
  const ended = new AbortController();
  let last = worked();
  const count = (): void => {
    const now = worked();
    if (now - last >= 1) turns.push(now - last);
    last = now;
    if (!ended.signal.aborted) setImmediate(count);
  };
  setImmediate(count);
  await work();
  await delay(20);
  ended.abort();
  histogram.disable();
  turns.sort((a, b) => a - b);
  return {
    p99: histogram.percentile(99) / 1e6,
    max: histogram.max / 1e6,
    work99: turns[Math.floor(turns.length * 0.99)] ?? 0,
    longestWork: turns.at(-1) ?? 0,
  };
}

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

const runner = new Runner({ tracingDisabled: true });

/** A run of an agent: reads the session, and adds a question and an answer. */
async function turn(session: Session, text: string): Promise<void> {
  const model = new ScriptedModel([modelResponder(() => [assistantMessage(`answer to ${text}`)])]);
  await runner.run(new Agent({ name: 'Support', model }), text, { session });
}

async function stackOver(store: Store): Promise<Store> {
  const keys = keyring({ current: await generateKey() });
  return wrapStore(store, [
    redact({ entities: ['EMAIL_ADDRESS'] }),
    exclusive(),
    expire({ after: '30d' }),
    cache({ maxItems: 100_000 }),
    encrypt({ keys }),
  ]);
}

/** Numbers for whoever reads the output; a short run says nothing. */
function say(what: string, delays: Delays, busy: Delays): void {
  if (!SOAKING) return;
  const [p99, max, work99, longest, other99, otherMax] = [
    delays.p99,
    delays.max,
    delays.work99,
    delays.longestWork,
    busy.p99,
    busy.max,
  ].map((time) => time.toFixed(1));
  console.info(
    `${what}: delay p99 ${p99} ms, longest ${max} ms; work in a turn p99 ${work99} ms, longest ${longest} ms; ` +
      `a loop with 5 ms of work in each turn: delay p99 ${other99} ms, longest ${otherMax} ms`,
  );
}

/** What the machine makes of a loop that never works for long: one that idles says nothing, it is woken first. */
function busyLoop(): Promise<Delays> {
  return delaysDuring(async () => {
    const until = performance.now() + rounds(20, 5_000);
    while (performance.now() < until) {
      const end = worked() + 5;
      while (worked() < end);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
}

const stores = [
  { name: 'SQLite', absent: false, target: file('delay.db'), clean: async () => undefined },
  {
    name: 'PostgreSQL',
    absent: postgres.absent || !SOAKING,
    target: postgres.url,
    clean: (name: string) => dropPostgresSchema(postgres.url, name),
  },
  {
    name: 'MariaDB',
    absent: mariadb.absent || !SOAKING,
    target: mariadb.url,
    clean: (name: string) => dropMysqlTables(mariadb.url, `${name}_`),
  },
  {
    name: 'Redis',
    absent: redis.absent || !SOAKING,
    target: redis.url,
    clean: (name: string) => deleteRedisKeys(redis.url, name),
  },
] as const;

for (const { name: kind, absent, target, clean } of stores) {
  describe.skipIf(absent)(`the event loop with ${kind} under the full stack`, () => {
    const name = uniqueName('delay');
    afterAll(() => clean(name));

    test(`keeps running while ${SESSIONS} sessions take ${TURNS} turns each, all at once`, async () => {
      await using store = openStore(target, name);
      const sessions = await stackOver(store);
      const before = await busyLoop();
      const delays = await delaysDuring(() =>
        Promise.all(
          Array.from({ length: SESSIONS }, async (_, number) => {
            const session = sessions.session(`chat-${number}`);
            for (let each = 0; each < TURNS; each++) await turn(session, `question ${each}`);
          }),
        ),
      );
      say(`${kind}, ${SESSIONS} sessions with ${TURNS} turns`, delays, before);
      for (const number of [0, SESSIONS - 1]) {
        expect(await sessions.session(`chat-${number}`).getItems()).toHaveLength(2 * TURNS);
      }
      const most = SOAKING && kind === 'SQLite' ? MOST : Number.POSITIVE_INFINITY;
      expect(delays.work99).toBeLessThan(most);
    });

    test(`keeps running while ${AT_ONCE} sessions are read and written at once, and during long work`, async () => {
      await using store = openStore(target, name);
      const sessions = await stackOver(store);
      const before = await busyLoop();
      const burst = await delaysDuring(() =>
        Promise.all(
          Array.from({ length: AT_ONCE }, async (_, number) => {
            const session = sessions.session(`burst-${number}`);
            expect(await session.getItems()).toEqual([]);
            await session.addItems([message('question'), message('answer')]);
          }),
        ),
      );
      say(`${kind}, ${AT_ONCE} sessions at once`, burst, before);
      const long = sessions.session('long');
      for (let at = 0; at < LONG; at += 500) {
        const count = Math.min(500, LONG - at);
        await long.addItems(Array.from({ length: count }, (_, index) => message(`item ${at + index}`)));
      }
      const reading = await delaysDuring(async () => expect(await long.getItems()).toHaveLength(LONG));
      say(`${kind}, a cold read of ${LONG} items`, reading, before);
      const archiving = await delaysDuring(() => archiveHistory(long, { before: LONG / 2 }));
      say(`${kind}, an archive of ${LONG / 2} items`, archiving, before);
      expect(await (await archiveOf(long)).getItems()).toHaveLength(LONG / 2);
    });
  });
}
