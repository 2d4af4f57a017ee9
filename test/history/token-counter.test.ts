import type { AgentInputItem } from '@openai/agents';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, it, vi } from 'vitest';
import { createContentMemo } from '../../src/history/content-memo.ts';
import { CHARGES, countPieces, estimateText } from '../../src/history/estimate.ts';
import { estimateTokens, o200kTokenCounter, scaleFromUsage, tokenEstimate } from '../../src/history/index.ts';
import { countOnce } from '../../src/history/token-counter.ts';
import { PIECES } from '../../src/history/token-pieces.ts';
import { TOKEN_SAMPLES } from '../../tools/token-samples.ts';
import { recordedConversations } from '../support/conversations-data.ts';
import { assistant, call, reasoning, result, seeded, user } from './support/random-history.ts';

const exact = (text: string): number => countTokens(text, { disallowedSpecial: new Set() });

describe('the default estimate', () => {
  it.each(TOKEN_SAMPLES.map(({ kind, check }) => [kind, check]))(
    'estimates %s, which was not part of the fit, within 15 percent of the exact count',
    (_kind, text) => {
      expect(Math.abs(estimateText(text) / exact(text) - 1)).toBeLessThanOrEqual(0.15);
    },
  );

  it('is within 10 % on recorded conversations, item kind by item kind', () => {
    const conversations = recordedConversations();
    if (conversations === undefined) return;
    const totals = new Map<string, { estimated: number; exact: number }>();
    for (const { items } of conversations.slice(50)) {
      for (const item of items) {
        const kind = 'role' in item ? item.role : item.type;
        const total = totals.get(kind) ?? { estimated: 0, exact: 0 };
        totals.set(kind, total);
        total.estimated += estimateTokens(item);
        total.exact += exactTokens(item);
      }
    }
    for (const { estimated, exact: counted } of totals.values()) {
      expect(Math.abs(estimated / counted - 1)).toBeLessThanOrEqual(0.1);
    }
  });

  it.each([
    ['three little words', { word: 3 }],
    ['internationalization', { word: 1, letter: 14 }],
    ['camelCase, HTMLParser', { word: 3, letter: 4, punctuation: 1 }],
    ['in 2024: 1234567', { word: 1, digits: 5, punctuation: 1 }],
    ['a();', { word: 1, punctuation: 1, mark: 2 }],
    ['a\n\n    b', { word: 2, lines: 1, blanks: 1 }],
    ['größer', { word: 1, accent: 1, accentedLetter: 2 }],
    ['für internationale', { word: 2, accent: 1, foreignLetter: 8 }],
    ['Überprüfung', { word: 1, accent: 1, accentedLetter: 7 }],
    ['привет мир', { cyrillicWord: 2, cyrillicLetter: 3 }],
    ['漢字かな한글😀', { han: 2, kana: 2, hangul: 2, other: 2 }],
  ])('reads the pieces of %j', (text, expected) => {
    const counts = countPieces(text);
    const found = PIECES.flatMap((piece, index) => (counts[index] === 0 ? [] : [[piece, counts[index]]]));
    expect(Object.fromEntries(found)).toEqual(expected);
  });

  it('charges keys, hashes and base64 by the character, and words and numbers never so', () => {
    const share = (text: string): number => {
      const counts = countPieces(text);
      return (
        ((counts[PIECES.indexOf('random')] as number) + (counts[PIECES.indexOf('hex')] as number)) /
        text.length
      );
    };
    expect(share('qL8Zx2Vb9KtR4mW7pYd3HsJ6nFg1cTaE5uXvBiO0')).toBeGreaterThan(0.7);
    expect(share('9f86d081884c7d659a2feaa0c55ad015a3bf4f1b')).toBeGreaterThan(0.5);
    expect(share('getUserByIdOrThrow 2024-11-25T23:40:27Z callId1234567890 README utf8 sha256')).toBe(0);
  });

  it('sums up the charges of the pieces, in whatever script and however long the text is', () => {
    const alphabets = [
      'a',
      'bC',
      'x1Y2z3',
      '.',
      ' ',
      ' \n',
      'é',
      'ñu',
      'я',
      'ب',
      '漢',
      'か',
      '한',
      'क',
      '😀',
      '\t',
    ];
    for (let seed = 1; seed <= 300; seed++) {
      const random = seeded(seed);
      let text = '';
      const length = seed % 100 === 0 ? 150_000 : random() * 200;
      while (text.length < length) {
        const some = alphabets[Math.floor(random() * alphabets.length)] as string;
        text += some.repeat(1 + Math.floor(random() * 12));
      }
      const counts = countPieces(text);
      const tokens = counts.reduce((sum, count, index) => sum + count * (CHARGES[index] as number), 0);
      expect(Math.abs(estimateText(text) - 0.5 - tokens)).toBeLessThanOrEqual(0.5 + 1e-6);
    }
  });

  it('never takes longer than linear time', () => {
    for (const text of ['a', 'aB', '1', '.', ' ', '\n', 'é', '漢', '😀', 'a1']) {
      expect(estimateText(text.repeat(500_000))).toBeGreaterThan(0);
    }
  });

  it('gives every item type a cost, and pictures and files one of their own', () => {
    const text = 'some words that count';
    const items: AgentInputItem[] = [
      user(text),
      assistant(text),
      { role: 'system', content: text },
      reasoning('rs'),
      call('c'),
      result('c', text),
      {
        type: 'hosted_tool_call',
        name: 'web_search_call',
        id: 'ws',
        providerData: { action: { query: text } },
      },
      { type: 'computer_call', callId: 'c', status: 'completed', action: { type: 'type', text } },
      { type: 'computer_call_result', callId: 'c', output: { type: 'computer_screenshot', data: 'AAAA' } },
      { type: 'shell_call', callId: 'c', action: { commands: [text] } },
      {
        type: 'shell_call_output',
        callId: 'c',
        output: [{ stdout: text, stderr: '', outcome: { type: 'timeout' } }],
      },
      {
        type: 'apply_patch_call',
        callId: 'c',
        status: 'completed',
        operation: { type: 'create_file', path: 'a', diff: text },
      },
      { type: 'apply_patch_call_output', callId: 'c', status: 'completed', output: text },
      { type: 'program', callId: 'c', code: text, fingerprint: 'f' },
      { type: 'program_output', callId: 'c', status: 'completed', output: text },
      { type: 'tool_search_call', call_id: 'c', arguments: { query: text } },
      { type: 'tool_search_output', call_id: 'c', tools: [{ name: text }] },
      { type: 'compaction', encrypted_content: 'x'.repeat(50) },
      { type: 'unknown', providerData: { text } },
    ];
    for (const item of items) expect(estimateTokens(item)).toBeGreaterThan(4);
    const picture = (detail: string): AgentInputItem => ({
      role: 'user',
      content: [{ type: 'input_image', image: `data:image/png;base64,${'A'.repeat(100_000)}`, detail }],
    });
    expect(estimateTokens(picture('high'))).toBe(1_504);
    expect(estimateTokens(picture('low'))).toBe(89);
    expect(tokenEstimate({ image: 765 })(picture('high'))).toBe(769);
    expect(estimateTokens({ role: 'user', content: [{ type: 'input_file', file: { id: 'file_1' } }] })).toBe(
      3_004,
    );
  });

  it('is scaled to what the API reported', () => {
    const items = [user('word '.repeat(1_000)), assistant('word '.repeat(1_000))];
    const estimated = items.reduce((sum, item) => sum + estimateTokens(item), 0);
    expect(scaleFromUsage({ items, inputTokens: estimated })).toBe(1);
    expect(scaleFromUsage({ items, inputTokens: estimated * 1.22 + 500, overheadTokens: 500 })).toBe(1.25);
    expect(scaleFromUsage({ items, inputTokens: estimated * 9 })).toBe(2);
    expect(scaleFromUsage({ items: [], inputTokens: 9 })).toBe(1);
    const scaled = tokenEstimate({ scale: 1.25 });
    expect(scaled(items[0] as AgentInputItem)).toBe(
      Math.ceil(estimateTokens(items[0] as AgentInputItem) * 1.25),
    );
  });

  it.each([
    [(): unknown => tokenEstimate({ scale: 0 }), 'scale must be a number from 0.1 to 10'],
    [(): unknown => tokenEstimate({ image: -1 }), 'image must be a number of tokens'],
    [(): unknown => tokenEstimate({ pictures: 1 } as never), 'unknown option "pictures"'],
    [
      (): unknown => scaleFromUsage({ items: [], inputTokens: Number.NaN }),
      'inputTokens must be a number of tokens',
    ],
  ])('refuses options that cannot be used', (make, message) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringContaining(message) }),
    );
  });
});

