import { cp, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { linesOf } from '../support/built-cli.ts';
import { filledProject } from '../support/cli-project.ts';

describe('strongroom sessions', () => {
  it('lists every session with its counts, without any key', async () => {
    const project = await filledProject({ one: 3, two: 1 }, { subject: 'person-7' });
    await rm(project.path('key.json'));
    const { code, stdout, stderr } = await project.run(['sessions', '--subject', 'person-7']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const stored: unknown[] = [];
    for await (const summary of project.store.sessions()) stored.push({ event: 'session', ...summary });
    const lines = linesOf(stdout);
    expect(lines.slice(0, -1)).toEqual(stored);
    expect(lines.at(-1)).toMatchObject({ event: 'sum', sessions: 2, items: 4 });
    expect(linesOf((await project.run(['sessions', '--subject', 'other'])).stdout)).toEqual([
      { event: 'sum', sessions: 0, items: 0, bytes: 0 },
    ]);
  });

  it('is a call on the store: audited under the name that was given', async () => {
    const project = await filledProject({ one: 1 });
    await project.run(['sessions', '--actor', 'anna', '--purpose', 'on call']);
    expect(linesOf(await project.read('audit.jsonl'))).toMatchObject([
      { operation: 'sessions', actor: 'anna', purpose: 'on call', outcome: 'success' },
    ]);
  });

  it('works for a user without a name, as in a container', async () => {
    const project = await filledProject({ one: 1 });
    const nameless = `import os from 'node:os'; import { syncBuiltinESMExports } from 'node:module';
      os.userInfo = () => { throw Object.assign(new Error('uv_os_get_passwd'), { code: 'ENOENT' }); };
      syncBuiltinESMExports();`;
    await project.write('nameless.mjs', nameless);
    const env = { NODE_OPTIONS: `--import=${pathToFileURL(project.path('nameless.mjs')).href}` };
    expect(await project.run(['sessions'], { env })).toMatchObject({ code: 0, stderr: '' });
    expect(linesOf(await project.read('audit.jsonl'))).toMatchObject([
      { actor: `uid-${process.getuid?.()}` },
    ]);
  });

  it('shows ids in a terminal without the control characters that their writer put into them', async () => {
    const project = await filledProject({ 'one\u001b[2J\u202e': 1 });
    const { code, stdout } = await project.terminal(['sessions']).finished;
    expect(code).toBe(0);
    expect(stdout).toContain(String.raw`one\u001b[2J\u202e  1 item · `);
    expect(stdout).toContain('1 session, 1 item, ');
  });
});

describe('a damaged record', () => {
  it('is reported, and hides no other session', async () => {
    const project = await filledProject({ one: 2, two: 3 });
    const database = new DatabaseSync(project.path('conversations.db'));
    const { changes } = database
      .prepare(
        `UPDATE strongroom_items SET body = 'damaged{' WHERE key = (SELECT min(key) FROM strongroom_items)`,
      )
      .run();
    database.close();
    expect(changes).toBe(1);
    const verified = await project.run(['verify']);
    expect(verified.code).toBe(3);
    expect(linesOf(verified.stdout)).toEqual([
      { event: 'failure', sessionId: 'one', code: 'ERR_MALFORMED' },
      { event: 'result', sessions: 2, records: 3, shredded: 0, failed: 1 },
    ]);
    const inspected = await project.run(['inspect', 'one']);
    expect(linesOf(inspected.stdout).map(({ kind }) => kind)).toEqual(['damaged', 'sealed', undefined]);
    const looked = await project.run(['doctor']);
    expect(looked.code).toBe(3);
    expect(linesOf(looked.stdout)).toContainEqual(
      expect.objectContaining({
        level: 'error',
        check: 'drift.damaged',
        what: expect.stringContaining('one') as string,
      }),
    );
  });
});

describe('an error on a terminal', () => {
  it('shows control characters of an id as escapes', async () => {
    const project = await filledProject({});
    const { code, stdout } = await project.terminal(['export', 'a\u009b31m\u061cb', '--out', 'x']).finished;
    expect(code).toBe(2);
    expect(stdout).toContain(String.raw`export: there is no session "a\u009b31m\u061cb" with items.`);
  });
});

describe('a configuration', () => {
  it('of another copy of the package is refused, because layers are known by identity', async () => {
    const project = await filledProject({});
    const other = project.path('other');
    await cp(
      await realpath(project.path('node_modules/strongroom')),
      join(other, 'node_modules/strongroom'),
      {
        recursive: true,
        verbatimSymlinks: true,
      },
    );
    await project.write('other/strongroom.config.mjs', await project.read('strongroom.config.mjs'));
    const { code, stderr } = await project.run(['sessions', '-c', 'other/strongroom.config.mjs']);
    expect(code).toBe(2);
    expect(stderr).toContain(
      'uses another copy of strongroom than this command. Run the one of the project: npx strongroom.',
    );
  });

  it('that fails over a secret is refused without showing the secret', async () => {
    const project = await filledProject({});
    await project.write('strongroom.config.mjs', `export default JSON.parse('hunter2-is-secret');`);
    const { code, stderr } = await project.run(['sessions']);
    expect(code).toBe(2);
    expect(stderr).toContain('cannot be loaded: SyntaxError: a text is not valid JSON.');
    expect(stderr).not.toContain('hunter2');
  });

  it('is needed, and the message says how to make one', async () => {
    const project = await filledProject({});
    await rm(project.path('strongroom.config.mjs'));
    const { code, stderr } = await project.run(['sessions']);
    expect(code).toBe(2);
    expect(linesOf(stderr)).toEqual([
      {
        event: 'error',
        code: 'USAGE',
        message:
          'This folder has no strongroom.config.ts (or .mts, .mjs, .js). Make one with "strongroom init", or name it with --config.',
      },
    ]);
  });

  it('can be TypeScript', async () => {
    const project = await filledProject({ one: 1 });
    await project.write(
      'other.config.ts',
      `import { defineConfig } from 'strongroom/config';
       import { openSqlite } from 'strongroom/sqlite';
       const path: string = 'conversations.db';
       export default defineConfig({ store: () => openSqlite(path) });`,
    );
    const { code, stdout } = await project.run(['sessions', '-c', 'other.config.ts']);
    expect(code).toBe(0);
    expect(linesOf(stdout)).toMatchObject([{ id: 'one', items: 1 }, { event: 'sum' }]);
  });

  it('that Node.js takes for CommonJS is refused, with what to do', async () => {
    const project = await filledProject({});
    await project.write('package.json', '{ "type": "commonjs" }');
    await project.write('strongroom.config.ts', 'export default 1;');
    const { code, stderr } = await project.run(['sessions']);
    expect(code).toBe(2);
    expect(linesOf(stderr)).toEqual([
      {
        event: 'error',
        code: 'USAGE',
        message: expect.stringMatching(
          /strongroom\.config\.ts is CommonJS for Node\.js, .* Rename it to end in \.mts, or set "type": "module"\.$/,
        ) as string,
      },
    ]);
  });

  it('that exports something else is refused', async () => {
    const project = await filledProject({});
    await project.write('strongroom.config.mjs', 'export default {};');
    const { code, stderr } = await project.run(['sessions']);
    expect(code).toBe(2);
    expect(stderr).toContain(
      'has no configuration as its default export. Write: export default defineConfig({ … }).',
    );
  });
});
