import { describe, expect, test, vi } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';

const PHONE = '4155552671';
const SSN = '123456789';
const CARD = '4000001234567899';
const redactor = createRedactor();

/** Ways to put a label at a value that do not put it directly before. */
const positions: readonly (readonly [name: string, write: (label: string, value: string) => string])[] = [
  ['above', (label, value) => `${label}:\n${value}`],
  ['above, with a blank line between', (label, value) => `Contact\n\n${label}:\n\n${value}\n`],
  ['above in a list', (label, value) => `- ${label}:\n  - ${value}\n- Name:\n  - Jane`],
  ['a heading', (label, value) => `## ${label}\n\n${value}`],
  ['an underlined heading', (label, value) => `${label}\n=====\n\n${value}`],
  ['above, with an aside', (label, value) => `${label} (private):\n${value}`],
  ['an element', (label, value) => `<${label.split(' ')[0]?.toLowerCase()}>${value}</x>`],
  ['a cell of HTML', (label, value) => `<tr><th>${label}</th><td class="x">${value}</td></tr>`],
  ['cells of HTML on two lines', (label, value) => `<tr>\n<td>${label}</td>\n<td>${value}</td>\n</tr>`],
  ['cells with their colon', (label, value) => `<td>${label}:</td>\r\n  <td class="x">${value}</td>`],
  ['a value on its own line in a cell', (label, value) => `<th>${label}</th>\n<td>\n  ${value}\n</td>`],
  ['a list of properties', (label, value) => `<key>${label}</key>\n<string>${value}</string>`],
  ['a list of definitions', (label, value) => `<dl>\n<dt>${label}</dt>\n<dd>${value}</dd>\n</dl>`],
  ['in bold in HTML', (label, value) => `<b>${label}</b>: ${value}<br>`],
  ['in bold with its colon', (label, value) => `**${label}:** ${value}`],
  ['in bold before its colon', (label, value) => `**${label}**: ${value}`],
  ['in bold above', (label, value) => `**${label}:**\n${value}`],
  ['in italics', (label, value) => `_${label}:_ ${value}`],
  ['in a table of two columns', (label, value) => `| ${label} | ${value} |\n| Name | Jane |`],
  [
    'in a table of fields',
    (label, value) => `| Field | Value |\n|---|---|\n| Name | Jane |\n| ${label} | ${value} |`,
  ],
  ['in bold in a table', (label, value) => `| **${label}** | ${value} |`],
  [
    'the head of a table',
    (label, value) =>
      `| Name | ${label} | Town |\n|:--|--:|---|\n| Jane | ${value} | Rome |\n| Joe | ${value} | Oslo |`,
  ],
  ['the head of a CSV column', (label, value) => `name,${label}\nJane,${value}\nJoe,${value}\n`],
  ['a head in quotes', (label, value) => `"name";"${label}"\r\n"Roe; Jane";"${value}"\r\n`],
  ['the head of a column by tabs', (label, value) => `name\t${label}\ttown\nJane\t${value}\tRome`],
  ['a name beside a value in JSON', (label, value) => JSON.stringify({ name: label, value })],
  ['a name behind a value in JSON', (label, value) => JSON.stringify({ value, label })],
  [
    'a name in a list of fields',
    (label, value) =>
      JSON.stringify({
        fields: [
          { key: 'town', value: 'Rome' },
          { key: label, value },
        ],
      }),
  ],
  [
    'a name beside a list of values',
    (label, value) => JSON.stringify([{ name: label, values: [value, value] }]),
  ],
  ['a name beside a number in JSON', (label, value) => `{"type":"text","field":"${label}","value":${value}}`],
];
const labels = [
  ['Phone', PHONE, '<PHONE_NUMBER>'],
  ['Mobile phone', PHONE, '<PHONE_NUMBER>'],
  ['SSN', SSN, '<US_SSN>'],
  ['Card', CARD, '<CREDIT_CARD>'],
] as const;

