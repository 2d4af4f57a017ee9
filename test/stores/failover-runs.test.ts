import { Agent, Runner, tool, type AgentInputItem } from '@openai/agents';
import { assistantMessage, functionCall, modelResponder, ScriptedModel } from '@openai/agents/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { StrongroomError } from '../../src/errors.ts';
import { cache, encrypt, expire, redact, wrapStore } from '../../src/index.ts';
import { resilient } from '../../src/layers/resilient.ts';
import { openMysql } from '../../src/stores/mysql.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { rounds } from '../support/soak.ts';
import { PAIRS, type Pair } from './failover-pairs.ts';
import { withoutBinaries } from './own-server.ts';
import { wrongIn, type Turn } from './run-history.ts';
import type { ServerName } from './servers.ts';

// One process that talks to agents while what it stores them in fails over: to a replica behind the same address, where the
// connections are cut, or where they go on leading to the old server.

const FAILOVERS = rounds(1, 10);
const TIMEOUT = rounds(120_000, 1_800_000);

const OPEN: Readonly<Record<ServerName, (url: string) => Store<StoreSession>>> = {
  Redis: (url) => openRedis(url),
  PostgreSQL: (url) => openPostgres(url, { maxConnections: 4, sharePool: false }),
  MariaDB: (url) => openMysql(url, { maxConnections: 4, sharePool: false }),
};

const look = tool({
  name: 'look',
  description: 'Looks up an order.',
  parameters: z.object({ mark: z.string() }),
  execute: ({ mark }) => `order of ${mark}`,
});

function agentFor(mark: string): Agent {
  const model = new ScriptedModel([
    modelResponder(() => [functionCall('look', { mark }, { callId: `call-${mark}` })]),
    modelResponder(() => [assistantMessage(`answer ${mark}`)]),
  ]);
  return new Agent({ name: 'Support', model, tools: [look] });
}

/** Fresh ones are of a process that starts now. */
const stackOver = (store: Store<StoreSession>) =>
  wrapStore(store, [
    redact({ entities: ['EMAIL_ADDRESS'] }),
    resilient({ retries: 60, delay: 20, maxDelay: 200 }),
    expire({ after: '30d' }),
    cache({ maxItems: 10_000 }),
    encrypt({ keys: fixedKeyring() }),
  ]);

const runner = new Runner({ tracingDisabled: true });

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

describe.each(Object.keys(PAIRS) as ServerName[])('%s that fails over behind one address', (kind) => {
  const absent = withoutBinaries(kind, `${kind} that fails over`);
  describe.skipIf(absent)('under load', () => {
    let pair: Pair;
    beforeAll(async () => {
      pair = await PAIRS[kind]();
    }, TIMEOUT);
    afterAll(() => pair?.destroy(), TIMEOUT);

    test(
      'loses no acknowledged turn of a process that continues, duplicates none and blocks no session',
      async () => {
        await using store = OPEN[kind](pair.proxy.url);
        const sessions = stackOver(store);
        const turns: Turn[] = [];
        const over = new AbortController();
        const talk = async (session: string): Promise<void> => {
          for (let turn = 0; !over.signal.aborted; turn++) {
            const mark = `m${session}x${turn}m`;
            const before = turns.length;
            try {
              await runner.run(agentFor(mark), `${mark}: where is the order of ada@example.com?`, {
                session: sessions.session(session),
              });
              turns.push({ acknowledged: true, session, mark });
            } catch (error) {
              const code =
                error instanceof StrongroomError ? `${error.code} ${error.written}` : String(error);
              turns.push({ acknowledged: false, session, mark, code });
            }
            expect(turns.length).toBeGreaterThan(before);
          }
        };
        const ids = ['a', 'b', 'c', 'd'];
        const talking = Promise.all(ids.map(talk));
        const more = async (): Promise<void> => {
          for (const id of ids) {
            const before = turns.filter(({ session, acknowledged }) => session === id && acknowledged).length;
            await vi.waitUntil(
              () =>
                turns.filter(({ session, acknowledged }) => session === id && acknowledged).length > before,
              { timeout: TIMEOUT, interval: 5 },
            );
          }
        };
        for (let failover = 0; failover < FAILOVERS; failover++) {
          for (const cuts of [false, true]) {
            await more();
            await pair.failOver({ cuts });
            await more();
          }
        }
        over.abort();
        await talking;
        // A connection that is cut leaves the outcome of what was under way unknown; everything else was repeated.
        const failed = turns.filter(({ acknowledged }) => !acknowledged);
        expect(new Set(failed.map(({ code }) => code)).size).toBeLessThan(2);
        for (const { code } of failed) expect(code).toBe('ERR_STORE unknown');
        await using fresh = OPEN[kind](pair.primary());
        for (const id of ids) {
          const mine = turns.filter(({ session }) => session === id);
          expect(wrongIn(await stackOver(fresh).session(id).getItems(), mine)).toEqual([]);
          expect(await sessions.session(id).getItems()).toEqual(
            await stackOver(fresh).session(id).getItems(),
          );
        }
      },
      TIMEOUT,
    );

    test(
      'gets a refused statement once more over a new connection, and not again',
      async () => {
        await using before = OPEN[kind](pair.primary());
        await before.session('refused').addItems([message('1')]);
        await using store = OPEN[kind](pair.proxy.url);
        // Several connections, all of which lead to the old server in a moment.
        await Promise.all(Array.from({ length: 8 }, () => store.session('refused').getItems()));
        await pair.failOver({ cuts: false });
        const ids = Array.from({ length: 8 }, (_, n) => `after ${n}`);
        await Promise.all(ids.map((id) => store.session(id).addItems([message('2')])));
        await store.session('refused').addItems([message('2')]);
        expect(await store.session('refused').popItem()).toEqual(message('2'));
        for (const id of ids) expect(await store.session(id).getItems()).toEqual([message('2')]);
      },
      TIMEOUT,
    );
  });
});
