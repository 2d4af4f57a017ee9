import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { TESTED_SDK } from '../../src/cli/doctor/sdk.ts';
import { derivedId } from '../../src/derived-id.ts';
import { encrypt, generateKey, keyring, redact, wrapSession, wrapStore } from '../../src/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { linesOf, type Finished } from '../support/built-cli.ts';
import { CANARY, configOf, filledProject } from '../support/cli-project.ts';

const DAY = 86_400_000;
const CALM = `retention: { expired: true }, run: { tracingDisabled: true, modelSettings: { store: false } },`;

function findingsOf({ stdout }: Finished): unknown[] {
  return linesOf(stdout)
    .filter(({ event }) => event === 'finding')
    .map(({ level, check }) => `${String(level)} ${String(check)}`);
}

describe('strongroom doctor', () => {
  it('finds nothing but the documented default in a store that is well', async () => {
    const project = await filledProject({ one: 2 }, { rest: CALM });
    const done = await project.run(['doctor', '--all']);
    expect(done.code).toBe(0);
    expect(findingsOf(done)).toEqual(['note database.settings']);
    expect(linesOf(done.stdout).at(-1)).toEqual({ event: 'result', errors: 0, warnings: 0, notes: 1 });
    expect(done.stdout + done.stderr).not.toContain(CANARY);
    const shown = await project.terminal(['doctor']).finished;
    expect(shown.stdout).toContain('0 errors, 0 warnings, 1 note.');
    expect(shown.stdout).toContain("Open the store with durability: 'full' if they must survive.");
  });

  it('finds a stored key that nobody can open, and one that is not the current one', async () => {
    const project = await filledProject({ one: 1 }, { rest: CALM });
    await project.write('new.json', JSON.stringify(await generateKey()));
    const rotated = {
      keys: `{ current: { file: 'new.json' }, previous: [{ file: 'key.json' }] }`,
      rest: CALM,
    };
    await project.write('strongroom.config.mjs', configOf(rotated));
    expect(findingsOf(await project.run(['doctor']))).toContain('note keys.old');
    await project.write(
      'strongroom.config.mjs',
      configOf({ keys: `{ current: { file: 'new.json' } }`, rest: CALM }),
    );
    const done = await project.run(['doctor']);
    expect(done.code).toBe(3);
    expect(linesOf(done.stdout)[1]).toEqual({
      event: 'finding',
      level: 'error',
      check: 'keys.unknown',
      what: `1 data key of 1 session need the key ${project.key.kid}, which the configuration cannot use (ERR_KEY_UNKNOWN).`,
      next: 'Add the key to keys.previous from a backup. Without it these sessions cannot be read.',
    });
  });

  it('notes data keys that a configuration with public keys only cannot open, which can be meant', async () => {
    const project = await filledProject(
      { one: 1 },
      { key: await generateKey({ alg: 'ECDH-ES+A256KW' }), rest: CALM },
    );
    const { d: _privateHalf, ...publicHalf } = project.key;
    await project.write('key.json', JSON.stringify(publicHalf));
    const done = await project.run(['doctor']);
    expect(done.code).toBe(0);
    expect(findingsOf(done)).toContain('note keys.writeOnly');
    expect(linesOf(done.stdout)).toContainEqual({
      event: 'finding',
      level: 'note',
      check: 'keys.publicOnly',
      what: `1 data key of 1 session need the key ${project.key.kid}, of which the configuration has the public half only.`,
      next: 'Nothing, if that is meant. To read them, put the private JWK in its place.',
    });
    const read = await project.run(['inspect', 'one', '--items']);
    expect(read.code).toBe(1);
  });

  it('finds that nothing has purged for longer than the shortest period, and what is due', async () => {
    const project = await filledProject(
      { one: 2 },
      { at: Date.now() - 61 * DAY, rest: CALM.replace('true', `'30d'`) },
    );
    expect(findingsOf(await project.run(['doctor']))).toContain('error retention.overdue');
    await project.run(['purge', '--yes']);
    expect(findingsOf(await project.run(['doctor']))).toEqual(['note database.settings']);
  });

  it('finds items that the purge of today is to delete', async () => {
    const project = await filledProject({ one: 2 }, { at: Date.now() - 31 * DAY, rest: CALM });
    const done = await project.run(['doctor']);
    expect(done.code).toBe(0);
    expect(findingsOf(done)).toContain('note retention.due');
  });

  it('finds plain items where the configuration encrypts, and items without an expiry', async () => {
    const project = await filledProject({ one: 1 }, { rest: CALM });
    await openSqlite(project.path('conversations.db'))
      .session('old')
      .addItems([{ role: 'user', content: 'plain' }]);
    const done = await project.run(['doctor']);
    expect(findingsOf(done)).toEqual(
      expect.arrayContaining(['error drift.plain', 'warning drift.unstamped']),
    );
    expect(done.stdout).toContain('such as old: old ones, or inserted ones.');
  });

  it('finds a vault that does not expire, and one in clear', async () => {
    const project = await filledProject({}, { rest: CALM });
    const key = new Uint8Array(32).fill(7);
    const base = openSqlite(project.path('conversations.db'));
    const keys = keyring({ current: project.key });
    const operators = { DEFAULT: { type: 'pseudonymize', key } } as const;
    for (const [id, layers] of [
      ['sealed', [encrypt({ keys })]],
      ['clear', []],
    ] as const) {
      const vault = wrapSession(
        base.session(derivedId({ kind: 'vault', of: id }), { derived: true }),
        layers,
      );
      const store = wrapStore(base, [redact({ operators, vault }), encrypt({ keys })]);
      await store.session(id).addItems([{ role: 'user', content: 'mail anna@example.com' }]);
    }
    const done = await project.run(['doctor']);
    expect(findingsOf(done)).toEqual(expect.arrayContaining(['error vault.plain', 'warning vault.endless']));
    expect(done.stdout).toContain('such as ~vault~~clear.');
    expect(done.stdout).not.toContain('anna@example.com');
  });

  it('finds a missing index', async () => {
    const project = await filledProject({ one: 1 }, { rest: CALM });
    await project.store.close();
    const database = new DatabaseSync(project.path('conversations.db'));
    database.exec('DROP INDEX strongroom_sessions_expiry');
    database.close();
    const done = await project.run(['doctor']);
    expect(findingsOf(done)).toContain('warning database.indexes');
    expect(done.stdout).toContain('lacks indexes of the schema: strongroom_sessions_expiry.');
  });

  it.each([
    ['encrypt({ keys }), expire({ after: "30d" })', 'error stack.order'],
    ['expire({ after: "30d" })', 'warning stack.encrypt'],
    ['encrypt({ keys, unsafeAllowPlaintext: { until: "2999-01-01" } })', 'warning stack.plaintext'],
    [
      '{ name: "authorize", around: (call, next) => next() }, audit({ sink() {} }), encrypt({ keys })',
      'warning stack.order',
    ],
  ])('looks at the stack %s', async (layers, finding) => {
    const project = await filledProject({}, { rest: CALM });
    // Only its own audit() and authorize() count.
    await project.write(
      'strongroom.config.mjs',
      configOf({ layers, rest: CALM }).replace(/ {4}audit\(.*\n {4}ending,\n/, ''),
    );
    const done = await project.run(['doctor']);
    expect(done.code).toBe(3);
    expect(findingsOf(done)).toContain(finding);
  });

  it('finds settings of runs and of the environment that copy content', async () => {
    const project = await filledProject({}, { rest: 'run: {},' });
    const env = { OPENAI_AGENTS_DONT_LOG_MODEL_DATA: '0' };
    expect(findingsOf(await project.run(['doctor'], { env }))).toEqual(
      expect.arrayContaining([
        'warning copies.tracing',
        'warning copies.store',
        'warning copies.logs',
        'warning retention.none',
      ]),
    );
    await project.write('strongroom.config.mjs', configOf());
    expect(findingsOf(await project.run(['doctor']))).toContain('warning copies.run');
  });

  it('finds an SDK outside of the tested range, and the tested one is the one of this repository', async () => {
    const { version } = JSON.parse(readFileSync('node_modules/@openai/agents/package.json', 'utf8')) as {
      version: string;
    };
    expect(version.startsWith(`${TESTED_SDK}.`)).toBe(true);
    const project = await filledProject({}, { rest: CALM });
    await rm(project.path('node_modules/@openai/agents'));
    expect(findingsOf(await project.run(['doctor']))).toContain('note sdk.missing');
  });
});
