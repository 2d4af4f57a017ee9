import { Runner, type AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { attribute, type Entry, type SessionLayer } from '../../src/index.ts';
import { layerChecks, layerContract } from '../../src/testing/index.ts';
import { compress, compressLong, label } from '../support/custom-layers.ts';
import { STACKS } from '../support/stacks.ts';

describe.each(STACKS)('$name', (stack) => {
  layerContract({ describe, test }, { layers: () => stack.layers?.() ?? [] });
});

describe('layers of a user', () => {
  test.each([
    ['a codec', () => [compress()]],
    ['a codec that marks what it packed', () => [compressLong(0)]],
    ['a layer that labels', () => [label()]],
    ['a codec above a layer that labels', () => [compress(), label()]],
    ['attribute', () => [attribute({ events: new Runner() })]],
    ['a layer that labels above a codec', () => [label(), compressLong(0)]],
  ] as const)('pass every check: %s', async (_, layers) => {
    const checks = layerChecks({ layers });
    expect(checks.size).toBeGreaterThan(60);
    for (const check of checks.values()) await check();
  });
});

describe('the contract fails a layer that', () => {
  /** @param named The checks that are run. Default: all. */
  async function failures(layer: () => SessionLayer, ...named: readonly string[]): Promise<string[]> {
    const failed = new Set<string>();
    for (const [title, check] of layerChecks({ layers: () => [layer()] })) {
      const name = title.replace(/ \(around .*/, '');
      if (named.length === 0 || named.includes(name)) await check().catch(() => failed.add(name));
    }
    return [...failed];
  }
  /** Those of these checks that do not fail, whatever others do. */
  async function passing(layer: () => SessionLayer, ...named: readonly string[]): Promise<string[]> {
    const failed = await failures(layer, ...named);
    return named.filter((name) => !failed.includes(name));
  }
  const withText = (item: AgentInputItem, text: string): AgentInputItem =>
    item.type === 'function_call_result' ? { ...item, output: text } : item;
  const masked = (item: AgentInputItem): AgentInputItem => withText(item, 'masked');

  test('rewrites what it writes and has no compare', async () => {
    expect(
      await passing(
        () => ({
          name: 'no compare',
          write: (entries) => entries.map((entry) => ({ ...entry, item: masked(entry.item) })),
        }),
        'lets an approval resumed live converge with a fault after the commit',
        'lets an approval resumed serialized converge with a fault after the commit',
      ),
    ).toEqual([]);
  });

  test('numbers what it compares', async () => {
    expect(
      await passing(() => {
        let number = 0;
        return {
          name: 'numbers',
          write: (entries) => entries.map((entry) => ({ ...entry, item: masked(entry.item) })),
          compare: (item) => withText(item, `masked ${++number}`),
        };
      }, 'compares item by item, the same again, and keeps types and ids'),
    ).toEqual([]);
  });

  test('loses an entry', async () => {
    expect(
      await passing(
        () => ({ name: 'loses', write: (entries) => entries.slice(0, -1) }),
        'stores one record for each item, in order',
      ),
    ).toEqual([]);
  });

  const stamp = (entry: Entry, field: string, value: number): Entry => ({
    ...entry,
    header: { ...entry.header, [field]: value },
  });

  test('calls itself a codec and does not restore the whole item', async () => {
    expect(
      await passing(
        () => ({
          name: 'forgets ids',
          reads: 'inverse',
          write: (entries) => entries,
          read: (entries) =>
            entries.map((entry) => {
              const { id: _id, ...item } = entry.item as AgentInputItem & { readonly id?: string };
              return { ...entry, item };
            }),
        }),
        'undoes in read what it did in write, if it says so',
      ),
    ).toEqual([]);
  });

  test('leaves the mark of a codec in the header', async () => {
    expect(
      await passing(
        () => ({
          ...compressLong(),
          read: (entries, call) => {
            const read = compressLong().read?.(entries, call) as readonly Entry[];
            return read.map((entry, index) => ({ ...entry, header: (entries[index] as Entry).header }));
          },
        }),
        'undoes in read what it did in write, if it says so',
      ),
    ).toEqual([]);
  });

  test('is a codec and calls itself a view', async () => {
    for (const codec of [compress, () => compressLong(0)]) {
      expect(
        await passing(
          () => ({ ...codec(), reads: 'view' }),
          'keeps calls and results together above and below expire()',
          'lets a mutation take effect above and below what stamps',
          'stores a kept item again as it was, with its header fields',
        ),
      ).toEqual([]);
    }
  });

  test('stamps a kept item again', async () => {
    let count = 0;
    expect(
      await failures(() => ({
        name: 'counts',
        stamps: true,
        write: (entries) => entries.map((entry) => stamp(entry, 'x-count', ++count)),
      })),
    ).toEqual(['stores a kept item again as it was, with its header fields']);
  });

  test('stamps and drops the fields of other layers', async () => {
    expect(
      await failures(() => ({
        name: 'drops',
        stamps: true,
        write: (entries) =>
          entries.map(({ item, header: { t, e, g } }) => ({
            item,
            header: {
              ...(t !== undefined && { t }),
              ...(e !== undefined && { e }),
              ...(g !== undefined && { g }),
              'x-mine': 1,
            },
          })),
      })),
    ).toEqual(['leaves the header fields of other layers']);
  });

  test('writes header fields and does not say that it stamps', async () => {
    expect(
      await passing(
        () => ({
          name: 'silent',
          write: (entries) => entries.map((entry) => stamp(entry, 'x-silent', 1)),
        }),
        'says that it stamps if it writes header fields',
      ),
    ).toEqual([]);
  });

  test.each([
    [undefined, (marked: boolean) => marked],
    ['hide', () => true],
    ['refuse', () => true],
    ['keep', (marked: boolean) => marked],
  ] as const)('says that unstamped is %s, and does something else', async (unstamped, shows) => {
    expect(
      await failures(() => ({
        name: 'hides',
        stamps: true,
        ...(unstamped !== undefined && { unstamped }),
        write: (entries) => entries.map((entry) => stamp(entry, 'x-mine', 1)),
        read: (entries) => entries.map((entry) => (shows('x-mine' in entry.header) ? entry : undefined)),
      })),
    ).toEqual(['takes a record without a stamp as it says']);
  });

  test('keeps its state in one process only', async () => {
    expect(
      await passing(() => {
        let kept: ReturnType<NonNullable<SessionLayer['load']>> | undefined;
        return {
          name: 'keeps',
          load: (_, io) => (kept ??= io.raw().then((records) => io.open(records))),
        };
      }, 'shows another process what this one wrote'),
    ).toEqual([]);
  });
});
