import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { encrypt, generateKey, keyring, wrapStore } from '../../src/index.ts';
import { branches } from '../../src/history/branches.ts';
import { MAINTENANCE } from '../../src/session-contract.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { linesOf } from '../support/built-cli.ts';
import {
  CANARY,
  configOf,
  endedAndRepeated,
  filledProject,
  manySessions,
  type FilledProject,
} from '../support/cli-project.ts';

const DAY = 86_400_000;

function openCopy(project: FilledProject, name: string): ReturnType<typeof wrapStore> {
  return wrapStore(openSqlite(project.path(name)), [encrypt({ keys: keyring({ current: project.key }) })]);
}

describe('strongroom export and import', () => {
  it('copy sessions in clear, with the times at which their items were written', async () => {
    const at = Date.now() - 10 * DAY;
    const project = await filledProject({ one: 3, two: 1 }, { subject: 'person-7', at });
    const exported = await project.run(['export', '--subject', 'person-7', '--out', 'out.jsonl']);
    expect(exported.code).toBe(0);
    expect(linesOf(exported.stdout)).toEqual([
      { event: 'result', sessions: 2, written: 2, file: 'out.jsonl' },
    ]);
    expect(exported.stdout + exported.stderr).not.toContain(CANARY);
    expect((await stat(project.path('out.jsonl'))).mode & 0o777).toBe(0o600);
    const [head, first] = linesOf(await project.read('out.jsonl'));
    expect(head).toEqual({ type: 'strongroom/exports', version: 1, ids: [], subject: 'person-7' });
    expect(first).toMatchObject({
      sessionId: 'one',
      open: true,
      subject: 'person-7',
      details: [{ at }, { at }, { at }],
    });
    expect(JSON.stringify(first)).toContain(`${CANARY} 2`);

    const env = { DATABASE: 'copy.db' };
    const imported = await project.run(['import', 'out.jsonl'], { env });
    expect(imported.code).toBe(0);
    expect(linesOf(imported.stdout)).toEqual([
      { event: 'result', sessions: 2, written: 4, already: 0, conflicts: 0 },
    ]);
    const shown = await project.run(['inspect', 'one', '--items'], { env });
    expect(linesOf(shown.stdout)).toMatchObject(
      [0, 1, 2].map((index) => ({ at, item: { content: `${CANARY} ${index}` } })),
    );
    const copy = openCopy(project, 'copy.db');
    expect(await copy.session('one').getItems()).toEqual(await project.store.session('one').getItems());
    const subjects: unknown[] = [];
    for await (const { subject } of copy.sessions()) subjects.push(subject);
    expect(subjects).toEqual(['person-7', 'person-7']);
  });

  it('finish when they are started again after they were killed', async () => {
    const project = await filledProject(manySessions(8, 2));
    const exporting = ['export', '--all', '--out', 'out.jsonl'];
    const one = await endedAndRepeated(project, exporting, { kind: 'exportSession', at: 4, by: 'SIGKILL' });
    expect(one.ended.signal).toBe('SIGKILL');
    expect(linesOf(one.repeated.stdout)).toMatchObject([{ sessions: 8, written: 5 }]);
    expect(linesOf(one.repeated.stderr).at(-1)).toMatchObject({ done: 8, total: 8 });
    expect(linesOf(await project.read('out.jsonl'))).toHaveLength(9);

    const env = { DATABASE: 'copy.db' };
    const ending = { END_KIND: 'addItems', END_AT: '4', END_BY: 'SIGKILL', ...env };
    expect((await project.run(['import', 'out.jsonl'], { env: ending })).signal).toBe('SIGKILL');
    const repeated = await project.run(['import', 'out.jsonl'], { env });
    expect(linesOf(repeated.stdout)).toMatchObject([{ sessions: 8, written: 10, already: 6, conflicts: 0 }]);
    expect(linesOf((await project.run(['import', 'out.jsonl'], { env })).stdout)).toMatchObject([
      { written: 0, already: 16 },
    ]);
  });

  it('warn of the notes on branches, which are not in an export', async () => {
    const project = await filledProject({ one: 2 });
    await branches(project.store, 'one').create('alt');
    const { code, stderr } = await project.run(['export', '--all', '--out', 'out.jsonl']);
    expect(code).toBe(0);
    expect(linesOf(stderr)).toContainEqual({
      event: 'warning',
      code: 'NOT_EXPORTED',
      message: expect.stringContaining('The notes on branches are not in an export') as string,
    });
  });

  it('keep characters that other readers of lines split at', async () => {
    const project = await filledProject({});
    const content = 'one\u2028two\u2029three\rfour\r\nfive';
    await project.store.session('one').addItems([{ role: 'user', content }]);
    expect((await project.run(['export', 'one', '--out', 'out.jsonl'])).code).toBe(0);
    const imported = await project.run(['import', 'out.jsonl'], { env: { DATABASE: 'copy.db' } });
    expect(imported).toMatchObject({ code: 0, stderr: expect.not.stringContaining('error') as string });
    expect(await openCopy(project, 'copy.db').session('one').getItems()).toMatchObject([{ content }]);
  });

  it('refuse a file that holds something else, before anything is written', async () => {
    const project = await filledProject({});
    const head = '{"type":"strongroom/exports","version":1}\n';
    for (const text of ['', 'null\n', '{}\n', `${head}null\n`, `${head}{"sessionId":7}\n`, `${head}{"ses`]) {
      await project.write('other.jsonl', text);
      const { code, stderr } = await project.run(['import', 'other.jsonl']);
      expect({ text, code, errors: linesOf(stderr) }).toEqual({
        text,
        code: 2,
        errors: [
          {
            event: 'error',
            code: 'USAGE',
            message: 'other.jsonl is not a file that export wrote, or is damaged.',
          },
        ],
      });
    }
  });

  it('say that a file could not be written whole, and continue it', async () => {
    const project = await filledProject({ big: 2_000 });
    const main = project.path('node_modules/strongroom/dist/cli/main.js');
    const exporting = ['export', 'big', '--out', 'out.jsonl'];
    // A file of more than 100 KiB is refused in the middle, as on a full disk.
    const limited = await promisify(execFile)(
      'sh',
      ['-c', 'ulimit -f 200; exec "$@"', 'sh', process.execPath, main, ...exporting],
      { cwd: project.folder },
    ).catch((error: unknown) => error as { code: number; stdout: string; stderr: string });
    expect(limited).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('EFBIG') as string,
    });
    expect((await project.run(exporting)).code).toBe(0);
    expect(linesOf(await project.read('out.jsonl'))[1]?.['items']).toHaveLength(2_000);
  });

  it('leave a session with other items alone, and say so in a terminal', async () => {
    const project = await filledProject({ one: 1 });
    const exported = await project.terminal(['export', 'one', '--out', 'out.jsonl']).finished;
    expect(exported.code).toBe(0);
    expect(exported.stdout).toContain('[####################] 1 of 1 sessions · ');
    expect(exported.stdout).toContain('Exported 1 session in clear to out.jsonl.');
    expect(exported.stdout).not.toContain(CANARY);
    const copy = openCopy(project, 'copy.db');
    await copy.session('one').addItems([{ role: 'user', content: 'another' }]);
    await project.write('copy.config.mjs', configOf({ layers: 'encrypt({ keys })' }));
    const running = project.terminal(['import', 'out.jsonl', '-c', 'copy.config.mjs'], {
      env: { DATABASE: 'copy.db' },
    });
    const { code, stdout } = await running.finished;
    expect(code).toBe(3);
    expect(stdout).toContain('one holds other items, and was left as it is.');
    expect(await copy.session('one').getItems()).toMatchObject([{ content: 'another' }]);
    const again = await project.terminal(['export', 'one', '--out', 'out.jsonl']).finished;
    expect(again.code).toBe(2);
    expect(again.stdout).toContain('The file out.jsonl exists. Name a new one.');
  });
});

