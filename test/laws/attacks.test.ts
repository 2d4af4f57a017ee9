import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { MemorySession, type AgentInputItem } from '@openai/agents';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cache, encrypt, expire, generateKey, keyring, redact, wrapSession } from '../../src/index.ts';
import type { CacheOptions, EncryptOptions, Keyring, SessionLayer } from '../../src/index.ts';
import { isStrongroomError } from '../../src/errors.ts';
import { memoryDekStore, shred, type DekStore } from '../../src/operations/index.ts';
import { fakeClock, type FakeClock } from '../../src/testing/index.ts';
import type { Wrapped } from '../../src/wrap-session.ts';
import { functionCall, functionResult, userMessage } from '../layers/hand-made-call.ts';
import { ATTACKS, ELSEWHERE, type Attack, type Victim } from '../support/attacks.ts';
import { rounds } from '../support/soak.ts';

const [current, next, wrong] = await Promise.all([generateKey(), generateKey(), generateKey()]);
const DAY = 86_400_000;

/** A random stack. Everything in it but the cache is what a reader without one has, too. */
interface StackChoice {
  readonly redacts: boolean;
  readonly expires: boolean;
  readonly freeze: boolean;
  readonly integrity: NonNullable<EncryptOptions['integrity']>;
  readonly table: boolean;
  readonly skipsShredded: boolean;
  /** Plain rows are accepted for another day. */
  readonly migrating: boolean;
  /** How many entries one data key seals. */
  readonly maxMessages: number;
}

const stackChoice: fc.Arbitrary<StackChoice> = fc.record({
  redacts: fc.boolean(),
  expires: fc.boolean(),
  freeze: fc.boolean(),
  integrity: fc.constantFrom('item' as const, 'sequence' as const, 'sequence' as const),
  table: fc.boolean(),
  skipsShredded: fc.boolean(),
  migrating: fc.boolean(),
  maxMessages: fc.constantFrom(2, 1_000),
});

type Step =
  | { readonly do: 'add' | 'append' | 'replace'; readonly count: number }
  | { readonly do: 'pop' | 'late' | 'wait' }
  | { readonly do: 'read'; readonly limit: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('add' as const), count: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('append' as const, 'replace' as const),
      count: fc.integer({ min: 1, max: 2 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('pop' as const, 'late' as const, 'wait' as const) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('read' as const), limit: fc.integer({ min: 1, max: 4 }) }),
  },
);

interface Case {
  readonly stack: StackChoice;
  readonly life: readonly Step[];
  readonly attack: number;
  /** Chooses the record, the character and the like. */
  readonly where: number;
  readonly limit: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  stack: stackChoice,
  life: fc.array(step, { minLength: 1, maxLength: 8 }),
  attack: fc.nat({ max: ATTACKS.length - 1 }),
  where: fc.nat({ max: 1_000 }),
  limit: fc.integer({ min: 1, max: 5 }),
});

interface Scene extends Victim {
  readonly migrating: boolean;
  readonly session: Wrapped<MemorySession>;
  /** A process that starts now, without a cache. */
  reader(inner?: MemorySession): Wrapped<MemorySession>;
  /** A process with the same stack and the wrong key. */
  mistaken(): Wrapped<MemorySession>;
}

type Seal = (options: EncryptOptions) => SessionLayer;

