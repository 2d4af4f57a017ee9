import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { generateKey } from '../../src/keys/generate-key.ts';
import { rounds } from '../support/soak.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { temporaryFolder } from './folder.ts';
import { ownServer, withoutBinaries } from './own-server.ts';
import { startProxy } from './proxy.ts';
import { replicatedServer } from './replicated-server.ts';
import { findings, turnsOf, wrongIn, type Turn } from './run-history.ts';
import { announce, uniqueName, type ServerName } from './servers.ts';
import { startWriter, type Writer } from './writer.ts';

// Agents that talk through the full stack while processes are killed, servers die and networks fail. What counts at the end: no
// acknowledged turn is lost or there twice, every session can be read and takes the next turn, every call has its result. The
// stores run side by side: most of the time passes in waiting for locks of dead processes.

// With servers it takes a minute and a half of waiting, too much for `npm test`: there it runs on SQLite alone, and on all stores in
// `npm run soak`.
const SOAKING = rounds(0, 1) === 1;

const WRITERS = rounds(2, 8);
const KILLS = rounds(1, 100);
const RESTARTS = rounds(2, 20);
const CUTS = rounds(3, 60);
const FAILOVERS = rounds(1, 10);
/** Each process that dies keeps a session for some seconds; with few sessions all that are left would soon wait for those. */
const SESSIONS = rounds(8, 48);
const TIMEOUT = rounds(120_000, 3_600_000);

const program = new URL('run-process.ts', import.meta.url);

/** Processes that talk until they are told to stop, and everything they said. */
async function talking(target: string, name: string, writers: number) {
  const key = await generateKey();
  const running: Writer[] = [];
  const turns: Turn[] = [];
  /** Processes that ended without being killed or told to. */
  let crashes = 0;
  let count = 0;
  const start = async (number = 1): Promise<void> => {
    const fresh = Array.from({ length: number }, () =>
      startWriter(program, [target, name, JSON.stringify(key), SESSIONS]),
    );
    await Promise.all(fresh.map((writer) => writer.said('ready')));
    for (const writer of fresh) {
      writer.tell(`p${count++}`);
      void writer.ended.then(() => (crashes += running.includes(writer) ? 1 : 0));
    }
    running.push(...fresh);
  };
  await start(writers);
  return {
    key,
    start,
    running,
    /** Resolves when some more turns were acknowledged. */
    async progress(count = 1): Promise<void> {
      const done = (): number =>
        running.flatMap((writer) => turnsOf(writer.lines())).filter((turn) => turn.acknowledged).length;
      const before = done();
      while (done() < before + count) {
        if (crashes > 0) throw new Error(`${crashes} processes ended by themselves.`);
        await delay(20);
      }
    },
    async kill(writer: Writer): Promise<void> {
      running.splice(running.indexOf(writer), 1);
      writer.kill();
      await writer.ended;
      turns.push(...turnsOf(writer.lines()));
    },
    /** Lets all finish the turn they are in. */
    async stop(): Promise<readonly Turn[]> {
      expect(crashes).toBe(0);
      for (const writer of running) writer.tell('stop');
      for (const writer of running) {
        expect(await writer.ended).toBe(0);
        turns.push(...turnsOf(writer.lines()));
      }
      return turns;
    },
  };
}

/** The numbers of a long run are its result. */
function tell(what: string, turns: readonly Turn[]): void {
  if (!SOAKING) return;
  const failed = turns.filter(({ acknowledged }) => !acknowledged).map(({ code = '' }) => code);
  const codes = [...new Set(failed)].map(
    (code) => `${failed.filter((other) => other === code).length} ${code}`,
  );
  console.info(
    `${what}: ${turns.length - failed.length} turns acknowledged, ${codes.join(', ') || 'none'} failed.`,
  );
}

function killed(target: () => string, name: string): void {
  test(
    'loses no acknowledged turn, duplicates none and blocks no session when processes are killed in the middle of runs',
    async () => {
      const talk = await talking(target(), name, WRITERS);
      for (let kill = 0; kill < KILLS; kill++) {
        const victim = talk.running[randomInt(talk.running.length)] as Writer;
        await victim.reached(1 + randomInt(4));
        await talk.kill(victim);
        if (KILLS - kill > WRITERS / 2) await talk.start();
      }
      const turns = await talk.stop();
      tell(`${new URL(target(), 'file:').protocol} ${KILLS} kills`, turns);
      expect(turns.filter(({ acknowledged }) => acknowledged).length).toBeGreaterThan(KILLS);
      expect(turns.filter(({ acknowledged }) => !acknowledged)).toEqual([]);
      expect(await findings(target(), name, talk.key, turns)).toEqual([]);
    },
    TIMEOUT,
  );
}

