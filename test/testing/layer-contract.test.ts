import type { AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import type { SessionLayer } from '../../src/index.ts';
import { layerChecks, layerContract } from '../../src/testing/index.ts';
import { STACKS } from '../support/stacks.ts';

describe.each(STACKS)('$name', (stack) => {
  layerContract({ describe, test }, { layers: () => stack.layers?.() ?? [] });
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

  test('loses an entry on its way', async () => {
    expect(await failures(() => ({ name: 'loses', write: (entries) => entries.slice(0, -1) }))).toContain(
      'stores one record for each item, in order',
    );
  });

  test('keeps in one process what another one wrote', async () => {
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
