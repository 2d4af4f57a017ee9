import type { AgentInputItem } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import {
  estimateTokens,
  o200kTokenCounter,
  planTrim,
  type TrimHistoryOptions,
} from '../../src/history/index.ts';
import { trimHistory } from '../../src/index.ts';
import { recordedConversations } from '../support/conversations-data.ts';
import { lastTurns, replay, type CacheMetrics } from './support/cache-metrics.ts';
import { problems } from './support/check-trim.ts';
import { violations } from './support/provider-rules.ts';

const conversations = recordedConversations();

const isUser = (item: AgentInputItem): boolean => 'role' in item && item.role === 'user';

describe.skipIf(conversations === undefined)('trimHistory() on recorded conversations', () => {
  it(
    'is always valid and within the budget by exact count, cut at every turn for five budgets',
    { timeout: 120_000 },
    async () => {
      const counter = await o200kTokenCounter();
      const budgets: TrimHistoryOptions[] = [
        { maxTokens: 500 },
        { maxTokens: 2_000 },
        { maxTurns: 4 },
        { maxItems: 12 },
        { maxTokens: 1_000, maxTurns: 6, maxItems: 20 },
      ];
      const found: string[] = [];
      for (const { id, items } of conversations ?? []) {
        for (const [index, item] of items.entries()) {
          if (!isUser(item)) continue;
          const history = items.slice(0, index);
          for (const budget of budgets) {
            const options = { ...budget, tokenCounter: counter };
            const sent = await trimHistory(options)(history, [item]);
            found.push(
              ...problems(history, [item], sent, options).map((text) => `${id} at ${index}: ${text}`),
            );
            const kept = sent.slice(0, -1);
            const exact = kept.reduce((sum, each) => sum + counter(each), 0);
            const lastTurn = lastTurns(history, 1);
            const fits =
              lastTurn.reduce((sum, each) => sum + counter(each), 0) <= (budget.maxTokens ?? Infinity) &&
              lastTurn.length <= (budget.maxItems ?? Infinity);
            if (fits && exact > (budget.maxTokens ?? Infinity))
              found.push(`${id} at ${index}: ${exact} tokens`);
            if (fits && !lastTurn.every((each) => kept.includes(each))) {
              found.push(`${id} at ${index}: the last turn is not whole`);
            }
          }
        }
      }
      expect(found).toEqual([]);
    },
  );

  it(
    'keeps the prompt prefix over most turns while it uses the budget, beside windows that slide',
    { timeout: 120_000 },
    () => {
      const lines = [
        '                    prefix kept  budget used  tokens cached  tokens a prompt  invalid prompts',
      ];
      const print = (name: string, of: Measured): void => {
        const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
        lines.push(
          [
            name.padEnd(20),
            percent(of.stable).padStart(11),
            percent(of.used).padStart(13),
            percent(of.cached).padStart(15),
            of.tokens.toFixed(0).padStart(17),
            String(of.invalid).padStart(17),
          ].join(''),
        );
      };
      for (const size of [10, 20]) {
        for (const dimension of ['maxItems', 'maxTurns', 'maxTokens'] as const) {
          const mean = average(
            joined().map((conversation) => {
              const budget = budgetOf(conversation, dimension, size);
              const trim = (history: AgentInputItem[]): readonly AgentInputItem[] =>
                planTrim(history, { [dimension]: budget }).kept;
              return run(conversation, trim, MEASURES[dimension], budget);
            }),
          );
          print(`${dimension} for ${size} turns`, mean);
          expect(mean.stable).toBeGreaterThanOrEqual(size === 10 ? 0.8 : 0.9);
          expect(mean.used).toBeGreaterThanOrEqual(0.6);
          expect(mean.cached).toBeGreaterThanOrEqual(size === 10 ? 0.75 : 0.85);
          expect(mean.invalid).toBe(0);
        }
        const slices = joined().map((conversation) => {
          const items = budgetOf(conversation, 'maxItems', size);
          return run(conversation, (history) => history.slice(-items), MEASURES.maxItems, items);
        });
        print(`slice(-n), ${size} turns`, average(slices));
        const windows = joined().map((conversation) =>
          run(conversation, (history) => lastTurns(history, size), MEASURES.maxTurns, size),
        );
        print(`last ${size} turns`, average(windows));
      }
      console.log(lines.join('\n'));
    },
  );
});

/** The conversations in a row, each at least 200 turns. */
function joined(): AgentInputItem[][] {
  const result: AgentInputItem[][] = [];
  let current: AgentInputItem[] = [];
  for (const { items } of conversations ?? []) {
    current.push(...items);
    if (current.filter(isUser).length < 200) continue;
    result.push(current);
    current = [];
  }
  return result;
}

type Measured = CacheMetrics & { readonly invalid: number };
type Dimension = 'maxItems' | 'maxTurns' | 'maxTokens';

const MEASURES: Readonly<Record<Dimension, (kept: readonly AgentInputItem[]) => number>> = {
  maxItems: (kept) => kept.length,
  maxTurns: (kept) => kept.filter(isUser).length,
  maxTokens: (kept) => kept.reduce((sum, item) => sum + estimateTokens(item), 0),
};

/** A budget of `size` average turns of this conversation. */
function budgetOf(conversation: readonly AgentInputItem[], dimension: Dimension, size: number): number {
  return Math.round((MEASURES[dimension](conversation) / conversation.filter(isUser).length) * size);
}

function run(
  conversation: readonly AgentInputItem[],
  limit: (history: AgentInputItem[]) => readonly AgentInputItem[],
  measure: (kept: readonly AgentInputItem[]) => number,
  budget: number,
): Measured {
  let invalid = 0;
  const checked = (history: AgentInputItem[]): readonly AgentInputItem[] => {
    const kept = limit(history);
    if (violations(kept).length > 0) invalid++;
    return kept;
  };
  return { ...replay(conversation, checked, estimateTokens, measure, budget), invalid };
}

function average(metrics: readonly Measured[]): Measured {
  const mean = (of: (each: Measured) => number): number =>
    metrics.reduce((sum, each) => sum + of(each), 0) / metrics.length;
  return {
    stable: mean((each) => each.stable),
    used: mean((each) => each.used),
    cached: mean((each) => each.cached),
    tokens: mean((each) => each.tokens),
    invalid: metrics.reduce((sum, each) => sum + each.invalid, 0),
  };
}
