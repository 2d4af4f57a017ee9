/** A report for a compliance review, as one page of HTML and as numbers. */
import './support/offline.ts';
import { mkdtemp, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { audit, encrypt, expire, keyring, redact, wrapStore } from 'strongroom';
import { auditFile, auditLines, complianceReport, renderReport } from 'strongroom/report';
import { openSqlite } from 'strongroom/sqlite';

const folder = await mkdtemp(join(tmpdir(), 'strongroom-report-'));
const at = (name: string): string => join(folder, name);

// #region report
const log = auditFile(at('audit.jsonl'));
const events = audit({ sink: log });
const keys = keyring({ current: JSON.parse(process.env['STRONGROOM_KEY'] ?? '') });
const sessions = wrapStore(openSqlite(at('conversations.db')), [
  events,
  redact({ onRedaction: (report) => log.redaction(report) }),
  expire({ after: '30d' }),
  encrypt({ keys }),
]);
await sessions.session('user-123', { subject: 'person-7' }).addItems([{ role: 'user', content: 'Hello' }]);

await events.flush();
const report = await complianceReport(sessions, {
  name: 'production',
  rule: { expired: true, maxIdle: '90d' },
  keys,
  auditLog: auditLines(at('audit.jsonl')),
  actor: 'review',
});
await writeFile(at('report.html'), renderReport(report), { mode: 0o600 });
console.log(
  report.totals.items,
  report.overdue,
  report.findings.map(({ code }) => code),
);
// #endregion

assert.equal(report.totals.items, 1);
assert.equal(report.overdue, 0);
assert.ok((await stat(at('report.html'))).size > 10_000);
await sessions.close();