describe('The checks of a history', () => {
  const user = { type: 'message', role: 'user', content: 'mp0x0m: hello' } as const;
  const call = { type: 'function_call', callId: 'call-mp0x0m', name: 'look', arguments: '{}' } as const;
  const turns = [{ acknowledged: true, session: 's', mark: 'mp0x0m' }];

  test('name lost, duplicated and orphaned items', () => {
    expect(wrongIn([], turns)).toEqual(['acknowledged, and not there in one piece: mp0x0m']);
    expect(wrongIn([user, user, call], [])).toEqual([
      'doubled: mp0x0m user',
      'a call without a result: mp0x0m function_call',
    ]);
  });
});

const file = temporaryFolder();
describe.concurrent('SQLite under the full stack', () => {
  killed(() => file('chaos.db'), 'unused');
});

const postgres = await announce('PostgreSQL', 'PostgreSQL under the full stack');
describe.skipIf(postgres.absent || !SOAKING).concurrent('PostgreSQL under the full stack', () => {
  const name = uniqueName('chaos');
  afterAll(() => dropPostgresSchema(postgres.url, name));
  killed(() => postgres.url, name);
});

const mariadb = await announce('MariaDB', 'MariaDB under the full stack');
describe.skipIf(mariadb.absent || !SOAKING).concurrent('MariaDB under the full stack', () => {
  const name = uniqueName('chaos');
  afterAll(() => dropMysqlTables(mariadb.url, `${name}_`));
  killed(() => mariadb.url, name);
});

const redis = await announce('Redis', 'Redis under the full stack');
describe.skipIf(redis.absent || !SOAKING).concurrent('Redis under the full stack', () => {
  const name = uniqueName('chaos');
  afterAll(() => deleteRedisKeys(redis.url, name));
  killed(() => redis.url, name);
});

describe.concurrent.each<ServerName>(['PostgreSQL', 'MariaDB', 'Redis'])(
  '%s under the full stack',
  (server) => {
    const absent = withoutBinaries(server, `${server} under the full stack, when the server dies`);

    test.skipIf(absent || !SOAKING)(
      'keeps every acknowledged turn when the server is killed and the network fails, and every session still works',
      async () => {
        const own = await ownServer(server);
        await own.start();
        const proxy = await startProxy(own.url);
        try {
          const name = uniqueName('chaos');
          const talk = await talking(proxy.url, name, 3);
          for (let restart = 0; restart < RESTARTS; restart++) {
            await talk.progress(5);
            await own.kill(restart % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
            await own.start();
          }
          for (let cut = 0; cut < CUTS; cut++) {
            await talk.progress();
            if (cut % 3 === 2) proxy.silence();
            else proxy.cutAfter(1 + randomInt(20));
          }
          await talk.progress();
          const turns = await talk.stop();
          expect(turns.filter(({ acknowledged }) => acknowledged).length).toBeGreaterThan(RESTARTS);
          tell(`${server} ${RESTARTS} restarts, ${CUTS} failures of the network`, turns);
          // What fails says so with a code.
          expect(turns.filter(({ code = 'ERR_' }) => !code.startsWith('ERR_'))).toEqual([]);
          expect(await findings(own.url, name, talk.key, turns)).toEqual([]);
        } finally {
          await proxy.close();
          await own.destroy();
        }
      },
      TIMEOUT,
    );
  },
);

describe.concurrent.each(['PostgreSQL', 'Redis'] as const)('%s under the full stack', (server) => {
  const absent = withoutBinaries(server, `${server} under the full stack, when its replica takes over`);

  test.skipIf(absent || !SOAKING)(
    'keeps every acknowledged turn when a replica takes over behind the same address, and every session still works',
    async () => {
      const pair = await replicatedServer[server]();
      const proxy = await startProxy(pair.url);
      try {
        const name = uniqueName('chaos');
        const talk = await talking(proxy.url, name, 3);
        for (let failover = 0; failover < FAILOVERS; failover++) {
          await talk.progress(5);
          await pair.failOver((url) => proxy.pointTo(url), failover % 2 === 0);
        }
        await talk.progress();
        const turns = await talk.stop();
        tell(`${server} ${FAILOVERS} failovers`, turns);
        expect(turns.filter(({ acknowledged }) => acknowledged).length).toBeGreaterThan(FAILOVERS);
        expect(turns.filter(({ code = 'ERR_' }) => !code.startsWith('ERR_'))).toEqual([]);
        expect(await findings(pair.url, name, talk.key, turns)).toEqual([]);
      } finally {
        await proxy.close();
        await pair.destroy();
      }
    },
    TIMEOUT,
  );
});
