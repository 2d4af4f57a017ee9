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
  async function failures(layer: () => SessionLayer): Promise<string[]> {
    const failed = new Set<string>();
    for (const [name, check] of layerChecks({ layers: () => [layer()] })) {
      await check().catch(() => failed.add(name.replace(/ \(around .*/, '')));
    }
    return [...failed];
  }
  const withText = (item: AgentInputItem, text: string): AgentInputItem =>
    item.type === 'function_call_result' ? { ...item, output: text } : item;
  const masked = (item: AgentInputItem): AgentInputItem => withText(item, 'masked');

  test('rewrites what it writes and has no compare', async () => {
    expect(
      await failures(() => ({
        name: 'no compare',
        write: (entries) => entries.map((entry) => ({ ...entry, item: masked(entry.item) })),
      })),
    ).toEqual(
      expect.arrayContaining([
        'lets an approval resumed live converge with a fault after the commit',
        'lets an approval resumed serialized converge with a fault after the commit',
      ]),
    );
  });

  test('numbers what it compares', async () => {
    expect(
      await failures(() => {
        let number = 0;
        return {
          name: 'numbers',
          write: (entries) => entries.map((entry) => ({ ...entry, item: masked(entry.item) })),
          compare: (item) => withText(item, `masked ${++number}`),
        };
      }),
    ).toContain('compares item by item, the same again, and keeps types and ids');
  });

  test('loses an entry', async () => {
    expect(await failures(() => ({ name: 'loses', write: (entries) => entries.slice(0, -1) }))).toContain(
      'stores one record for each item, in order',
    );
  });

  const stamp = (entry: Entry, field: string, value: number): Entry => ({
    ...entry,
    header: { ...entry.header, [field]: value },
  });

  test('calls itself a codec and does not restore the whole item', async () => {
    expect(
      await failures(() => ({
        name: 'forgets ids',
        reads: 'inverse',
        write: (entries) => entries,
        read: (entries) =>
          entries.map((entry) => {
            const { id: _id, ...item } = entry.item as AgentInputItem & { readonly id?: string };
            return { ...entry, item };
          }),
      })),
    ).toContain('undoes in read what it did in write, if it says so');
  });

  test('leaves the mark of a codec in the header', async () => {
    expect(
      await failures(() => ({
        ...compressLong(),
        read: (entries, call) => {
          const read = compressLong().read?.(entries, call) as readonly Entry[];
          return read.map((entry, index) => ({ ...entry, header: (entries[index] as Entry).header }));
        },
      })),
    ).toContain('undoes in read what it did in write, if it says so');
  });

  test('is a codec and calls itself a view', async () => {
    for (const codec of [compress, () => compressLong(0)]) {
      expect(await failures(() => ({ ...codec(), reads: 'view' }))).toEqual(
        expect.arrayContaining([
          'keeps calls and results together above and below expire()',
          'lets a mutation take effect above and below what stamps',
          'stores a kept item again as it was, with its header fields',
        ]),
      );
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
      await failures(() => ({
        name: 'silent',
        write: (entries) => entries.map((entry) => stamp(entry, 'x-silent', 1)),
      })),
    ).toContain('says that it stamps if it writes header fields');
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
      await failures(() => {
        let kept: ReturnType<NonNullable<SessionLayer['load']>> | undefined;
        return {
          name: 'keeps',
          load: (_, io) => (kept ??= io.raw().then((records) => io.open(records))),
        };
      }),
    ).toContain('shows another process what this one wrote');
  });
});
