import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { page, turns, type HistoryPage } from '../../src/history/index.ts';
import {
  audit,
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  redact,
  wrapSession,
  type Entry,
  type Layers,
  type SessionLayer,
} from '../../src/index.ts';
import { reencrypt } from '../../src/operations/index.ts';
import { assistant, call, result, system, user } from '../history/support/random-history.ts';
import { plainSession } from '../support/plain-session.ts';
import { everyStore } from './every-store.ts';
import { uniqueName } from './servers.ts';

const keys = keyring({ current: await generateKey() });
const stores = await everyStore('pages of a history');
const DAY = 86_400_000;

/** Counts what is opened: every entry that is read passes it. */
function counting(): { readonly layer: SessionLayer; opened: number } {
  const counter = {
    opened: 0,
    layer: {
      name: 'counting',
      reads: 'view' as const,
      read(entries: readonly Entry[]) {
        counter.opened += entries.length;
        return entries;
      },
    },
  };
  return counter;
}

const messages = (count: number, from = 0): AgentInputItem[] =>
  Array.from({ length: count }, (_, index) => user(`message ${from + index}`));

const textOf = (item: AgentInputItem): string => (item as { content: string }).content;

async function allPages(session: Session, limit: number): Promise<HistoryPage[]> {
  const pages = [await page(session, { limit })];
  for (let before = pages[0]?.before; before !== undefined; before = pages[0]?.before) {
    pages.unshift(await page(session, { before, limit }));
  }
  return pages;
}

const full = (more: Layers = []): Layers => [
  more,
  redact(),
  expire({ after: '30d' }),
  cache({ maxItems: 1_000 }),
  encrypt({ keys }),
];

describe.each(stores.filter(({ absent }) => !absent))('page() on $name', ({ open, clean }) => {
  const store = open();
  afterAll(async () => {
    await store.close();
    await clean();
  });

  it('opens the records of the page, and no others', async () => {
    const { session } = { session: store.session(uniqueName('page')) };
    const counter = counting();
    const wrapped = wrapSession(session, full([counter.layer]));
    await wrapped.addItems(messages(300));
    const newest = await page(wrapped, { limit: 20 });
    expect(newest.items.map(textOf)).toEqual(messages(20, 280).map(textOf));
    expect(counter.opened).toBe(20);
    const before = await page(wrapped, { before: newest.before, limit: 20 });
    expect(before.items.map(textOf)).toEqual(messages(20, 260).map(textOf));
    expect(counter.opened).toBe(40);
  });

  it('returns every item once, for every page size', async () => {
    const session = store.session(uniqueName('sizes'));
    const wrapped = wrapSession(session, full());
    await wrapped.addItems(messages(23));
    for (const each of [session, wrapped]) {
      for (const limit of [1, 7, 23, 24]) {
        const pages = await allPages(each, limit);
        const items = pages.flatMap(({ items }) => items);
        expect(items).toEqual(await each.getItems());
        expect(pages.slice(1).every(({ items }) => items.length === limit)).toBe(true);
      }
    }
  });

  it('continues at its position when items were added or removed meanwhile', async () => {
    const wrapped = wrapSession(store.session(uniqueName('moving')), full());
    await wrapped.addItems(messages(30));
    const newest = await page(wrapped, { limit: 10 });
    await wrapped.addItems(messages(7, 30));
    expect((await page(wrapped, { before: newest.before, limit: 10 })).items).toEqual(messages(10, 10));
    for (let count = 0; count < 12; count++) await wrapped.popItem();
    expect((await page(wrapped, { before: newest.before, limit: 10 })).items).toEqual(messages(10, 10));
    for (let count = 0; count < 8; count++) await wrapped.popItem();
    await expect(page(wrapped, { before: newest.before })).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringContaining('without before'),
    });
  });

  it('says when an item was written, and hides what expired', async () => {
    let now = Date.now();
    const wrapped = wrapSession(store.session(uniqueName('hidden')), [
      expire({ after: '30d', clock: () => now }),
      encrypt({ keys }),
    ]);
    await wrapped.addItems(messages(40));
    now += 20 * DAY;
    await wrapped.addItems(messages(5, 40));
    const { details } = await page(wrapped, { limit: 6 });
    expect(details.map(({ at }) => at)).toEqual([now - 20 * DAY, now, now, now, now, now]);
    now += 20 * DAY;
    const visible = await page(wrapped, { limit: 10 });
    expect(visible).toMatchObject({ items: messages(5, 40) });
    expect(visible.before).toBeUndefined();
  });

  it('knows the time of items that no layer stamps', async () => {
    const started = Date.now();
    const session = store.session(uniqueName('times'));
    await session.addItems(messages(2));
    for (const each of [session, wrapSession(session, [redact()]), wrapSession(session, [])]) {
      const { details } = await page(each);
      expect(details).toHaveLength(2);
      for (const { at } of details) expect(at).toBeGreaterThanOrEqual(started);
      expect((await turns(each)).every(({ at }) => at !== undefined)).toBe(true);
    }
  });

  it('refuses a cursor after the records were sealed anew', async () => {
    const wrapped = wrapSession(store.session(uniqueName('anew')), [encrypt({ keys })]);
    await wrapped.addItems(messages(5));
    const { before } = await page(wrapped, { limit: 2 });
    await reencrypt(wrapped, { grace: 0 });
    await expect(page(wrapped, { before })).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
  });
});