describe('strongroom transfer', () => {
  it('copies sealed sessions without a key, and finishes when it is started again after it was killed', async () => {
    const project = await filledProject(manySessions(8, 2), { keys: `{ current: { env: 'NO_SUCH' } }` });
    const { ended, repeated } = await endedAndRepeated(project, ['transfer', '--to-file', 'copy.db'], {
      kind: 'transfer',
      at: 4,
      by: 'SIGKILL',
    });
    expect(ended.signal).toBe('SIGKILL');
    expect(repeated.code).toBe(0);
    expect(linesOf(repeated.stdout)).toMatchObject([{ event: 'result', sessions: 8, items: 10 }]);
    expect(linesOf(repeated.stderr).at(-1)).toMatchObject({ done: 8, total: 8 });
    const copy = openCopy(project, 'copy.db');
    expect(await copy.session('session-7').getItems()).toHaveLength(2);
  });

  it('takes the configuration of the target, and shows its progress in a terminal', async () => {
    const project = await filledProject({ one: 1, two: 2 });
    await project.write('to.config.mjs', configOf().replace("'conversations.db'", "'copy.db'"));
    const { code, stdout } = await project.terminal(['transfer', '--to', 'to.config.mjs']).finished;
    expect(code).toBe(0);
    expect(stdout).toContain('[####################] 2 of 2 sessions · ');
    expect(stdout).toContain('2 sessions are equal in both stores; 3 items were written now.');
  });
});

