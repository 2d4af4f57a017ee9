import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MemorySession, tool, type AgentInputItem, type FunctionTool, type RunContext } from '@openai/agents';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { redact, wrapSession, wrapStore } from '../../src/index.ts';
import { createRedactor, restoreToolArguments } from '../../src/redaction/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { textOf, userMessage } from './layer-call.ts';
import { ADDRESS, answer, callTool, FORGED, openMailingAgent } from './mailing-agent.ts';

const KEY = new Uint8Array(32).fill(3);
const OPERATORS = { DEFAULT: { type: 'pseudonymize', key: KEY } } as const;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'strongroom-tools-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** All bytes of a database and its log. */
function bytesOf(file: string): string {
  return [file, `${file}-wal`]
    .map((name) => {
      try {
        return readFileSync(name, 'latin1');
      } catch {
        return '';
      }
    })
    .join('');
}

describe('an agent that mails', () => {
  test.each(['at once', 'streamed'])(
    '%s: the model and the store see tokens, the tool the address',
    async (how) => {
      const file = join(directory, `${how}.db`);
      const { store, session, agent, model, runner, sent, judged } = openMailingAgent(file, false, [
        callTool,
        answer,
      ]);
      const input = `Write to ${ADDRESS} and to ${FORGED}.`;
      if (how === 'streamed') {
        const result = await runner.run(agent, input, { session, stream: true });
        await result.completed;
      } else {
        await runner.run(agent, input, { session });
      }
      expect(sent).toEqual([`${ADDRESS}: For "you"\nand ${ADDRESS} not ${FORGED}`]);
      expect(judged).toEqual([ADDRESS]);
      expect(model.calls).toHaveLength(2);
      expect(JSON.stringify(model.calls.map((call) => call.request))).not.toMatch(/jane/i);
      expect(JSON.stringify(await session.getItems())).not.toMatch(/jane/i);
      await store.close();
      expect(bytesOf(file)).toContain('EMAIL_ADDRESS_');
      expect(bytesOf(file)).not.toMatch(/jane\.roe|acme/i);
    },
  );

  test.each(['at once', 'streamed'])(
    '%s: an approval is resumed in another process',
    async (how) => {
      const file = join(directory, `resumed ${how}.db`);
      const { store, session, agent, model, runner, sent, judged } = openMailingAgent(file, true, [callTool]);
      const first = await runner.run(agent, `Write to ${ADDRESS}.`, { session });
      expect(first.interruptions).toHaveLength(1);
      expect(judged).toEqual([ADDRESS]);
      expect(sent).toEqual([]);
      expect(JSON.stringify(model.calls.map((call) => call.request))).not.toMatch(/jane/i);
      await store.close();

      const resumed = spawnSync(
        process.execPath,
        [
          '--disable-warning=ExperimentalWarning',
          fileURLToPath(new URL('resume-mailing.ts', import.meta.url)),
          file,
          how,
        ],
        { input: first.state.toString(), encoding: 'utf8' },
      );
      expect(resumed.stderr).toBe('');
      const { requests, ...told } = JSON.parse(resumed.stdout) as {
        sent: string[];
        finalOutput: string;
        requests: unknown[];
      };
      expect(told.sent).toEqual([`${ADDRESS}: For "you"\nand ${ADDRESS} not ${FORGED}`]);
      expect(told.finalOutput).toMatch(/^Done: .*sent to <EMAIL_ADDRESS_/);
      expect(requests).toHaveLength(1);
      expect(JSON.stringify(requests)).not.toMatch(/jane/i);
      expect(bytesOf(file)).not.toMatch(/jane\.roe|acme/i);
    },
    60_000,
  );
});