describe('o200kTokenCounter()', () => {
  it('counts texts exactly, also those that look like special tokens', async () => {
    const counter = await o200kTokenCounter();
    for (const { check } of TOKEN_SAMPLES) expect(counter(user(check))).toBe(exact(check) + 4);
    expect(counter(user('<|endoftext|>'))).toBe(exact('<|endoftext|>') + 4);
  });

  it('prices pictures as told', async () => {
    const counter = await o200kTokenCounter({ image: 765 });
    expect(
      counter({ role: 'user', content: [{ type: 'input_image', image: 'https://example.com/a.png' }] }),
    ).toBe(769);
  });
});

describe('the memo of counts', () => {
  it('counts a content once although every read returns new objects', () => {
    const counter = vi.fn(() => 7);
    const once = countOnce(counter);
    const history = Array.from({ length: 100 }, (_, index) => user(`message ${index}`));
    for (let run = 0; run < 3; run++) for (const item of structuredClone(history)) expect(once(item)).toBe(7);
    expect(counter).toHaveBeenCalledTimes(100);
    once(user('message 100'));
    expect(counter).toHaveBeenCalledTimes(101);
  });

  it('lets the default estimate read a frozen item once, and any other one anew', () => {
    const once = countOnce(estimateTokens);
    const read = vi.fn(() => 'some words that count');
    const item = (): AgentInputItem => {
      const made = { role: 'user' };
      Object.defineProperty(made, 'content', { enumerable: true, get: read });
      return made as AgentInputItem;
    };
    const frozen = Object.freeze(item());
    const loose = item();
    const tokens = [once(frozen), once(frozen), once(frozen)];
    expect(read).toHaveBeenCalledTimes(1);
    expect(new Set([...tokens, once(loose), once(loose)])).toEqual(new Set([estimateTokens(loose)]));
    expect(read).toHaveBeenCalledTimes(4);
  });

  it('is bounded, and keeps what was used last', () => {
    const memo = createContentMemo(10);
    const compute = vi.fn(() => 1);
    for (let index = 0; index < 10; index++) memo.get(`text ${index}`, compute);
    for (let index = 10; index < 20; index++) memo.get(`text ${index}`, compute);
    memo.get('text 5', compute);
    expect(compute).toHaveBeenCalledTimes(20);
    for (let index = 20; index < 40; index++) memo.get(`text ${index}`, compute);
    memo.get('text 0', compute);
    expect(compute).toHaveBeenCalledTimes(41);
  });
});

function exactTokens(item: AgentInputItem): number {
  if ('role' in item) {
    const parts =
      typeof item.content === 'string'
        ? [item.content]
        : item.content.map((part) => ('text' in part ? part.text : ''));
    return parts.reduce((sum, text) => sum + exact(text), 4);
  }
  if (item.type === 'function_call') return exact(item.name) + exact(item.arguments) + 8;
  if (item.type === 'function_call_result' && typeof item.output === 'object' && 'text' in item.output) {
    return exact(item.output.text) + 8;
  }
  throw new TypeError(`no such item in the recordings: ${item.type}`);
}
