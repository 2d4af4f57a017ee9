import * as fc from 'fast-check';
import type { AgentInputItem } from '@openai/agents';
import { afterAll, describe, expect, test } from 'vitest';
import { derivedId } from '../../src/derived-id.ts';
import { isStrongroomError } from '../../src/errors.ts';
import { branches } from '../../src/history/index.ts';
import { expire, wrapStore } from '../../src/index.ts';
import { hold, release } from '../../src/operations/holds.ts';
import { retention, type RetentionOptions } from '../../src/operations/retention.ts';
import { MAINTENANCE } from '../../src/session-contract.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { everyStore } from '../stores/every-store.ts';
import { rounds } from '../support/soak.ts';

// A dry run says what the run right after it does, whatever is in the store.

/** One sorts before the ids of derived sessions, one after them. */
const ROOTS = ['c', 'é'] as const;
const NAMES = ['x', 'y'] as const;
const KINDS = ['main', ...NAMES, 'vault', 'keys', 'archive', 'vault of x'] as const;

const place = fc.record({ root: fc.constantFrom(...ROOTS), kind: fc.constantFrom(...KINDS) });
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('write', 'write with an end'),
      place,
      items: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('branch'), place, from: fc.constantFrom('main', ...NAMES) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait'), days: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('pop', 'compact', 'clear', 'drop', 'hold'), place }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('purge') }) },
);
type Step = { readonly do: string } & Partial<{
  readonly place: { readonly root: (typeof ROOTS)[number]; readonly kind: (typeof KINDS)[number] };
  readonly items: number;
  readonly from: string;
  readonly days: number;
}>;

const days = fc.constantFrom('2d', '4d', '7d');
const rules: fc.Arbitrary<RetentionOptions> = fc
  .record(
    {
      expired: fc.oneof(fc.constant(true as const), days),
      maxAge: days,
      maxIdle: days,
      keepLast: fc.integer({ min: 1, max: 3 }),
    },
    { requiredKeys: [] },
  )
  .filter((options) => Object.keys(options).length > 0);

/** A branch that there is, one from nothing, a hold. */
const REFUSALS: readonly string[] = ['ERR_CONFLICT', 'ERR_INVALID_OPTION', 'ERR_HELD'];

function messages(count: number): AgentInputItem[] {
  return Array.from({ length: count }, () => ({ type: 'message', role: 'user', content: 'text' }));
}

function idOf({ root, kind }: NonNullable<Step['place']>): string {
  if (kind === 'main') return root;
  if (kind === 'x' || kind === 'y') return derivedId({ kind: 'branch', of: root, name: kind });
  if (kind !== 'vault of x') return derivedId({ kind, of: root });
  return derivedId({ kind: 'vault', of: derivedId({ kind: 'branch', of: root, name: 'x' }) });
}

/** What a step does, if it can be done. */
async function play(
  store: Store<StoreSession>,
  clock: ReturnType<typeof fakeClock>,
  made: Step,
): Promise<void> {
  const { root } = made.place ?? { root: 'c' };
  const id = made.place === undefined ? 'c' : idOf(made.place);
  const session = store.session(id, { derived: true });
  const ending = wrapStore(store, [expire({ after: '3d', clock })]);
  const work: Readonly<Record<string, () => Promise<unknown>>> = {
    write: () => session.addItems(messages(made.items ?? 1)),
    'write with an end': () => ending.session(id, { derived: true }).addItems(messages(made.items ?? 1)),
    branch: () =>
      branches(store, root).create(made.place?.kind === 'y' ? 'y' : 'x', { from: made.from ?? 'main' }),
    pop: () => session.popItem(),
    compact: async () => session.replaceHistoryWithCompaction(messages(1)),
    clear: () => session.clearSession(),
    drop: async () => store[MAINTENANCE]?.drop(id),
    hold: () => hold(store, { sessionId: id, reason: 'case 7' }),
    purge: () => store.purgeExpired({ maxAhead: 'any' }),
    wait: () => Promise.resolve(clock.advance(`${made.days ?? 1}d`)),
  };
  try {
    await work[made.do]?.();
  } catch (error) {
    if (!isStrongroomError(error) || !REFUSALS.includes(error.code)) throw error;
  }
}

async function empty(store: Store<StoreSession>): Promise<void> {
  const holds = store[MAINTENANCE]?.dekStore.holds;
  for (const { id, releasedAt } of (await holds?.list()) ?? []) {
    if (releasedAt === undefined) await release(store, id);
  }
  for (const root of ROOTS) await store.deleteSession(root);
}

describe.each(await everyStore('dry runs of retention'))('retention in $name', ({ absent, open, clean }) => {
  afterAll(clean);

  test.skipIf(absent)(
    'reports in a dry run what the run right after it reports',
    async () => {
      const clock = fakeClock();
      await using store = open(clock);
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 20 }), rules, async (life, options) => {
          await empty(store);
          for (const each of life) await play(store, clock, each);
          const rule = retention(store, { ...options, maxAhead: 'any' });
          const dry = await rule.run({ dryRun: true });
          expect({ ...(await rule.run()), dryRun: true }).toEqual(dry);
        }),
        { numRuns: rounds(40, 2_000) },
      );
    },
    rounds(60_000, 1_800_000),
  );
});