describe('restoreToolArguments', () => {
  const vaulted = (): { redactor: ReturnType<typeof createRedactor>; vault: MemorySession } => {
    const vault = new MemorySession();
    return { redactor: createRedactor({ operators: OPERATORS, vault }), vault };
  };
  const echo = (): FunctionTool =>
    tool({
      name: 'echo',
      description: 'Echoes.',
      parameters: { type: 'object', properties: {}, additionalProperties: true, required: [] },
      strict: false,
      execute: async (input) => JSON.stringify(input),
    }) as FunctionTool;
  const invoke = async (given: FunctionTool, input: string): Promise<unknown> =>
    given.invoke({} as RunContext, input);

  test('restores in keys, values, JSON in JSON, and tokens as models write them', async () => {
    const { redactor } = vaulted();
    const token = await redactor.redactText('o"brien@acme.com'.replace('"', "'"));
    const bare = token.slice(1, -1);
    const restored = restoreToolArguments(echo(), redactor);
    const input = JSON.stringify({
      [token]: 1,
      list: [bare, token.toUpperCase(), `\`${bare.toLowerCase()}\``, bare.replaceAll('_', '\\_')],
      html: `&lt;${bare}&gt;`,
      source: `x = "a\\n${bare}\\t${bare}"`,
      inner: JSON.stringify({ to: token }),
    });
    expect(JSON.parse((await invoke(restored, input)) as string)).toEqual({
      "o'brien@acme.com": 1,
      list: ["o'brien@acme.com", "o'brien@acme.com", "`o'brien@acme.com`", "o'brien@acme.com"],
      html: "o'brien@acme.com",
      source: 'x = "a\\no\'brien@acme.com\\to\'brien@acme.com"',
      inner: JSON.stringify({ to: "o'brien@acme.com" }),
    });
  });

  test('a value with quotes stays inside its literal', async () => {
    const vault = new MemorySession();
    const redactor = createRedactor({
      operators: OPERATORS,
      vault,
      denyList: { PERSON: ['Jane "Joe" \\ Roe'] },
    });
    const token = await redactor.redactText('Jane "Joe" \\ Roe');
    expect(token).toMatch(/^<PERSON_/);
    const restored = restoreToolArguments(echo(), redactor);
    expect(JSON.parse((await invoke(restored, JSON.stringify({ who: token }))) as string)).toEqual({
      who: 'Jane "Joe" \\ Roe',
    });
  });

  test('a token of another session, a changed token and one that was never issued stay as they are', async () => {
    const { redactor } = vaulted();
    const other = vaulted();
    const token = await other.redactor.redactText('jane@acme.com');
    const own = await redactor.redactText('joe@acme.com');
    const changed = `${own.slice(0, -2)}${own.at(-2) === 'b' ? 'c' : 'b'}>`;
    const input = JSON.stringify([token, changed, FORGED, `x${own.slice(1)}`]);
    expect(await redactor.restoreText(input)).toBe(input);
  });

  test('entities limit what a tool gets', async () => {
    const { redactor } = vaulted();
    const text = await redactor.redactText('jane@acme.com 4111111111111111');
    const restored = restoreToolArguments(echo(), redactor, { entities: ['CREDIT_CARD'] });
    const [email] = text.split(' ');
    expect(JSON.parse((await invoke(restored, JSON.stringify({ text }))) as string)).toEqual({
      text: `${email} 4111111111111111`,
    });
  });

  test('the final answer can be restored for the user', async () => {
    const { redactor } = vaulted();
    const token = await redactor.redactText('jane@acme.com');
    expect(await redactor.restoreText(`Mail is on its way to ${token}.`)).toBe(
      'Mail is on its way to jane@acme.com.',
    );
  });

  test('the tool itself is not changed, and keeps the properties by which the SDK recognizes it', async () => {
    const { redactor } = vaulted();
    const given = echo();
    const { invoke: before } = given;
    const restored = restoreToolArguments(given, redactor);
    expect(given.invoke).toBe(before);
    expect({ ...restored, invoke: before }).toEqual({ ...given });
    expect(restored.needsApproval).toBe(given.needsApproval);
  });

  test('misuse is refused', async () => {
    expect(() => redact({ operators: OPERATORS, when: 'read', vault: new MemorySession() })).toThrow(
      "redact: vault must be absent with when: 'read', because only a write stores the values of tokens",
    );
    const { redactor } = vaulted();
    expect(() => restoreToolArguments({ type: 'hosted_tool' } as never, redactor)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: 'restoreToolArguments: tool must be a function tool, got an object.',
      }),
    );
    expect(() => restoreToolArguments(echo(), redactor, { entities: [5] as never })).toThrow(
      'restoreToolArguments: entities must be an array of entity names, got an array.',
    );
    await expect(createRedactor().restoreText('x')).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: 'createRedactor: restoring tokens needs a vault. Give createRedactor() the option vault.',
    });
    expect(() => createRedactor({ vault: new MemorySession() })).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining('vault needs an operator that issues tokens') as string,
      }),
    );
    expect(() => createRedactor({ operators: OPERATORS, vault: {} as never })).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining('createRedactor: vault must be a Session') as string,
      }),
    );
  });
});

