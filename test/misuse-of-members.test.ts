import type { AgentInputItem } from '@openai/agents';
import { afterAll, describe, expect, test } from 'vitest';
import { cache, encrypt, expire, isStrongroomError, redact, wrapSession, type Layers } from '../src/index.ts';
import { historyDigest } from '../src/protocol/digest.ts';
import { openSqlite } from '../src/stores/sqlite.ts';
import { fixedKeyring } from '../src/testing/index.ts';

const hello: AgentInputItem = { role: 'user', content: 'Hello' };
const digest = historyDigest([hello]);
const append = { type: 'append_items', items: [hello] };
const prefix = { count: 1, digest, replacement: [hello], operationId: 'p' };
const mutation = { type: 'replace_function_call', callId: 'c', replacement: hello };

/** What is refused: the member, its first argument, and the error. */
type Refused = readonly [member: string, argument: unknown, error: `${'ITEM' | 'OPTION'}: ${string}`];

const NO_LISTS: readonly unknown[] = [undefined, null, 5, 'text', {}, new Map(), { length: 1, 0: hello }];
const NO_ITEMS: readonly unknown[] = [undefined, null, 5, 'text', [], true];

const REFUSED: readonly Refused[] = [
  ...['addItems', 'replaceHistoryWithCompaction'].flatMap((member): Refused[] => [
    ...NO_LISTS.map((argument): Refused => [member, argument, 'ITEM: This call takes an array of items.']),
    ...NO_ITEMS.map((item): Refused => [member, [hello, item], 'ITEM: An item must be an object.']),
  ]),
  ...(
    [
      [1.5, 'a number with a fraction'],
      [-0.5, 'a number with a fraction'],
      [Number.NaN, 'NaN'],
      ['5', 'a string'],
      [null, 'null'],
      [[], 'an array'],
      [{}, 'an object'],
      [true, 'a boolean'],
      [5n, 'a bigint'],
    ] as const
  ).map(([limit, kind]): Refused => [
    'getItems',
    limit,
    `OPTION: getItems: limit must be a whole number, got ${kind}.`,
  ]),
  ...[undefined, null, 5, 'text'].map((argument): Refused => [
    'applyHistoryTransaction',
    argument,
    'ITEM: Session history transaction arguments are invalid.',
  ]),
  ...[undefined, null, '', '  ', 5, {}].map((operationId): Refused => [
    'applyHistoryTransaction',
    { operationId, transaction: append },
    'ITEM: Session history transaction operationId must be a non-empty string.',
  ]),
  [
    'applyHistoryTransaction',
    { operationId: '\ud800', transaction: append },
    'ITEM: Session history transaction operationId must be a non-empty string. It must be well-formed Unicode.',
  ],
  ...[undefined, null, 5, 'text'].map((transaction): Refused => [
    'applyHistoryTransaction',
    { operationId: 'o', transaction },
    'ITEM: Session history transaction must be an object.',
  ]),
  ...[{}, [], { type: 'clear' }, { type: 5 }].map((transaction): Refused => [
    'applyHistoryTransaction',
    { operationId: 'o', transaction },
    'ITEM: Unsupported session history transaction type.',
  ]),
  ...[{ type: 'append_items' }, { ...append, items: hello }, { ...append, note: 1 }].map(
    (transaction): Refused => [
      'applyHistoryTransaction',
      { operationId: 'o', transaction },
      'ITEM: Session history append transaction fields are invalid.',
    ],
  ),
  ...[
    { type: 'replace_suffix', expectedSuffix: [] },
    { type: 'replace_suffix', expectedSuffix: {}, replacement: [] },
  ].map((transaction): Refused => [
    'applyHistoryTransaction',
    { operationId: 'o', transaction },
    'ITEM: Session history suffix transaction fields are invalid.',
  ]),
  ...NO_ITEMS.map((item): Refused => [
    'applyHistoryTransaction',
    { operationId: 'o', transaction: { type: 'append_items', items: [item] } },
    'ITEM: Session history transaction items contain invalid or unsupported data.',
  ]),
  ...[undefined, null, 5, {}, []].map((argument): Refused => [
    'applyHistoryMutations',
    argument,
    'OPTION: applyHistoryMutations: mutations must be an array, got undefined.',
  ]),
  [
    'applyHistoryMutations',
    { mutations: {} },
    'OPTION: applyHistoryMutations: mutations must be an array, got an object.',
  ],
  ['applyHistoryMutations', { mutations: [mutation, 5] }, 'ITEM: A mutation of a history must be an object.'],
  ...[{}, { ...mutation, type: 'x' }, { ...mutation, callId: 5 }].map((each): Refused => [
    'applyHistoryMutations',
    { mutations: [each] },
    "ITEM: A mutation of a history must have the type 'replace_function_call', the only known type, and a callId that is a string.",
  ]),
  [
    'applyHistoryMutations',
    { mutations: [{ type: 'replace_function_call', callId: 'c' }] },
    'ITEM: An item must be an object.',
  ],
  ['replacePrefix', undefined, 'OPTION: replacePrefix: options must be an object, got undefined.'],
  [
    'replacePrefix',
    { ...prefix, cuont: 1 },
    'OPTION: replacePrefix: unknown option "cuont". Known: count, digest, replacement, operationId, archiveTo.',
  ],
  [
    'replacePrefix',
    { ...prefix, count: 0 },
    'OPTION: replacePrefix: count must be a positive whole number, got zero.',
  ],
  [
    'replacePrefix',
    { ...prefix, digest: 5 },
    'OPTION: replacePrefix: digest must be the historyDigest of the items, got a positive number.',
  ],
  ...['', ' ', '\ud800'].map((operationId): Refused => [
    'replacePrefix',
    { ...prefix, operationId },
    'OPTION: replacePrefix: operationId must be a non-empty string of well-formed Unicode, got a string.',
  ]),
  [
    'replacePrefix',
    { ...prefix, replacement: hello },
    'OPTION: replacePrefix: replacement must be an array of items, got an object.',
  ],
  ['replacePrefix', { ...prefix, replacement: [5] }, 'ITEM: An item must be an object.'],
];

