import { stat } from 'node:fs/promises';
import { generateKeyPair, exportJWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { eraseSession } from '../../src/operations/retention.ts';
import { linesOf } from '../support/built-cli.ts';
import { CANARY, filledProject } from '../support/cli-project.ts';

const DAY = 86_400_000;
const AUDITED = `retention: { expired: true }, auditLog: 'audit.jsonl',`;

describe('strongroom report', () => {
  it('prints all numbers as one line of JSON, and fails with 3 where something is wrong', async () => {
    const project = await filledProject(
      { one: 3, two: 2 },
      { rest: AUDITED, subject: 'p', at: Date.now() - 40 * DAY },
    );
    await project.store
      .session('~branch~b~one', { derived: true })
      .addItems([{ role: 'user', content: CANARY }]);
    await project.run(['sessions', '--actor', 'anna']);
    const { code, stdout, stderr } = await project.run(['report', '--name', 'staging']);
    expect(code).toBe(3);
    const [report = {}] = linesOf(stdout);
    expect(report).toMatchObject({
      event: 'report',
      type: 'strongroom/report',
      name: 'staging',
      totals: { conversations: 2, sessions: 3, items: 6, subjects: 1 },
      overdue: 6,
      keys: { keys: [{ state: 'current', opens: true, records: 6 }] },
      log: { calls: { success: 1, byActor: [{ name: 'anna' }] } },
    });
    expect(linesOf(stderr).every(({ event }) => event === 'progress')).toBe(true);
    expect(stdout + stderr).not.toContain(CANARY);
    expect(linesOf(await project.read('audit.jsonl')).map(({ operation }) => operation)).toEqual([
      'sessions',
      'report',
    ]);
  });

  it('shows findings in a terminal, and writes a page that only its owner can read', async () => {
    const project = await filledProject({ one: 1 }, { subject: 'p' });
    const { code, stdout } = await project.terminal(['report', '--out', 'report.html']).finished;
    expect(code).toBe(0);
    expect(stdout.replaceAll('\r', '')).toContain('1 conversation, 1 item.\nnotice   No audit log was given');
    expect(stdout).toContain('good     The one record that holds content is sealed.');
    expect(stdout).toContain('Wrote report.html.');
    const page = await project.read('report.html');
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).not.toContain(CANARY);
    expect((await stat(project.path('report.html'))).mode & 0o777).toBe(0o600);
    // Again, over the earlier page; and not over anything else.
    expect((await project.run(['report', '--out', 'report.html'])).code).toBe(0);
    const refused = await project.run(['report', '--out', 'key.json']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(
      'report: key.json exists and is no report. Choose another name for --out.',
    );
    expect(JSON.parse(await project.read('key.json'))).toMatchObject({ kty: 'oct' });
    await project.write('page.html', '<!doctype html>\n<title>Of somebody else</title>\n');
    for (const other of ['page.html', '.'])
      expect(await project.run(['report', '--out', other])).toMatchObject({ code: 2, stdout: '' });
    expect(await project.read('page.html')).toContain('Of somebody else');
  });

  it('checks the receipts of a folder by a public key, without any other key', async () => {
    const project = await filledProject({ gone: 2, stays: 1 }, { subject: 'p' });
    const { privateKey, publicKey } = await generateKeyPair('Ed25519', { extractable: true });
    const { receipt = '' } = await eraseSession(project.store, 'gone', {
      receiptKey: await exportJWK(privateKey),
    });
    await project.write('receipt.jws', receipt);
    await project.write('public.json', JSON.stringify(await exportJWK(publicKey)));
    const given = ['report', '--keyless', '--receipts', 'receipt.jws'];
    const checked = await project.run([...given, '--receipt-key', 'public.json'], { env: {} });
    expect(checked.code).toBe(0);
    expect(linesOf(checked.stdout)[0]).toMatchObject({
      erasures: [
        { name: 'receipt.jws', signature: 'verified', sessionId: 'gone', records: 2, foundAgain: 0 },
      ],
    });
    const keys = (linesOf(checked.stdout)[0] as { keys: { keys: object[] } }).keys.keys;
    expect(keys).toHaveLength(1);
    expect(keys[0]).not.toHaveProperty('state');
    expect(linesOf((await project.run(given)).stdout)[0]).toMatchObject({
      erasures: [{ signature: 'unchecked' }],
    });
    const wrong = await project.run(['report', '--receipts', 'nowhere']);
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
    expect(wrong.stderr).toContain('report: nowhere does not exist. Correct --receipts.');
  });
});