describe('the vault of a layer', () => {
  const tokenIn = async (session: MemorySession | ReturnType<typeof wrapSession>): Promise<string> =>
    (await session.getItems()).map(textOf).join(' ');

  test('gets each value once, and before the item is stored', async () => {
    const vault = new MemorySession();
    const inner = new MemorySession();
    const session = wrapSession(inner, [redact({ operators: OPERATORS, vault })]);
    await session.addItems([userMessage('jane@acme.com'), userMessage('JANE@acme.com')]);
    await session.addItems([userMessage('jane@acme.com')]);
    expect(await vault.getItems()).toHaveLength(1);
    const [token] = (await tokenIn(session)).split(' ');
    const redactor = createRedactor({ operators: OPERATORS, vault });
    expect((await redactor.restoreText(token as string)).toLowerCase()).toBe('jane@acme.com');

    const failing = new MemorySession();
    failing.addItems = async () => {
      throw new Error('vault is down');
    };
    const other = new MemorySession();
    const guarded = wrapSession(other, [redact({ operators: OPERATORS, vault: failing })]);
    await expect(guarded.addItems([userMessage('jane@acme.com')])).rejects.toThrow('vault is down');
    expect(await other.getItems()).toEqual([]);
  });

  test('is removed with its session, by clearing and by deleting, one vault a session', async () => {
    const store = openSqlite(':memory:');
    const vaults = new Map<string, MemorySession>();
    const vaultOf = (id: string): MemorySession => {
      const vault = vaults.get(id) ?? new MemorySession();
      vaults.set(id, vault);
      return vault;
    };
    const sessions = wrapStore(store, [redact({ operators: OPERATORS, vault: vaultOf })]);
    for (const id of ['a', 'b', 'c']) await sessions.session(id).addItems([userMessage(`${id}@acme.com`)]);
    await sessions.session('a').clearSession();
    await sessions.deleteSession('b');
    expect(await vaults.get('a')?.getItems()).toEqual([]);
    expect(await vaults.get('b')?.getItems()).toEqual([]);
    expect(await vaults.get('c')?.getItems()).toHaveLength(1);
    await store.close();
  });

  test('keeps the tokens of items written back after a clear, as the runner compacts and rolls back', async () => {
    const vault = new MemorySession();
    const session = wrapSession(new MemorySession(), [redact({ operators: OPERATORS, vault })]);
    await session.addItems([userMessage('jane@acme.com'), userMessage('joe@acme.com')]);
    const [jane] = await session.getItems();
    await session.clearSession();
    expect(await vault.getItems()).toEqual([]);
    await session.addItems([jane as never]);
    expect(await vault.getItems()).toHaveLength(1);
    const redactor = createRedactor({ operators: OPERATORS, vault });
    expect(await redactor.restoreText(await tokenIn(session))).toBe('jane@acme.com');
  });

  test('keeps them whatever is written in between, in how many calls, and after a vault that failed', async () => {
    const vault = new MemorySession();
    const session = wrapSession(new MemorySession(), [redact({ operators: OPERATORS, vault })]);
    await session.addItems([userMessage('jane@acme.com'), userMessage('joe@acme.com')]);
    const [jane, joe] = (await session.getItems()) as [AgentInputItem, AgentInputItem];
    await session.clearSession();
    await session.addItems([userMessage('a summary')]);
    await session.addItems([jane]);
    // The runner clears again when its first attempt failed.
    await session.clearSession();
    const add = vault.addItems.bind(vault);
    vault.addItems = async () => {
      throw new Error('vault is down');
    };
    await expect(session.addItems([jane, joe])).rejects.toThrow('vault is down');
    vault.addItems = add;
    await session.addItems([jane]);
    await session.addItems([joe]);
    const redactor = createRedactor({ operators: OPERATORS, vault });
    expect(await redactor.restoreText(await tokenIn(session))).toBe('jane@acme.com joe@acme.com');
  });

  test('does not get values back that were deleted with their session', async () => {
    const store = openSqlite(':memory:');
    const vault = new MemorySession();
    const sessions = wrapStore(store, [redact({ operators: OPERATORS, vault: () => vault })]);
    await sessions.session('a').addItems([userMessage('jane@acme.com')]);
    const items = await sessions.session('a').getItems();
    await sessions.session('a').clearSession();
    await sessions.deleteSession('a');
    await sessions.session('a').addItems(items);
    expect(await vault.getItems()).toEqual([]);
    await store.close();
  });

  test.each(['A__B', 'PATIENT_', 'P'.repeat(64), 'A_B_C_D_E_F_G_H_I_J', 'N1_X'])(
    'keeps and restores a value of the entity %s',
    async (entity) => {
      const vault = new MemorySession();
      const options = { operators: OPERATORS, denyList: { [entity]: ['Ada Lovelace'] } };
      const session = wrapSession(new MemorySession(), [redact({ ...options, vault })]);
      await session.addItems([userMessage('ask Ada Lovelace now')]);
      const stored = await tokenIn(session);
      expect(stored).not.toContain('Ada');
      const redactor = createRedactor({ ...options, vault });
      expect(await redactor.restoreText(stored)).toBe('ask Ada Lovelace now');
      expect(await redactor.restoreText(stored.replace(/[<>]/g, ''))).toBe('ask Ada Lovelace now');
    },
  );

  test.each([
    'Grüße–5x№K',
    'ﬁsch½Kiste7',
    'ｐａｓｓ７Ｗｏｒｄ',
    'pass\u00ad7word1x',
    'pass–1234x',
    'pass-1234x',
  ])('gives a tool the password %s character by character', async (password) => {
    const vault = new MemorySession();
    const session = wrapSession(new MemorySession(), [redact({ operators: OPERATORS, vault })]);
    await session.addItems([userMessage(`DB_PASSWORD=${password}`)]);
    const stored = await tokenIn(session);
    expect(stored).toMatch(/^DB_PASSWORD=<PASSWORD_\w+>$/);
    const redactor = createRedactor({ operators: OPERATORS, vault });
    expect(await redactor.restoreText(stored)).toBe(`DB_PASSWORD=${password}`);
  });

  test('tells passwords and addresses apart that differ in one character or in case', async () => {
    const vault = new MemorySession();
    const options = { operators: OPERATORS, entities: ['PASSWORD', 'URL'] } as const;
    const texts = [
      'DB_PASSWORD=pass–1234x',
      'DB_PASSWORD=pass-1234x',
      'see https://youtu.be/dQw4w9WgXcQ',
      'see https://youtu.be/DQW4w9WgXcQ',
    ];
    const session = wrapSession(new MemorySession(), [redact({ ...options, vault })]);
    await session.addItems(texts.map(userMessage));
    const tokens = (await session.getItems()).map(textOf);
    expect(new Set(tokens).size).toBe(4);
    const redactor = createRedactor({ ...options, vault });
    expect(await Promise.all(tokens.map((token) => redactor.restoreText(token)))).toEqual(texts);
    const hosts = await createRedactor(options).redactText('HTTPS://Acme.com/Path https://acme.com/Path');
    expect(new Set(hosts.split(' ')).size).toBe(1);
  });

  test.each(['Recipients:\n', '\t', 'lines:\r\n', '{"text":"one\\n', '- '])(
    'keeps a value that a record uses after %j',
    async (before) => {
      const vault = new MemorySession();
      const session = wrapSession(new MemorySession(), [redact({ operators: OPERATORS, vault })]);
      await session.addItems([userMessage('jane@acme.com')]);
      const token = (await tokenIn(session)).replace(/[<>]/g, '');
      const redactor = createRedactor({ operators: OPERATORS, vault });
      expect(await redactor.restoreText(`${before}${token}`)).toBe(`${before}jane@acme.com`);
      await session.clearSession();
      await session.addItems([userMessage(`${before}${token}`)]);
      expect(await vault.getItems()).toHaveLength(1);
    },
  );

  test('work grows with the conversation and not with its square: a write reads no more than the newest tokens', async () => {
    const vault = new MemorySession();
    const getItems = vault.getItems.bind(vault);
    let read = 0;
    vault.getItems = async (limit) => {
      const items = await getItems(limit);
      read += items.length;
      return items;
    };
    const session = wrapSession(new MemorySession(), [redact({ operators: OPERATORS, vault })]);
    const write = async (from: number, count: number): Promise<number> => {
      read = 0;
      for (let number = from; number < from + count; number++) {
        await session.addItems([userMessage(`a${number}@acme.com`)]);
      }
      return read;
    };
    await write(0, 300);
    const one = await write(300, 100);
    await write(400, 400);
    expect(one).toBeGreaterThan(0);
    expect(await write(800, 100)).toBe(one);

    // A tool gets the newest token and the oldest one, and a token that nobody issued ends.
    const redactor = createRedactor({ operators: OPERATORS, vault });
    const tokens = (await tokenIn(session)).split(' ');
    const restore = async (token: string): Promise<readonly [string, number]> => {
      read = 0;
      return [await redactor.restoreText(`{"to":"${token}"}`), read];
    };
    const [newest, least] = await restore(tokens.at(-1) as string);
    expect(newest).toBe('{"to":"a899@acme.com"}');
    expect(least).toBeLessThan(300);
    expect((await restore(tokens[0] as string))[0]).toBe('{"to":"a0@acme.com"}');
    expect((await restore(FORGED))[0]).toBe(`{"to":"${FORGED}"}`);
  });

  test('works for one call with more tokens than a write checks', async () => {
    const vault = new MemorySession();
    const session = wrapSession(new MemorySession(), [redact({ operators: OPERATORS, vault })]);
    const text = Array.from({ length: 700 }, (_, number) => `a${number}@acme.com`).join(' ');
    await session.addItems([userMessage(text)]);
    await session.addItems([userMessage(text)]);
    expect(await vault.getItems()).toHaveLength(700);
    const redactor = createRedactor({ operators: OPERATORS, vault });
    expect(await redactor.restoreText((await tokenIn(session)).replace(/^.* (?=<)/, ''))).toBe(
      'a699@acme.com',
    );
  });

  test('a vault that cannot be cleared is reported', async () => {
    const vault = new MemorySession();
    vault.clearSession = async () => {
      throw new Error('vault is down');
    };
    const session = wrapSession(new MemorySession(), [redact({ operators: OPERATORS, vault })]);
    await expect(session.clearSession()).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('was cleared, its vault was not') as string,
    });
  });

  test('other items in the vault are refused, not ignored', async () => {
    const vault = new MemorySession({ initialItems: [userMessage('a diary')] });
    const session = wrapSession(new MemorySession(), [redact({ operators: OPERATORS, vault })]);
    await expect(session.addItems([userMessage('jane@acme.com')])).rejects.toMatchObject({
      code: 'ERR_MALFORMED',
      message:
        'The vault contains an item that is not a token. Give the vault a session of its own that nothing else writes to.',
    });
  });
});