describe('the audit log of a command', () => {
  const config = configOf().replace(
    /sink: .*/,
    `sink: async (event) => {
      await new Promise((resolve) => setImmediate(resolve));
      appendFileSync((process.env.AUDIT ?? 'slow') + '.jsonl', JSON.stringify(event) + '\\n');
    } }),`,
  );

  it('has the events of the target of a transfer', async () => {
    const project = await filledProject({ one: 1 });
    await project.write(
      'to.config.mjs',
      config.replace("'conversations.db'", "'copy.db'").replace("'slow'", "'target'"),
    );
    expect((await project.run(['transfer', '--to', 'to.config.mjs', '--actor', 'anna'])).code).toBe(0);
    const operations = linesOf(await project.read('target.jsonl')).map(({ actor, operation }) => [
      actor,
      operation,
    ]);
    expect(operations).toEqual([
      ['anna', 'transfer'],
      ['anna', 'transfer'],
    ]);
  });

  it('has the read of content whose reader ended early', async () => {
    const project = await filledProject({ one: 2_000 });
    await project.write('strongroom.config.mjs', config);
    const running = project.start(['inspect', 'one', '--items', '--last', '2000', '--actor', 'eve']);
    running.process.stdout?.destroy();
    expect((await running.finished).code).toBe(0);
    expect(linesOf(await project.read('slow.jsonl'))).toMatchObject([{ actor: 'eve', outcome: 'success' }]);
  });
});

describe('a command whose reader ended early', () => {
  it('keeps its exit code', async () => {
    const project = await filledProject({ one: 1 });
    const running = project.start(['doctor']);
    running.process.stdout?.destroy();
    expect((await running.finished).code).toBe(3);
  });

  it('does the rest of its work when nobody reads its progress', async () => {
    const project = await filledProject(manySessions(4, 1));
    const before = await keysOf(project);
    const running = project.start(['reencrypt', '--yes', '--grace', '0']);
    running.process.stderr?.destroy();
    const { code, stdout } = await running.finished;
    expect(linesOf(stdout)).toMatchObject([{ event: 'result', sessions: 4, destroyed: 4 }]);
    expect(code).toBe(0);
    expect(await keysOf(project)).not.toEqual(before);
  });
});

async function keysOf({ store }: FilledProject): Promise<string[]> {
  const found: string[] = [];
  for await (const { did, wrapped } of store[MAINTENANCE]?.dekStore.list() ?? [])
    if (wrapped !== '') found.push(did);
  return found;
}