describe('a label applies to its value from', () => {
  test.each(
    positions.flatMap(([name, write]) =>
      labels.map(([label, value, found]) => [name, label, write(label, value), value, found] as const),
    ),
  )('%s: %s', async (_name, _label, text, value, found) => {
    const redacted = await redactor.redactText(text);
    expect(redacted).not.toContain(value);
    expect(redacted).toContain(found);
    expect(await redactor.redactText(redacted)).toBe(redacted);
  });

  test.each(positions.map(([name, write]) => [name, write] as const))(
    '%s: an order number has no such label',
    async (_name, write) => {
      for (const label of ['Order', 'Tracking number', 'Product id', 'Invoice']) {
        for (const value of [PHONE, SSN, CARD]) {
          const text = write(label, value);
          expect(await redactor.redactText(text)).toBe(text);
        }
      }
    },
  );

  test.each([
    `name,phone,order\nJane,,${PHONE}`,
    `phone,price\n1008948180,299`,
    `| phone | model | price |\n|---|---|---|\n| 1008948180 | X1 | 299 |`,
    `My phone is broken.\n${PHONE}`,
    `phone\n1008948180`,
    `I sent the phone, the case\nand the order, which is ${PHONE}`,
    JSON.stringify({ name: 'phone', id: PHONE }),
    JSON.stringify([
      { name: 'phone', price: 299, product: PHONE },
      { name: 'order', value: PHONE },
    ]),
  ])('%j: nothing', async (text) => {
    expect(await redactor.redactText(text)).toBe(text);
  });
});

test('a table is parsed once, for any number of rows', async () => {
  const table = (rows: number): string => `name,phone\n${`Jane,${PHONE}\n`.repeat(rows)}`;
  const splits = async (rows: number): Promise<number> => {
    const split = vi.spyOn(String.prototype, 'split');
    try {
      await redactor.analyze(table(rows));
      return split.mock.calls.filter(([by]) => (by as unknown) === ',').length;
    } finally {
      split.mockRestore();
    }
  };
  const one = await splits(200);
  expect(one).toBeGreaterThan(200);
  expect(await splits(400)).toBeLessThanOrEqual(2 * one);
});

describe('a number of JSON', () => {
  const item = { type: 'tool_search_call', arguments: { phone: 4155552671, count: 12345678 } } as const;
  const text = '{"phone":4155552671,"note":"+14155552671","card":4000001234567899}';
  test.each([
    ['text', '{"phone":"<X>","note":"<X>","card":"<X>"}', '<X>'],
    ['null', '{"phone":null,"note":"<X>","card":null}', null],
    ['digits', '{"phone":9999999999,"note":"<X>","card":8888888888888888}', 9999999999],
  ] as const)('becomes what the operator says: %s', async (numbers, expected, value) => {
    const own = createRedactor({ operators: { DEFAULT: { type: 'replace', with: '<X>', numbers } } });
    const redacted = await own.redactText(text);
    expect(redacted).toBe(expected);
    expect(await own.redactText(redacted)).toBe(expected);
    const { items } = await own.redactItems([item]);
    expect(items).toEqual([{ type: 'tool_search_call', arguments: { phone: value, count: 12345678 } }]);
  });

  test('stays one when a custom operator returns digits', async () => {
    const own = createRedactor({ operators: { DEFAULT: { type: 'custom', apply: () => '0' } } });
    expect(await own.redactText('{"phone":4155552671}')).toBe('{"phone":0}');
  });

  test.each([
    [{ type: 'replace', numbers: 'zero' }, "operators.DEFAULT.numbers must be 'text', 'null' or 'digits'"],
    [{ type: 'keep', numbers: 'null' }, 'operators.DEFAULT: unknown option "numbers". Known: type.'],
  ])('%j is refused', (operator, message) => {
    expect(() => createRedactor({ operators: { DEFAULT: operator as never } })).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining(message) as string,
      }),
    );
  });
});

describe('a label of several words without a space between them', () => {
  const ofCountries = createRedactor({ countries: ['DE', 'GB', 'IN'] });
  const FORMS = ['see {"%": "@"} ok', '%: @', '%=@', '?%=@&x=1', '<%>@</%>', "{%: '@'}", '%,x\n@,y'];
  test.each([
    ['mobilePhone', '4155552671', 'PHONE_NUMBER'],
    ['customerPhone', '4155552671', 'PHONE_NUMBER'],
    ['socialSecurityNumber', '078051120', 'US_SSN'],
    ['nhsNumber', '9434765919', 'UK_NHS'],
    ['aadhaarNumber', '234567890124', 'IN_AADHAAR'],
    ['cardNumber', '4222222222222', 'CREDIT_CARD'],
  ])('%s', async (label, value, entity) => {
    for (const form of FORMS) {
      const text = form.replaceAll('%', label);
      expect(await ofCountries.redactText(text.replace('@', value))).toBe(text.replace('@', `<${entity}>`));
    }
  });

  test.each([
    'iPhone 4155552671',
    'orderId: 4155552671',
    'trackingNumber=4222222222222',
    'OnePlus: 078051120',
  ])('harmless text stays: %s', async (text) => expect(await ofCountries.redactText(text)).toBe(text));
});