const keys = fixedKeyring();
const STACKS: readonly (readonly [name: string, layers: Layers | undefined])[] = [
  ['a session of a store', undefined],
  ['it, wrapped in no layer', []],
  ['it, wrapped in encrypt', [encrypt({ keys })]],
  [
    'it, wrapped in the full stack',
    [redact(), expire({ after: '30d' }), cache({ maxItems: 100 }), encrypt({ keys })],
  ],
];

/** Items and operations are counted by what is there afterwards. */
describe.each(STACKS)('a wrong argument of %s', (name, layers) => {
  const store = openSqlite(':memory:');
  afterAll(() => store.close());

  test.each(REFUSED.map(([member, argument, error], index) => [index, member, error, argument] as const))(
    '%i: %s is refused with %s',
    async (index, member, error, argument) => {
      const bare = store.session(`${name} ${index}`);
      const session = layers === undefined ? bare : wrapSession(bare, layers);
      await session.addItems([hello]);
      const call = (session as unknown as Record<string, (argument: unknown) => Promise<unknown>>)[member];
      const thrown: unknown = await Promise.resolve(call?.call(session, argument)).then(
        () => 'nothing',
        (reason: unknown) => reason,
      );
      expect(isStrongroomError(thrown) ? `${thrown.code}: ${thrown.message}` : thrown).toBe(
        `ERR_INVALID_${error}`,
      );
      expect(await session.getItems()).toEqual([hello]);
    },
  );

  test.each([
    [Infinity, 3],
    [-Infinity, 0],
    [-1, 0],
    [0, 0],
    [2, 2],
    [2 ** 53, 3],
  ])('a limit of %d gives %i of three items', async (limit, count) => {
    const bare = store.session(`${name} limit ${limit}`);
    const session = layers === undefined ? bare : wrapSession(bare, layers);
    await session.addItems([hello, hello, hello]);
    expect(await session.getItems(limit)).toHaveLength(count);
  });

  test('an operation id of another transaction, or a transaction that does not match, is refused with one sentence', async () => {
    const bare = store.session(`${name} conflicts`);
    const session = layers === undefined ? bare : wrapSession(bare, layers);
    const next =
      'Nothing was changed. Read the history again and start a new operation under an id of its own.';
    await session.applyHistoryTransaction({
      operationId: 'o',
      transaction: { type: 'append_items', items: [hello] },
    });
    await expect(
      session.applyHistoryTransaction({
        operationId: 'o',
        transaction: { type: 'append_items', items: [hello, hello] },
      }),
    ).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: `Session history operation was already applied with a different transaction. ${next}`,
    });
    await expect(
      session.applyHistoryTransaction({
        operationId: 'p',
        transaction: { type: 'replace_suffix', expectedSuffix: [hello, hello], replacement: [] },
      }),
    ).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: `Session history suffix no longer matches the transaction precondition. ${next}`,
    });
    await expect(
      session.replacePrefix({ count: 1, digest: historyDigest([]), replacement: [], operationId: 'q' }),
    ).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: `Session history prefix no longer matches the transaction precondition. ${next}`,
    });
    expect(await session.getItems()).toEqual([hello]);
  });
});