describe('strongroom migrate', () => {
  it('seals plain items, and finishes when it is started again after it was killed', async () => {
    const project = await filledProject(
      {},
      {
        layers: `encrypt({ keys, unsafeAllowPlaintext: { until: '2999-01-01' } })`,
      },
    );
    const plain = openSqlite(project.path('conversations.db'));
    for (let index = 0; index < 6; index++)
      await plain.session(`session-${index}`).addItems([{ role: 'user', content: CANARY }]);
    const { ended, repeated } = await endedAndRepeated(project, ['migrate'], {
      kind: 'migrate',
      at: 3,
      by: 'SIGKILL',
    });
    expect(ended.signal).toBe('SIGKILL');
    expect(linesOf(repeated.stdout)).toEqual([
      { event: 'result', sessions: 6, sealed: 4, already: 2, held: 0 },
    ]);
    expect(linesOf(repeated.stderr).at(-1)).toMatchObject({ done: 6, total: 6 });
    expect(JSON.stringify(await plain.session('session-0').getItems())).not.toContain(CANARY);
    const shown = await project.terminal(['migrate']).finished;
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain('Sealed 0 items of 6 sessions; 6 items were sealed before.');
  });
});

describe('strongroom init', () => {
  it('writes a configuration that works at once, with a key that git does not see', async () => {
    const project = await filledProject({});
    await rm(project.path('strongroom.config.mjs'));
    await project.write('.gitignore', 'node_modules');
    await project.run(['keygen', '--out', 'unused.json']);
    const { code, stdout } = await project.terminal(['init']).finished;
    expect(code).toBe(0);
    expect(stdout).toContain('Wrote strongroom.config.ts and the key strongroom.key.json.');
    expect(await project.read('.gitignore')).toBe('node_modules\nstrongroom.key.json\n');
    expect((await stat(project.path('strongroom.key.json'))).mode & 0o777).toBe(0o600);
    const listed = await project.run(['verify', '-c', 'strongroom.config.ts']);
    expect(listed).toMatchObject({ code: 0, stderr: expect.not.stringContaining('error') as string });
    const again = await project.run(['init']);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('init: strongroom.config.ts exists, and is left as it is.');
  });

  it('writes nothing beside another configuration, for an unknown store, or over a key that cannot be used', async () => {
    const project = await filledProject({});
    const there = await project.run(['init']);
    expect(there.code).toBe(2);
    expect(there.stderr).toContain('init: strongroom.config.mjs exists, and is left as it is.');
    await rm(project.path('strongroom.config.mjs'));
    const unknown = await project.run(['init', '--store', 'constructor']);
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain('init: --store must be one of sqlite, postgres, mysql, redis.');
    await project.write('strongroom.key.json', '');
    const damaged = await project.run(['init']);
    expect(damaged.code).not.toBe(0);
    expect(damaged.stderr).toContain('strongroom.key.json');
    expect(await readdir(project.folder)).not.toContain('strongroom.config.ts');
  });

  it('hides the key from git in a folder without a .gitignore, which may become one of git later', async () => {
    const project = await filledProject({});
    await rm(project.path('strongroom.config.mjs'));
    await mkdir(project.path('packages/app'), { recursive: true });
    const { code } = await project.run(['init'], { folder: 'packages/app' });
    expect(code).toBe(0);
    expect(await project.read('packages/app/.gitignore')).toBe('strongroom.key.json\n');
  });

  it('writes one that works in a folder that npm init made, whose package.json says commonjs', async () => {
    const project = await filledProject({});
    await project.write('package.json', '{ "type": "commonjs" }');
    await rm(project.path('strongroom.config.mjs'));
    const { code, stdout } = await project.terminal(['init']).finished;
    expect(code).toBe(0);
    expect(stdout).toContain('Wrote strongroom.config.mjs and the key strongroom.key.json.');
    expect((await project.run(['verify'])).code).toBe(0);
  });
});

describe('a key', () => {
  it('is never in the output of a command whose configuration cannot use it', async () => {
    const project = await filledProject({ one: 1 });
    const secret = await generateKey();
    await project.write('key.json', JSON.stringify({ ...secret, alg: 'none' }));
    const { code, stdout, stderr } = await project.run(['verify']);
    expect(code).toBe(2);
    expect(linesOf(stderr)).toMatchObject([{ event: 'error', code: 'ERR_INVALID_OPTION' }]);
    expect(stdout + stderr).not.toContain(secret.k);
    await project.write('key.json', secret.k as string);
    const broken = await project.run(['verify']);
    expect(broken.stderr).toContain('does not hold a JWK in JSON');
    expect(broken.stderr).not.toContain(secret.k);
  });
});
