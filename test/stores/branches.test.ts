import assert from 'node:assert/strict';
import type { AgentInputItem } from '@openai/agents';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { assistant, user } from '../history/support/random-history.ts';
import { rounds } from '../support/soak.ts';
import { AFTER, branchActor, type BranchActor, type BranchSight, type BranchStep } from './branch-actor.ts';
import { BranchModel } from './branch-model.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { temporaryFolder } from './folder.ts';
import { announce, uniqueName } from './servers.ts';
import { startWriter } from './writer.ts';

interface Moment {
  readonly step: BranchStep;
  /** Milliseconds that pass before it. */
  readonly passed: number;
  /** Which of the two processes does it. */
  readonly by: 0 | 1;
}

const name = fc.constantFrom('main', 'a', 'b', 'c');
const question = fc.nat(999).map((number): AgentInputItem => user(`question ${number}`));
const answer = fc.nat(999).map((number): AgentInputItem => assistant(`answer ${number}`));
const items = fc
  .array(fc.tuple(question, fc.array(answer, { maxLength: 2 })), { minLength: 1, maxLength: 2 })
  .map((turns) => turns.flatMap(([asked, answered]) => [asked, ...answered]));

const step: fc.Arbitrary<BranchStep> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('add' as const), items }) },
  { weight: 2, arbitrary: fc.constantFrom<BranchStep>({ do: 'undo' }, { do: 'pop' }) },
  { weight: 1, arbitrary: fc.constantFrom<BranchStep>({ do: 'clear' }, { do: 'erase' }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('branch' as const), name, turns: fc.nat(3) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('switch' as const), name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), name, force: fc.boolean() }) },
  { weight: 2, arbitrary: fc.constant<BranchStep>({ do: 'purge' }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('hold' as const, 'release' as const),
      name,
      id: fc.constantFrom('1', '2'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('compact' as const),
      summary: fc.nat(99).map((number) => `summary ${number}`),
      keep: fc.nat(2),
    }),
  },
);

const lives = fc.array(
  fc.record<Moment>({
    step,
    passed: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: AFTER / 2 })),
    by: fc.constantFrom(0, 1),
  }),
  { minLength: 1, maxLength: 25 },
);

/** Lives that random ones seldom are. */
const rare: [readonly Moment[]][] = [
  // The id of a hold stays taken after its release.
  [
    [
      { step: { do: 'hold', name: 'main', id: '1' }, passed: 1, by: 0 },
      { step: { do: 'hold', name: 'main', id: '1' }, passed: 1, by: 1 },
      { step: { do: 'release', name: 'main', id: '1' }, passed: 1, by: 1 },
      { step: { do: 'hold', name: 'main', id: '1' }, passed: 1, by: 0 },
      { step: { do: 'erase' }, passed: 1, by: 0 },
      { step: { do: 'hold', name: 'main', id: '1' }, passed: 1, by: 1 },
    ],
  ],
];

let lifeCount = 0;

/** Both processes do their steps in turn, and each sees what a plain model has after it. */
async function play(actors: readonly [BranchActor, BranchActor], life: readonly Moment[]): Promise<void> {
  const chat = `chat-${++lifeCount}`;
  const model = new BranchModel();
  let now = Date.now();
  for (const [index, { passed, by, ...moment }] of life.entries()) {
    now += passed;
    // Holds of different lives are in one database.
    const done = 'id' in moment.step ? { ...moment.step, id: `${chat}-${moment.step.id}` } : moment.step;
    if (!model.allows(done)) continue;
    const expected = model.sight(model.act(done, now));
    const whole = index % 5 === 4 || index === life.length - 1 || done.do === 'erase';
    const seen = await actors[by].act({ chat, step: done, now, whole });
    const when = `after step ${index} (${done.do})`;
    same(seen.code, expected.code, when);
    same(seen.shown, expected.shown, when);
    if (!whole) continue;
    same(seen.list, expected.list, when);
    same(seen.all, expected.all, when);
    if (done.do === 'erase' && seen.code === undefined) same(seen.sessions, [], when);
  }
}

function same(actual: unknown, expected: unknown, when: string): void {
  assert.deepEqual(plain(actual), plain(expected), when);
}

/** As it comes from another process. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function remoteActor(target: string, database: string): BranchActor {
  const child = startWriter(new URL('branch-process.ts', import.meta.url), [target, database]);
  const ready = child.reached(1);
  let answered = 1;
  return {
    async act(deed) {
      await ready;
      child.tell(JSON.stringify(deed));
      await child.reached(++answered);
      const line = child.lines()[answered - 1] ?? '{"failed":"it ended"}';
      const answer = JSON.parse(line) as BranchSight & { readonly failed?: string };
      if (answer.failed !== undefined) throw new Error(answer.failed);
      return answer;
    },
    async close() {
      child.kill();
      await child.ended;
    },
  };
}

const path = temporaryFolder();
const servers = {
  PostgreSQL: await announce('PostgreSQL', 'branches'),
  MariaDB: await announce('MariaDB', 'branches'),
  Redis: await announce('Redis', 'branches'),
};
const database = uniqueName('branches');

afterAll(async () => {
  if (!servers.PostgreSQL.absent) await dropPostgresSchema(servers.PostgreSQL.url, database);
  if (!servers.MariaDB.absent) await dropMysqlTables(servers.MariaDB.url, `${database}_`);
  if (!servers.Redis.absent) await deleteRedisKeys(servers.Redis.url, database);
});

describe.each([
  { kind: 'SQLite', url: path('branches.db'), absent: false },
  { kind: 'PostgreSQL', ...servers.PostgreSQL },
  { kind: 'MariaDB', ...servers.MariaDB },
  { kind: 'Redis', ...servers.Redis },
])(
  'any life of a conversation with branches equals a plain model, under the full stack, on $kind',
  ({ url, absent }) => {
    async function property(actors: readonly [BranchActor, BranchActor], numRuns: number): Promise<void> {
      try {
        await fc.assert(
          fc.asyncProperty(lives, async (life) => play(actors, life)),
          { numRuns, examples: rare },
        );
      } finally {
        await Promise.all(actors.map(async (actor) => actor.close()));
      }
    }

    test.skipIf(absent)('with two stores in one process', async () => {
      const actors = [branchActor(url, database), branchActor(url, database)] as const;
      await expect(property(actors, rounds(12, 1_000))).resolves.toBeUndefined();
    });

    test.skipIf(absent)('with two processes', async () => {
      const actors = [branchActor(url, database), remoteActor(url, database)] as const;
      await expect(property(actors, rounds(4, 300))).resolves.toBeUndefined();
    });
  },
);
