import type { AgentInputItem } from '@openai/agents';
import * as fc from 'fast-check';
import { sampleItems } from '../../src/testing/index.ts';

const LAST_CODE_POINT = 0x10ffff;
const [FIRST_SURROGATE, AFTER_SURROGATES] = [0xd800, 0xe000];

/** Any code point, as fast-check's own unit `binary`, which takes half a second to find out what all of them are. */
const character: fc.Arbitrary<string> = fc
  .nat({ max: LAST_CODE_POINT - (AFTER_SURROGATES - FIRST_SURROGATE) })
  .map((n) => String.fromCodePoint(n < FIRST_SURROGATE ? n : n + AFTER_SURROGATES - FIRST_SURROGATE));

/** Text as users and machines write it: any characters, lines, JSON, envelopes, nothing at all. */
export const text: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ maxLength: 40 }) },
  { weight: 3, arbitrary: fc.string({ unit: character, maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 100, maxLength: 300 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      ' ',
      '\u0000',
      '\ud800',
      'sr1.',
      'sr1.eyJzIjoibm9uZSJ9.e30',
      '{"$bytes":"AA=="}',
    ),
  },
);

/** A whole number so long that one in a hundred of them is a payment card, which a stack with `redact()` replaces. */
const LONG_NUMBER = /(?<![\d.])\d{12,}/;

/**
 * Any JSON object, without the two values that `JSON.parse(JSON.stringify(x))` and zod do not keep, and without numbers
 * that may be cards.
 */
const json: fc.Arbitrary<Record<string, unknown>> = fc
  .dictionary(
    fc.string({ maxLength: 8 }).filter((key) => key !== '__proto__'),
    fc.jsonValue({ maxDepth: 2 }),
    { maxKeys: 4 },
  )
  .map((value) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>)
  .filter((value) => {
    const text = JSON.stringify(value);
    return !text.includes('__proto__') && !LONG_NUMBER.test(text);
  });

const callId = fc.integer({ min: 1, max: 4 }).map((number) => `call_${number}`);

/** A valid item of the protocol: the common types with random content, all others as samples. */
export const item: fc.Arbitrary<AgentInputItem> = fc.oneof(
  { weight: 4, arbitrary: text.map((content): AgentInputItem => ({ role: 'user', content })) },
  {
    weight: 2,
    arbitrary: fc.record({ text, providerData: json }).map(({ text, providerData }): AgentInputItem => ({
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text, providerData }],
    })),
  },
  {
    weight: 2,
    arbitrary: fc.record({ callId, argument: json }).map(({ callId, argument }): AgentInputItem => ({
      type: 'function_call',
      callId,
      name: 'work',
      arguments: JSON.stringify(argument),
    })),
  },
  {
    weight: 2,
    arbitrary: fc.record({ callId, text }).map(({ callId, text }): AgentInputItem => ({
      type: 'function_call_result',
      callId,
      name: 'work',
      status: 'completed',
      output: { type: 'text', text },
    })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ providerData: json, id: fc.option(text, { nil: undefined }) })
      .map(({ id, providerData }): AgentInputItem => ({
        type: 'unknown',
        ...(id !== undefined && { id }),
        providerData,
      })),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...sampleItems().filter((sample) => sample.type !== 'compaction')),
  },
);

/** What one call takes; few enough for every service. */
export const items: fc.Arbitrary<AgentInputItem[]> = fc.array(item, { minLength: 1, maxLength: 5 });

/** A step in the life of a session. `by` chooses one of the wrappers around it. */
export type Step = { readonly by: number } & (
  | { readonly do: 'add'; readonly items: AgentInputItem[] }
  | { readonly do: 'read'; readonly limit: number }
  | { readonly do: 'pop' | 'clear' | 'reopen' | 'repeat' | 'conflict' | 'paste' }
  | { readonly do: 'append'; readonly items: AgentInputItem[] }
  | { readonly do: 'replace'; readonly last: number; readonly items: AgentInputItem[] }
  | { readonly do: 'mismatch'; readonly items: AgentInputItem[] }
  | { readonly do: 'mutate'; readonly callId: string }
  | { readonly do: 'compact'; readonly items: AgentInputItem[] }
);

const by = fc.nat({ max: 1 });

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ by, do: fc.constant('add' as const), items }) },
  {
    weight: 3,
    arbitrary: fc.record({ by, do: fc.constant('read' as const), limit: fc.integer({ min: -1, max: 12 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      by,
      do: fc.constantFrom(
        'pop' as const,
        'reopen' as const,
        'repeat' as const,
        'conflict' as const,
        'paste' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ by, do: fc.constant('clear' as const) }) },
  { weight: 3, arbitrary: fc.record({ by, do: fc.constant('append' as const), items }) },
  {
    weight: 3,
    arbitrary: fc.record({
      by,
      do: fc.constant('replace' as const),
      last: fc.integer({ min: 0, max: 6 }),
      items,
    }),
  },
  { weight: 1, arbitrary: fc.record({ by, do: fc.constant('mismatch' as const), items }) },
  { weight: 1, arbitrary: fc.record({ by, do: fc.constant('mutate' as const), callId }) },
  { weight: 1, arbitrary: fc.record({ by, do: fc.constant('compact' as const), items }) },
);

/** A random life of a session. */
export const steps: fc.Arbitrary<Step[]> = fc.array(step, { minLength: 1, maxLength: 25 });
