import type { AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';

const redactor = createRedactor();

/** The layouts in which tools show a header, or another named value. */
const LAYOUTS: readonly [layout: string, write: (name: string, value: string) => string][] = [
  ['a JSON object', (name, value) => JSON.stringify({ [name]: value })],
  ['a nested object', (name, value) => JSON.stringify({ headers: { [name]: value } })],
  ['a name and a value', (name, value) => JSON.stringify({ name, value })],
  ['a list', (name, value) => JSON.stringify({ [name]: [value] })],
  ['JSON in prose', (name, value) => `sent {"${name}": ${JSON.stringify(value)}} to it`],
  ['a dict of Python', (name, value) => `{'${name}': '${value}'}`],
  ['a header of an archive of HTTP', (name, value) => JSON.stringify({ headers: [{ name, value }] })],
  ['a pair', (name, value) => JSON.stringify([name, value])],
  [
    'a list of pairs',
    (name, value) =>
      JSON.stringify({
        headers: [
          ['Accept', '*/*'],
          [name, value],
        ],
      }),
  ],
  ['names and values in turn', (name, value) => JSON.stringify(['Accept', '*/*', name, value, 'X-A', 'b'])],
  ['pairs in prose', (name, value) => `sent: [["${name}", ${JSON.stringify(value)}]]`],
  ['tuples of Python', (name, value) => `[('accept', '*/*'), ('${name}', '${value}')]`],
  ['bytes of Python', (name, value) => `[(b'accept', b'*/*'), (b'${name}', b'${value}')]`],
  ['arguments of a call', (name, value) => `12: request.setHeader('${name}', '${value}');`],
  ['a list in prose', (name, value) => `sent {"${name}": [${JSON.stringify(value)}]} to it`],
  ['a pair on several lines', (name, value) => `sent: [\n  "${name}",\n  ${JSON.stringify(value)}\n] to it`],
  ['a header of Java', (name, value) => `{accept=[*/*], ${name}=[${value}], x=[y]}`],
  [
    'a name and a value in XML',
    (name, value) => `<h>\n<name>${name}</name>\n<value>${value}</value>\n</h>: 1`,
  ],
  ['an option of curl', (name, value) => `curl -H '${name}: ${value}' https://acme.test`],
];

describe.each(LAYOUTS)('credentials after a scheme go, and the scheme stays, in %s', (_layout, write) => {
  test.each([
    ['Authorization', 'Basic', 'YWRhOmxldG1laW4='],
    ['authorization', 'Bearer', '4f9d8c7b6a5e4d3c'],
    ['Authorization', 'Bearer', 'abc.def-1234567890'],
    ['Authorization', 'ApiKey', '4f9d8c7b6a5e4d3c2b1a'],
    ['Authorization', 'Bot', '4f9d8c7b6a5e4d3c2b1a'],
    ['Authorization', 'Negotiate', 'YIIGdwYGKwYBBQUCoIIGaz'],
    ['Proxy-Authorization', 'Basic', 'YWRhOmxldG1laW4='],
    ['X-Auth-Token', 'Bearer', '4f9d8c7b6a5e4d3c'],
    ['access_token', 'Bearer', '4f9d8c7b6a5e4d3c'],
    [
      'Authorization',
      'Digest',
      'username="ada", nonce="dcd98b71", response="6629fae49393a05397450978507c4ef1"',
    ],
    ['Authorization', 'OAuth', 'oauth_nonce="kYjz", oauth_signature="tnnArxj06cWHq44gCs1OSKk"'],
  ])('%s: %s %s', async (name, scheme, secret) => {
    expect(await redactor.redactText(write(name, `${scheme} ${secret}`))).toBe(
      write(name, `${scheme} <API_KEY>`),
    );
  });

  test.each([
    ['Authorization', 'Bearer required'],
    ['authorization', 'Basic or Bearer, by choice'],
    ['authorization', 'see page=2 of the manual'],
    ['token', 'token string'],
    ['access_token', 'Bearer tokens only'],
  ])('harmless: %s: %s', async (name, value) => {
    expect(await redactor.redactText(write(name, value))).toBe(write(name, value));
  });
});

test.each(LAYOUTS.slice(0, 4))(
  'white space around a secret does not hide it, in %s',
  async (_layout, write) => {
    for (const [name, secret, entity] of [
      ['token', '4f9d8c7b6a5e4d3c2b1a', '<API_KEY>'],
      ['password', 'letmein', '<PASSWORD>'],
    ] as const) {
      for (const [before, after] of [
        [' ', ''],
        ['', '\n'],
        ['', ' '],
        ['\t', '\r\n'],
      ] as const) {
        const text = await redactor.redactText(write(name, before + secret + after));
        expect(text).toBe(write(name, before + entity + after));
      }
    }
  },
);

test('the parameters of a header go as a whole, to their last one', async () => {
  const text =
    'Authorization: Digest username="ada", realm="x", nonce="dcd98b7102dd2f0e", response="6629fae49393a053"\nHost: acme.test';
  expect(await redactor.redactText(text)).toBe('Authorization: Digest <API_KEY>\nHost: acme.test');
});

describe('pairs in JSON', () => {
  const call = (args: unknown): AgentInputItem =>
    ({ type: 'function_call', name: 'f', callId: 'c', arguments: args }) as unknown as AgentInputItem;
  const pairs = [
    ['Cookie', 'session=abcdef1234567890; theme=dark', 'session=<API_KEY>; theme=dark'],
    ['x-api-key', '4f9d8c7b6a5e4d3c2b1a', '<API_KEY>'],
    ['password', 'hunter2', '<PASSWORD>'],
    ['phone', '4155552671', '<PHONE_NUMBER>'],
    ['ssn', '078051120', '<US_SSN>'],
  ] as const;

  test.each(pairs)('%s: %s', async (name, value, redacted) => {
    const lists = [
      ['Accept', '*/*'],
      [name, value],
    ];
    const expected = [
      ['Accept', '*/*'],
      [name, redacted],
    ];
    expect(await redactor.redactText(JSON.stringify(lists))).toBe(JSON.stringify(expected));
    const { items } = await redactor.redactItems([call(lists), call({ form: lists })]);
    expect(items).toEqual([call(expected), call({ form: expected })]);
  });

  test('a number under a name', async () => {
    expect(await redactor.redactText('[["phone",4155552671],["id",4155552672]]')).toBe(
      '[["phone","<PHONE_NUMBER>"],["id",4155552672]]',
    );
  });

  test('the key of the list counts, too', async () => {
    const text = '{"phones":[["Ada","4155552671"]],"secret":["x","4f9d8c7b6a5e4d3c2b1a"]}';
    expect(await redactor.redactText(text)).toBe(
      '{"phones":[["Ada","<PHONE_NUMBER>"]],"secret":["x","<API_KEY>"]}',
    );
  });

  test.each([
    [['password', 'address2', 'token', 'customerAddress2', 'accessToken', 'billingStreet1']],
    [
      [
        ['email', 'password'],
        ['password', 'firstName'],
        ['token', 'string'],
      ],
    ],
    [{ required: ['authorization', 'Bearer', 'api_key', 'version20'] }],
    [[null, 'authorization', 'Basic YWRhOmxldG1laW4='].slice(0, 2)],
  ])('harmless: %j', async (lists) => {
    const text = JSON.stringify(lists);
    expect(await redactor.redactText(text)).toBe(text);
    const item = call(lists);
    expect((await redactor.redactItems([item])).items[0]).toBe(item);
  });
});

test.each([
  [
    'map[Accept:[*/*] Authorization:[Basic YWRhOmxldG1laW4=]]',
    'map[Accept:[*/*] Authorization:[Basic <API_KEY>]]',
  ],
  ['{"Authorization":[]string{"Basic YWRhOmxldG1laW4="}}', '{"Authorization":[]string{"Basic <API_KEY>"}}'],
  ['| Authorization | Basic YWRhOmxldG1laW4= |', '| Authorization | Basic <API_KEY> |'],
  ['Authorization -> Basic YWRhOmxldG1laW4=', 'Authorization -> Basic <API_KEY>'],
  ['authorization\tBearer 4f9d8c7b6a5e4d3c', 'authorization\tBearer <API_KEY>'],
  ['Accept,*/*\nAuthorization,Basic YWRhOmxldG1laW4=', 'Accept,*/*\nAuthorization,Basic <API_KEY>'],
])('other layouts of the header: %s', async (text, redacted) => {
  expect(await redactor.redactText(text)).toBe(redacted);
});
