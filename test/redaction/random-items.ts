import { readFileSync } from 'node:fs';
import type { AgentInputItem } from '@openai/agents';
import { KEY_FORMS, KEY_PREFIXES } from '../../src/redaction/recognizers/key-prefixes.ts';
import { NAME_LITERALS } from '../../src/redaction/recognizers/secret-names.ts';
import { parseLabelled } from '../../tools/redaction-score.ts';
import { userMessage } from './layer-call.ts';
import { numbers, randomText } from './random-text.ts';

const LABELLED = parseLabelled(readFileSync(new URL('labelled.jsonl', import.meta.url), 'utf8')).map(
  ({ text }) => text,
);
const KEYS = [
  'text',
  'phone',
  'password',
  'to_ken',
  'apiKey',
  'pass',
  'smtp',
  'cookie',
  'name',
  'value',
  'id',
];

/** A text somewhere in an item: alone, split over two parts, as JSON text, in data of a provider. */
function itemWith(text: string, next: (below: number) => number): AgentInputItem {
  const key = KEYS[next(KEYS.length)] as string;
  const above = KEYS[next(KEYS.length)] as string;
  const cut = next(text.length + 1);
  const json = JSON.stringify({ [above]: { [key]: text, [KEYS[next(KEYS.length)] as string]: 'letmein' } });
  const call = { type: 'function_call', callId: 'call_1', name: 'send' } as const;
  const items = [
    userMessage(text),
    {
      type: 'message',
      role: 'user',
      content: [
        { type: 'input_text', text: text.slice(0, cut) },
        { type: 'input_text', text: text.slice(cut) },
      ],
    },
    { ...call, arguments: json },
    // JSON without a backslash, if the text has none.
    {
      ...call,
      arguments: `{"${above}" : {"${key}":"${text}"}, "n": ${next(2_000_000_000)}, "x": ["${text}"]}`,
    },
    { ...call, arguments: text },
    {
      role: 'user',
      content: 'hi',
      providerData: { [above]: { [key]: text, n: next(2_000_000_000) }, [text]: 1 },
    },
  ];
  return items[next(items.length)] as AgentInputItem;
}

/** What patterns ask for by the letter, in some surroundings. */
function spelledText(next: (below: number) => number): string {
  const pick = <T>(list: readonly T[]): T => list[next(list.length)] as T;
  const characters = (alphabet: string, count: number): string =>
    Array.from({ length: count }, () => pick(Array.from(alphabet))).join('');
  const alnum = 'ABCDEFGHJKabcdefghijk0123456789';
  const hex = '0123456789abcdefABCDEF';
  const pieces: readonly (() => string)[] = [
    () => pick(pick(KEY_PREFIXES)[1].split(' ')) + characters(`${alnum}-_.%`, 8 + next(60)),
    () =>
      pick(NAME_LITERALS) +
      pick([': ', '=', ' is ', '\n', ' ', '": "', '-']) +
      characters(`${alnum}!#@ `, 4 + next(20)),
    () => pick(KEY_FORMS)[1] + characters(alnum, 30 + next(10)),
    () => pick(['bearer ', 'Basic ', 'TOKEN ']) + characters(`${alnum}._~+/-`, 18 + next(8)),
    () => characters('0123456789', 1 + next(19)),
    () => characters('0123456789 ()./-', 4 + next(30)),
    () =>
      `${characters('ABCDEDFGGBFRit', 2)}${characters('0123456789', 2)}${characters(`${alnum} `, 8 + next(26))}`,
    () =>
      Array.from({ length: 2 + next(6) }, () => characters(hex, 1 + next(4))).join(
        pick([':', '-', '.', '::']),
      ),
    () => characters('0123456789', 1 + next(3)) + characters('.0123456789', 4 + next(12)),
    () =>
      `${pick(['eyJ', 'eyA', 'ewo', 'ew0'])}${characters(alnum, next(14))}.${characters(alnum, next(8))}.`,
    () =>
      `${pick(['-u', '--user', '/user:', '/USER:', 'mysql -u a -p', ' -p', 'identified by ', 'IDENTIFIED BY '])}${pick([' ', '=', ''])}"${characters(alnum, 8)}" ${characters(alnum, 3)}:${characters(alnum, 6)}`,
    () =>
      `${pick(['Cookie: ', 'set-cookie=', 'cookie: '])}a=${characters(alnum, 20)}; sid=${characters(alnum, 9)}`,
    () => `a://b:${characters(alnum, 4)}@c.de ${characters(alnum, 4)}@${pick(['acme.com', 'a.b', 'x'])}`,
    () =>
      pick([
        'пароль: ',
        'ПАРОЛЬ: ',
        '密码是',
        'パスワード：',
        'contraseña: ',
        'contrasen\u0303a: ',
        'hasło ',
        'كلمة المرور: ',
        'APIキー：',
        'API-SCHLÜSSEL: ',
        'токен: ',
        'clave secreta: ',
        '토큰',
      ]) + characters(`${alnum}!`, 8 + next(12)),
    () =>
      pick([
        '１２３-４５-６７８９',
        '４１１１１１１１１１１１１１１１',
        'ｊａｎｅ＠acme.com',
        '“quoted” — ’',
        'é',
        '🙂',
      ]),
    () =>
      pick([
        'ITIN 912-70-1234',
        'AB123456C',
        '12345678Z',
        'X1234567L',
        'RSSMRA85T10A562S',
        'Steuer-ID 86095742719',
        'PESEL 44051401359',
        'tax file number 123 456 782',
      ]),
    () => pick(['%40', '%2540', '\\u0040', '&#64;', '\\n', '"', '{', '<b>', 'data:a/b;base64,']),
  ];
  let text = '';
  for (let count = 1 + next(6); count > 0; count--) {
    text += pick(pieces)() + pick(['', '', ' ', ' ', '\n', ', ', '. ', '"', '(', 'x', '_', '电话']);
  }
  return text;
}

/** Items with texts made of anything and of what patterns ask for. */
export function* randomItems(seed: number, count: number): Generator<AgentInputItem> {
  const next = numbers(seed);
  for (let round = 0; round < count; round++) {
    const text = next(4) === 0 ? randomText(next) : spelledText(next);
    yield itemWith(text, next);
  }
}

/** Items with every text of the labelled set. */
export function* labelledItems(seed: number): Generator<AgentInputItem> {
  const next = numbers(seed);
  for (const text of LABELLED) yield itemWith(text, next);
}