describe('page()', () => {
  it.each([
    ['MemorySession', (): Session => new MemorySession()],
    ['a session without transactions', plainSession],
    ['a sealed MemorySession', (): Session => wrapSession(new MemorySession(), [encrypt({ keys })])],
  ])('cuts %s into pages', async (_name, open) => {
    await fc.assert(
      fc.asyncProperty(fc.nat(15), fc.integer({ min: 1, max: 6 }), async (count, limit) => {
        const session = open();
        await session.addItems(messages(count));
        const pages = await allPages(session, limit);
        expect(pages.flatMap(({ items }) => items)).toEqual(messages(count));
      }),
      { numRuns: 20 },
    );
  });

  it('is a call of the session for its layers', async () => {
    const events: unknown[] = [];
    const wrapped = wrapSession(new MemorySession(), [
      audit({ sink: ({ operation, actor, itemsOut }) => void events.push([operation, actor, itemsOut]) }),
    ]);
    await wrapped.addItems(messages(3));
    await page(wrapped, { limit: 2, actor: 'support' });
    expect(events.at(-1)).toEqual(['getItems', 'support', 2]);
  });

  it.each([
    [{ before: 'x' }, 'before must be what an earlier page gave'],
    [{ before: 3 as never }, 'before must be what an earlier page gave'],
    [{ limit: 0 }, 'limit must be a positive whole number'],
    [{ size: 3 } as never, 'unknown option "size"'],
  ])('refuses %o', async (options, message) => {
    await expect(page(new MemorySession(), options)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(message),
    });
  });
});

describe('turns()', () => {
  it('lists number, first line, tools and size', async () => {
    const session = wrapSession(new MemorySession(), [encrypt({ keys })]);
    await session.addItems([
      system('rules'),
      user('\n  What is the weather?\nin Paris'),
      call('a'),
      result('a'),
      call('b'),
      result('b'),
      assistant('sunny'),
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'x'.repeat(300) }] },
      assistant('long'),
    ]);
    const [first, second] = await turns(session);
    expect(first).toMatchObject({ number: 1, firstLine: 'What is the weather?', items: 6, agents: [] });
    expect(first?.tools).toHaveLength(1);
    expect(second).toMatchObject({ number: 2, items: 2, tools: [] });
    expect(second?.firstLine).toBe(`${'x'.repeat(199)}…`);
    expect(second?.at).toBeTypeOf('number');
  });
});
