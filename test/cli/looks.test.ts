import { readFile, rm } from 'node:fs/promises';
import { Agent, run, Usage } from '@openai/agents';
import { assistantMessage, modelResponse, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, it } from 'vitest';
import { branches, recordUsage } from '../../src/history/index.ts';
import { encrypt, keyring, wrapStore } from '../../src/index.ts';
import { sqliteDekStore } from '../../src/operations/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { linesOf } from '../support/built-cli.ts';
import { CANARY, configOf, filledProject } from '../support/cli-project.ts';

describe('strongroom inspect', () => {
  it('shows the headers of records without any key, and no content', async () => {
    const project = await filledProject({ one: 3 });
    await rm(project.path('key.json'));
    const { code, stdout, stderr } = await project.run(['inspect', 'one', '--last', '2']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = linesOf(stdout);
    expect(lines).toMatchObject([
      { event: 'record', index: 1, kind: 'sealed', kid: project.key.kid, header: { s: 'XC20P' } },
      { event: 'record', index: 2, kind: 'sealed' },
      { event: 'sum', records: 3 },
    ]);
    const { writtenAt, expiresAt } = lines[0] as { writtenAt: number; expiresAt: number };
    expect(expiresAt - writtenAt).toBe(30 * 86_400_000);
    expect(stdout).not.toContain(CANARY);
  });

  it('shows the key of every record of a branch, of those too that it shares with what it was made from', async () => {
    const project = await filledProject({ one: 2 });
    const { kid } = project.key;
    const tree = branches(project.store, 'one');
    const hello = { type: 'message' as const, role: 'user' as const, content: 'Hello' };
    await (await tree.create('second')).addItems([hello]);
    await (await tree.create('third', { from: 'second' })).addItems([hello]);
    await rm(project.path('key.json'));
    for (const [id, count] of [
      ['one', 2],
      ['~branch~second~one', 3],
      ['~branch~third~one', 4],
    ] as const) {
      const { stdout } = await project.run(['inspect', id]);
      const records = linesOf(stdout).filter(({ event }) => event === 'record');
      expect(records.map((record) => record['kid'])).toEqual(Array.from({ length: count }, () => kid));
    }
  });

  it('shows the keys in envelopes, and those in another database, and none for plain records', async () => {
    const project = await filledProject({});
    const { kid } = project.key;
    const keys = keyring({ current: project.key });
    await using dekStore = sqliteDekStore(project.path('keys.db'));
    const store = openSqlite(project.path('conversations.db'));
    const hello = { type: 'message' as const, role: 'user' as const, content: 'Hello' };
    await wrapStore(store, [encrypt({ keys, dekStore: 'inline' })])
      .session('inline')
      .addItems([hello]);
    await wrapStore(store, [encrypt({ keys, dekStore })])
      .session('apart')
      .addItems([hello]);
    await store.session('plain').addItems([hello]);
    await store.close();
    const config = configOf({ layers: `encrypt({ keys, dekStore: sqliteDekStore('keys.db') })` });
    await project.write(
      'strongroom.config.mjs',
      `import { sqliteDekStore } from 'strongroom/keys';\n${config}`,
    );
    const kidsOf = async (id: string): Promise<unknown[]> =>
      linesOf((await project.run(['inspect', id])).stdout)
        .filter(({ event }) => event === 'record')
        .map((record) => record['kid']);
    expect(await kidsOf('inline')).toEqual([kid]);
    expect(await kidsOf('apart')).toEqual([kid]);
    expect(await kidsOf('plain')).toEqual([undefined]);
  });

  it('shows the items when that is asked for, as an audited read', async () => {
    const project = await filledProject({ one: 2 });
    const running = project.terminal(['inspect', 'one', '--items', '--actor', 'anna', '--purpose', 'case 7']);
    const { code, stdout } = await running.finished;
    expect(code).toBe(0);
    expect(stdout).toContain(`${CANARY} 1`);
    expect(linesOf(await project.read('audit.jsonl'))).toMatchObject([
      { operation: 'getItems', sessionId: 'one', actor: 'anna', purpose: 'case 7', itemsOut: 2 },
    ]);
  });
});

describe('an id that the store does not have', () => {
  it('is said at the terminal by what looks at one session', async () => {
    const project = await filledProject({ one: 1 });
    const hint = 'two has no records in this store. "strongroom sessions" lists the ids.';
    for (const [command, exit] of [
      [['inspect'], 0],
      [['inspect', '--items'], 0],
      [['verify'], 3],
    ] as const) {
      const { code, stdout } = await project.terminal([...command, 'two']).finished;
      expect({ code, stdout }).toEqual({ code: exit, stdout: expect.stringContaining(hint) as string });
      expect((await project.terminal([...command, 'one']).finished).stdout).not.toContain('has no records');
    }
  });

  it('is a finding of what says that all of the session is well', async () => {
    const project = await filledProject({ one: 1 });
    const layers = 'encrypt({ keys, unsafeAllowPlaintext: { until: 4e12 } })';
    await project.write('migrating.mjs', configOf({ layers }));
    for (const command of [
      ['verify'],
      ['reencrypt', '--yes', '--grace', '0'],
      ['migrate', '-c', 'migrating.mjs'],
    ]) {
      const wrong = await project.run([...command, 'two']);
      expect(wrong.code).toBe(3);
      expect(linesOf(wrong.stdout).at(-1)).toEqual({ event: 'missing', id: 'two' });
      const right = await project.run([...command, 'one']);
      expect(right.code).toBe(0);
      expect(right.stdout).not.toContain('missing');
    }
    // A session that was erased is not there any more, and so is one that never was.
    expect((await project.run(['shred', 'two', '--yes'])).code).toBe(0);
    expect((await project.run(['erase', '--session', 'two', '--yes'])).code).toBe(0);
  });
});

describe('strongroom branches', () => {
  it('makes, lists, switches and deletes branches', async () => {
    const project = await filledProject({ one: 3 });
    expect((await project.run(['branches', 'create', 'one', 'second', '--turn', '3'])).code).toBe(0);
    expect((await project.run(['branches', 'switch', 'one', 'second'])).code).toBe(0);
    const { stdout } = await project.run(['branches', 'list', 'one']);
    expect(linesOf(stdout)).toMatchObject([
      { event: 'branch', name: 'main', current: false, items: 3 },
      { event: 'branch', name: 'second', current: true, items: 2, from: 'main' },
    ]);
    expect(stdout).not.toContain(CANARY);
    const shown = await project.terminal(['branches', 'list', 'one']).finished;
    expect(shown.stdout).toMatch(
      /^ {3}main {4}3 items {2}3 turns\s+\r\n\* {2}second {2}2 items {2}2 turns {2}from main · /,
    );
    const asked = project.terminal(['branches', 'delete', 'one', 'second', '--force']);
    await asked.shows('Type second to go on:');
    asked.type('second\r');
    expect((await asked.finished).code).toBe(0);
    const missing = await project.run(['branches', 'switch', 'one', 'third']);
    expect(missing.code).toBe(1);
    expect(linesOf(missing.stderr)).toMatchObject([{ code: 'ERR_INVALID_OPTION' }]);
  });

  it('says in a terminal what it did, and deletes without one only when told not to ask', async () => {
    const project = await filledProject({ one: 3 });
    const made = await project.terminal(['branches', 'create', 'one', 'second']).finished;
    expect(made).toMatchObject({ code: 0, stdout: 'Made the branch second of one.\r\n' });
    const switched = await project.terminal(['branches', 'switch', 'one', 'second']).finished;
    expect(switched).toMatchObject({ code: 0, stdout: 'The current branch of one is second.\r\n' });
    expect((await project.run(['branches', 'switch', 'one', 'main'])).code).toBe(0);
    expect((await project.run(['branches', 'delete', 'one', 'second'])).code).toBe(4);
    const deleted = await project.run(['branches', 'delete', 'one', 'second', '--yes']);
    expect(deleted.code).toBe(0);
    expect(linesOf(deleted.stdout)).toEqual([{ event: 'deleted', name: 'second' }]);
    expect(linesOf((await project.run(['branches', 'list', 'one'])).stdout)).toMatchObject([
      { name: 'main' },
    ]);
  });
});

describe('strongroom usage', () => {
  it('shows the tokens that runs of a session used', async () => {
    const project = await filledProject({});
    const session = project.store.session('one', { subject: 'person-7' });
    const usage = { inputTokens: 1_200, outputTokens: 30, totalTokens: 1_230 };
    const model = new ScriptedModel([
      modelResponse({
        output: [assistantMessage('Hello')],
        usage: new Usage({ requests: 1, ...usage }),
      }),
    ]);
    await recordUsage(session, await run(new Agent({ name: 'Desk', model }), 'Hello', { session }));
    for (const args of [['one'], ['--subject', 'person-7']]) {
      const { code, stdout } = await project.run(['usage', ...args]);
      expect(code).toBe(0);
      expect(linesOf(stdout)).toMatchObject([{ event: 'usage', runs: 1, ...usage }]);
    }
    const shown = await project.terminal(['usage', 'one']).finished;
    expect(shown.stdout.replaceAll('\r', '')).toContain('1 run\n');
    expect(shown.stdout).toMatch(/all +1,200 {2}30 {6}1,230/);
    expect(shown.stdout).toMatch(/agent Desk +1,200 {2}30 {6}1,230/);
  });
});

describe('wrong use', () => {
  it.each([
    [['unknown'], "unknown command 'unknown'"],
    [['sessions', '--unknown'], "unknown option '--unknown'"],
    [['usage'], 'usage: give either a session or --subject.'],
    [['erase'], 'erase: give either --subject or --session.'],
    [['inspect', 'one', '--last', '0'], '--last must be a whole number from 1.'],
  ])('of %j is exit code 2, with the reason', async (args, reason) => {
    const project = await filledProject({});
    const { code, stdout, stderr } = await project.run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(reason);
  });
});

describe('docs/cli.md', () => {
  it('has every command of the help', async () => {
    const project = await filledProject({});
    const { code, stdout } = await project.run(['--help']);
    expect(code).toBe(0);
    const commands = [...stdout.matchAll(/^ {2}(?<name>[a-z]+) /gm)].map(({ groups }) => groups?.['name']);
    expect(commands.length).toBeGreaterThan(20);
    const paper = await readFile('docs/cli.md', 'utf8');
    expect(commands.filter((name) => name !== 'help' && !paper.includes(`\`${name}`))).toEqual([]);
  });
});