function scene(choice: StackChoice, mode: CacheOptions['mode'] | 'none', seal: Seal): Scene {
  const clock: FakeClock = fakeClock();
  const keys: Keyring = keyring({ current, previous: [next] });
  const dekStore: DekStore | undefined = choice.table ? memoryDekStore({ clock }) : undefined;
  const inner = new MemorySession({ sessionId: 'victim' });
  const until = clock() + DAY;
  const layers = (cached: boolean, keyring: Keyring = keys): SessionLayer[] => [
    ...(choice.redacts ? [redact({ entities: ['EMAIL_ADDRESS'] })] : []),
    ...(choice.expires ? [expire({ after: '30d', clock })] : [{ name: 'clock', clock }]),
    ...(cached && mode !== 'none' && mode !== undefined
      ? [cache({ maxItems: 1_000, mode, freeze: choice.freeze })]
      : []),
    (cached ? seal : encrypt)({
      keys: keyring,
      dekStore: dekStore ?? 'inline',
      integrity: choice.integrity,
      onIntegrity: () => 'throw',
      dataKeys: { maxMessages: choice.maxMessages },
      ...(choice.migrating && { unsafeAllowPlaintext: { until } }),
      ...(!choice.skipsShredded && { onUndecryptable: () => 'throw' }),
    }),
  ];
  const session = wrapSession(inner, layers(true));
  return {
    clock,
    keys,
    ...(dekStore !== undefined && { dekStore }),
    nextKid: next.kid as string,
    inner,
    session,
    reader: (over = inner) => wrapSession(over, layers(false)),
    mistaken: () => wrapSession(inner, layers(true, keyring({ current: wrong }))),
    say: async (item) => session.addItems([item]),
    async elsewhere(sessionId) {
      const other = new MemorySession({ sessionId });
      await wrapSession(other, layers(false)).addItems([userMessage('from elsewhere')]);
      return (await other.getItems())[0] as AgentInputItem;
    },
    migrating: choice.migrating,
    shred: async () => void (await shred(session)),
    removed: [],
  };
}

async function live(
  { session, inner, clock, removed, migrating }: Scene,
  life: readonly Step[],
): Promise<void> {
  let name = 0;
  const some = (count: number): AgentInputItem[] =>
    Array.from({ length: count }, () => userMessage(`message ${name++} of ada@example.com`));
  if (migrating) await inner.addItems([{ role: 'user', content: 'from before the migration' }]);
  await session.addItems([...some(2), functionCall('late')]);
  for (const each of life) {
    switch (each.do) {
      case 'add':
        await session.addItems(some(each.count));
        break;
      case 'append':
      case 'replace': {
        const items = some(each.count);
        await session.applyHistoryTransaction({
          operationId: `operation ${name}`,
          transaction:
            each.do === 'append'
              ? { type: 'append_items', items }
              : {
                  type: 'replace_suffix',
                  expectedSuffix: (await session.getItems()).slice(-2),
                  replacement: items,
                },
        });
        break;
      }
      case 'pop': {
        const last = (await inner.getItems()).at(-1);
        if (last !== undefined) removed.push(last);
        await session.popItem();
        break;
      }
      case 'late':
        await session.addItems([functionResult('late')]);
        break;
      case 'wait':
        clock.advance('1m');
        break;
      default:
        await session.getItems(each.limit);
    }
  }
  await session.addItems(some(2));
}

/** What a read gives: items, or the code of an error. */
async function outcome(session: Wrapped<MemorySession>, limit?: number): Promise<string> {
  try {
    return JSON.stringify(await session.getItems(limit));
  } catch (error) {
    if (isStrongroomError(error)) return error.code;
    throw error;
  }
}

async function holds(mode: CacheOptions['mode'] | 'none', seal: Seal, params: Case): Promise<void> {
  const attack = ATTACKS[params.attack] as Attack;
  const victim = scene(params.stack, mode, seal);
  await live(victim, params.life);
  const limits = [undefined, params.limit];
  const honest: string[] = [];
  for (const limit of limits) honest.push(await outcome(victim.session, limit));
  for (const [index, limit] of limits.entries()) {
    assert.equal(await outcome(victim.reader(), limit), honest[index], 'before the attack');
    assert.equal(await outcome(victim.mistaken(), limit), 'ERR_KEY_UNKNOWN', '13: the wrong key');
  }
  assert.doesNotMatch(JSON.stringify(await victim.inner.getItems()), /message \d|example\.com/, '1: reading');
  if ((await attack.strike(victim, params.where)) === 'impossible') return;
  // What looks at nothing but the end, or at nothing, may go on with what it knows; with nothing else.
  const exact = attack.on !== 'records' || mode === 'none' || mode === 'verify';
  for (const time of ['first', 'second']) {
    for (const [index, limit] of limits.entries()) {
      const cold = await outcome(victim.reader(), limit);
      const warm = await outcome(victim.session, limit);
      const allowed = exact ? [cold] : [cold, knownTo(attack, honest, limit) ?? honest[index]];
      const refused = !exact && warm.startsWith('ERR_');
      assert.ok(
        refused || allowed.includes(warm),
        `${attack.name}, ${time} read, limit ${limit}: ${warm} instead of ${allowed.join(' or ')}`,
      );
    }
  }
  await removes(victim, exact, attack.name);
}

