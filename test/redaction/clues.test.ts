import { existsSync, readFileSync } from 'node:fs';
import type { AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { CLUE } from '../../src/redaction/clues.ts';
import { BUILT_IN_RECOGNIZERS, COUNTRY_ENTITIES, type Country } from '../../src/redaction/entities.ts';
import { unescapedViews } from '../../src/redaction/escaped-view.ts';
import { lookAt } from '../../src/redaction/look.ts';
import {
  parseRedactionOptions,
  type RedactionOptions,
  type RedactionSettings,
} from '../../src/redaction/options.ts';
import { createRedactionEngine, type RedactionEngine } from '../../src/redaction/redactor.ts';
import type { RedactedItem } from '../../src/redaction/redacted-item.ts';
import { rounds } from '../support/soak.ts';
import { foldedView } from '../../src/redaction/text-view.ts';
import { userMessage } from './layer-call.ts';
import { labelledItems, randomItems } from './random-items.ts';
import { numbers, randomText } from './random-text.ts';

const CONVERSATIONS = new URL('../../../shared/data/conversations.jsonl', import.meta.url);

const EVERYTHING: RedactionOptions = {
  entities: BUILT_IN_RECOGNIZERS.flatMap(({ entities }) => entities),
  countries: Object.keys(COUNTRY_ENTITIES) as Country[],
};
const OPTIONS: readonly (readonly [name: string, options: RedactionOptions])[] = [
  ['as it is', {}],
  ['with everything', EVERYTHING],
  ['with nothing decoded', { decode: [] }],
  ['with base64 and hidden addresses', { decode: ['percent', 'base64', 'obfuscated'] }],
  ['with one entity', { entities: ['EMAIL_ADDRESS'] }],
  ['with a word list', { denyList: { PERSON: ['jane'] } }],
];

/** The same settings with recognizers that are asked about every text, and are not told what it shows. */
function searchingEverything(settings: RedactionSettings): RedactionSettings {
  return {
    ...settings,
    recognizers: settings.recognizers.map(({ recognizer }) => ({
      recognizer: { ...recognizer, analyze: (text, context) => recognizer.analyze(text, context) },
      clues: CLUE.always,
    })),
    clues: CLUE.always,
  };
}

/** The same redaction twice: led by what texts show, and searching every text for everything. */
function pairOf(options: RedactionOptions): readonly [led: RedactionEngine, whole: RedactionEngine] {
  const settings = parseRedactionOptions('test', options);
  return [createRedactionEngine(settings), createRedactionEngine(searchingEverything(settings))];
}

function outcome(engine: RedactionEngine, item: AgentInputItem): unknown {
  const { item: redacted, findings, unsearched, tokens } = engine.redactItem(item, true) as RedactedItem;
  return { redacted, isSame: redacted === item, findings, unsearched, tokens };
}

/** The first item of which the two differ. */
function firstDifference(
  [led, whole]: readonly [RedactionEngine, RedactionEngine],
  items: Iterable<AgentInputItem>,
): AgentInputItem | undefined {
  for (const item of items) {
    if (JSON.stringify(outcome(led, item)) !== JSON.stringify(outcome(whole, item))) return item;
  }
  return undefined;
}

describe.each(OPTIONS)(
  'redaction %s finds the same with clues as with a full search of every text',
  (_name, options) => {
    const pair = pairOf(options);

    test('in the labelled set', () => {
      expect(firstDifference(pair, labelledItems(1))).toBeUndefined();
    }, 600_000);

    test.each(Array.from({ length: rounds(1, 20) }, (_, index) => 3 + index))(
      'in random texts (seed %i)',
      (seed) => {
        expect(firstDifference(pair, randomItems(seed, rounds(300, 50_000)))).toBeUndefined();
      },
      3_600_000,
    );

    test.runIf(existsSync(CONVERSATIONS))(
      'in the shared conversations',
      () => {
        const items = readFileSync(CONVERSATIONS, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
          // The short form takes every fourth conversation.
          .filter((_, line) => line % rounds(4, 1) === 0)
          .flatMap((line) => (JSON.parse(line) as { items: AgentInputItem[] }).items);
        expect(firstDifference(pair, items)).toBeUndefined();
      },
      600_000,
    );
  },
);

test('a text without the clue of an escape is unchanged by resolving escapes', () => {
  const next = numbers(7);
  const otherwise = Array.from({ length: rounds(800, 200_000) }, () => randomText(next)).filter((text) => {
    const { view, clues } = lookAt(text);
    return (clues.seen & (CLUE.escape | CLUE.layout)) === 0 && unescapedViews(view).length > 0;
  });
  expect(otherwise).toEqual([]);
});

test('a text has the same clues after folding of character variants', () => {
  const next = numbers(9);
  const variantOf = (character: string): string => {
    const code = character.charCodeAt(0);
    if (character === ' ') return '\u00a0\u3000\u2009'[next(3)] as string;
    if (character === '-') return '\u2013\u2014\u2010'[next(3)] as string;
    if (/\d/.test(character) && next(2) === 0) return String.fromCharCode(0x0660 + Number(character));
    return code > 0x20 && code < 0x7f ? String.fromCharCode(code + 0xfee0) : character;
  };
  const otherwise = Array.from({ length: rounds(800, 200_000) }, () =>
    Array.from(randomText(next), (character) => (next(6) === 0 ? variantOf(character) : character)).join(''),
  ).filter((text) => {
    const folded = foldedView(text).text;
    const { view, clues } = lookAt(text);
    const expected = lookAt(folded).clues;
    const { seen, ...places } = expected;
    // One more is a search for nothing; places must be the same.
    const isSame = JSON.stringify({ ...clues, seen }) === JSON.stringify({ seen, ...places });
    return view.text !== folded || (clues.seen & seen) !== seen || !isSame;
  });
  expect(otherwise).toEqual([]);
});

test.each(parseRedactionOptions('test', EVERYTHING).recognizers.map(({ recognizer }) => recognizer.name))(
  'the comparison sees it when texts do not show the clue of %s',
  (name) => {
    const settings = parseRedactionOptions('test', EVERYTHING);
    const recognizers = settings.recognizers.filter(({ recognizer }) => recognizer.name === name);
    const blind = recognizers.map((stated) => ({ ...stated, clues: 0 }));
    const pair = [
      createRedactionEngine({ ...settings, recognizers: blind }),
      createRedactionEngine(searchingEverything({ ...settings, recognizers })),
    ] as const;
    expect(
      firstDifference(pair, labelledItems(1)) ?? firstDifference(pair, randomItems(3, 2_000)),
    ).toBeDefined();
  },
  60_000,
);

describe('prose', () => {
  const words =
    'the ticket of customer order was late and an agent wrote back about delivery, refund and invoice. '.split(
      ' ',
    );
  const prose = (length: number): string => {
    const next = numbers(5);
    let text = '';
    while (text.length < length) text += `${words[next(words.length)] as string} `;
    return text.slice(0, length);
  };

  /** How often a pattern meets a text of at least so many code units. */
  function patternsRun(length: number, work: () => unknown): number {
    let count = 0;
    const { prototype } = RegExp;
    const names = [
      'exec',
      'test',
      Symbol.matchAll,
      Symbol.match,
      Symbol.replace,
      Symbol.search,
      Symbol.split,
    ];
    const originals = names.map(
      (name) => Reflect.getOwnPropertyDescriptor(prototype, name) as PropertyDescriptor,
    );
    for (const [index, name] of names.entries()) {
      const original = originals[index]?.value as (text: string, ...more: unknown[]) => unknown;
      Reflect.defineProperty(prototype, name, {
        ...originals[index],
        value(this: RegExp, text: string, ...more: unknown[]) {
          if (text.length >= length) count++;
          return Reflect.apply(original, this, [text, ...more]);
        },
      });
    }
    try {
      work();
    } finally {
      for (const [index, name] of names.entries()) {
        Reflect.defineProperty(prototype, name, originals[index] as PropertyDescriptor);
      }
    }
    return count;
  }

  test.each([1 << 10, 1 << 16, 1 << 20])('%i characters of it are searched with no pattern', (length) => {
    const [led, whole] = pairOf({});
    const text = prose(length);
    expect(patternsRun(length, () => led.redactItem(userMessage(text), true))).toBe(0);
    const inJson = {
      type: 'function_call',
      callId: 'c',
      name: 'f',
      arguments: JSON.stringify({ query: text }),
    } as const;
    expect(patternsRun(length, () => led.redactItem(inJson, true))).toBe(0);
    expect(patternsRun(length, () => whole.redactItem(userMessage(text), true))).toBeGreaterThan(10);
  });

  test('is searched with no pattern under keys that were seen before, and neither are the keys', () => {
    const [led, whole] = pairOf({});
    const items: readonly AgentInputItem[] = [
      userMessage(prose(900)),
      {
        type: 'function_call',
        callId: 'call_1',
        name: 'search_tickets',
        status: 'completed',
        arguments: JSON.stringify({ query: prose(900), limit: 12, type: 'open', role: 'agent' }),
      },
      {
        type: 'function_call_result',
        callId: 'call_1',
        name: 'search_tickets',
        status: 'completed',
        output: { type: 'text', text: prose(900) },
      },
    ];
    const redactAll = (engine: RedactionEngine) => (): void => {
      for (const item of items) void engine.redactItem(item, true);
    };
    redactAll(led)();
    expect(patternsRun(0, redactAll(led))).toBe(0);
    expect(patternsRun(0, redactAll(whole))).toBeGreaterThan(10);
  });

  test('is searched as a whole with at most one pattern when it contains an address', () => {
    const [led] = pairOf({});
    const text = `${prose(1 << 12)} jane@acme.com ${prose(1 << 12)}`;
    expect(patternsRun(1 << 12, () => led.redactItem(userMessage(text), true))).toBeLessThanOrEqual(1);
  });
});
