import type { AgentInputItem } from '@openai/agents';
import { planTrim } from '../../../src/history/plan-trim.ts';
import type { TrimHistoryOptions } from '../../../src/history/trim-history.ts';
import { splitReasoning, violations } from './provider-rules.ts';
import type { Random } from './random-history.ts';

/** Everything that is wrong with what a trimming callback returned; an empty list when nothing is. */
export function problems(
  history: readonly AgentInputItem[],
  input: readonly AgentInputItem[],
  sent: readonly AgentInputItem[],
  options: TrimHistoryOptions,
): string[] {
  const found = [...violations(sent), ...splitReasoning([...history, ...input], sent)];
  const tail = sent.slice(sent.length - input.length);
  if (!input.every((item, index) => tail[index] === item)) found.push('the new input is not whole and last');
  if (new Set(sent).size !== sent.length) found.push('an item is there twice');
  const given = new Map([...history, ...input].map((item, index) => [item, index]));
  let last = -1;
  for (const item of sent) {
    const index = given.get(item);
    if (index === undefined) found.push('an item that was not given');
    else if (index <= last) found.push('items in another order');
    last = index ?? last;
  }
  const plan = planTrim(history, options, input);
  if (plan.kept.length + plan.dropped.length !== history.length) found.push('the plan lost count');
  const { after, before, budget } = plan;
  const within = (size: typeof after): boolean =>
    size.items <= budget.items && size.turns <= budget.turns && size.tokens <= budget.tokens;
  if (!plan.overflow && !within(after)) found.push('over the budget');
  if (within(before) && plan.dropped.some(({ reason }) => reason === 'budget'))
    found.push('a history that fits was cut');
  return found;
}

export function randomOptions(random: Random): TrimHistoryOptions {
  const options: { -readonly [key in keyof TrimHistoryOptions]: TrimHistoryOptions[key] } = {};
  if (random() < 0.4) options.maxItems = 1 + Math.floor(random() * 40);
  if (random() < 0.4) options.maxTurns = 1 + Math.floor(random() * 8);
  if (random() < 0.4) options.maxTokens = 1 + Math.floor(random() * 800);
  if (Object.keys(options).length === 0) options.maxItems = 1 + Math.floor(random() * 40);
  if (random() < 0.5) options.keep = 0.1 + 0.9 * random();
  if (random() < 0.2) options.onOverflow = 'keep';
  if (random() < 0.2) options.pin = (_item, index) => index % 7 === 3;
  return options;
}