/** What the victim knows of its history without a look at the store, where it spoke in the meantime. */
function knownTo({ says }: Attack, honest: readonly string[], limit: number | undefined): string | undefined {
  if (says === undefined) return undefined;
  const all = [...(JSON.parse(honest[0] as string) as AgentInputItem[]), says];
  return JSON.stringify(limit === undefined ? all : all.slice(-limit));
}

/** Row 10: what cannot be read is not removed, so that nobody destroys a history by making it unreadable. */
async function removes(victim: Scene, exact: boolean, name: string): Promise<void> {
  const { session, inner } = victim;
  const before = await inner.getItems();
  const copy = new MemorySession({ sessionId: await inner.getSessionId(), initialItems: before });
  const cold = await popped(victim.reader(copy));
  const warm = await popped(session);
  const left = await inner.getItems();
  if (warm.startsWith('ERR_'))
    assert.deepEqual(left, before, `10: ${name}: what was refused removed a record`);
  if (exact || cold.startsWith('ERR_')) assert.equal(warm, cold, `10: ${name}: popItem`);
}

async function popped(session: Wrapped<MemorySession>): Promise<string> {
  try {
    return JSON.stringify(await session.popItem()) ?? 'nothing';
  } catch (error) {
    if (isStrongroomError(error)) return error.code;
    throw error;
  }
}

async function check(mode: CacheOptions['mode'] | 'none', seal: Seal, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(cases, async (params) => holds(mode, seal, params)),
    { numRuns },
  );
}

describe('a record that throws without a cache also throws with one', () => {
  test.each(['none', 'tail', 'verify', 'owner'] as const)('cache: %s', async (mode) => {
    await expect(check(mode, encrypt, rounds(40, 20_000))).resolves.toBeUndefined();
  });

  test('each attack is refused, at the latest by a new reader, in the stack that protects against it', async () => {
    for (const attack of ATTACKS) {
      const victim = scene({ ...ALL, ...attack.needs }, 'none', encrypt);
      await live(victim, [{ do: 'add', count: 3 }, { do: 'pop' }, { do: 'late' }]);
      await victim.session.getItems();
      assert.notEqual(await attack.strike(victim, 1), 'impossible', attack.name);
      for (const session of [victim.reader(), victim.session]) {
        assert.match(await outcome(session), attack.code, attack.name);
      }
    }
  });

  test('every row of the threat table is an attack here, or names the file that tests it', () => {
    const rows = readFileSync('SECURITY.md', 'utf8').matchAll(/^\| (?<number>\d+) \| (?<attack>[^|]+)/gm);
    const checked = new Set(['1', '10', '13', ...ATTACKS.map(({ name }) => name.split(':')[0] as string)]);
    for (const { groups } of rows) {
      const number = groups?.['number'] as string;
      const elsewhere = ELSEWHERE[number];
      if (elsewhere === undefined) assert.ok(checked.has(number), `${number}: ${groups?.['attack']}`);
      else assert.ok(readFileSync(elsewhere, 'utf8').includes(`'attack ${number}: `), elsewhere);
    }
  });

  test('and the property rejects a cache that never checks', async () => {
    const silent: Seal = (options) => {
      const hooks = Object.entries(encrypt(options)).filter(
        ([name]) => name !== 'inspect' && name !== 'stillOpens' && name !== 'opensBy',
      );
      return Object.fromEntries(hooks) as unknown as SessionLayer;
    };
    for (const mode of ['tail', 'verify', 'owner'] as const) {
      await expect(check(mode, silent, 1_000)).rejects.toThrow('Property failed');
    }
  });
});

const ALL: StackChoice = {
  redacts: true,
  expires: true,
  freeze: false,
  integrity: 'sequence',
  table: false,
  skipsShredded: false,
  migrating: false,
  maxMessages: 1_000,
};
