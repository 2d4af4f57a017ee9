import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { auditLines, complianceReport, renderReport, type ComplianceReport } from '../../src/report/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { expectGoodPage, hasChromium, useBrowser, VIEWS, watched } from '../support/chromium.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { reviewStore } from './review-store.ts';

const file = temporaryFolder();

interface Tab {
  readonly page: Page;
  readonly said: string[];
}

describe.skipIf(!hasChromium)('the page in Chromium', () => {
  const browser = useBrowser();
  let report: ComplianceReport;

  beforeAll(async () => {
    const { sessions, rule, keys, receipts, receiptKey, log } = await reviewStore(file('.'));
    report = await complianceReport(sessions, {
      name: 'production',
      rule,
      keys,
      receipts,
      receiptKeys: [receiptKey],
      auditLog: auditLines(log),
      actor: 'auditor',
    });
    await sessions.close();
    writeFileSync(file('report.html'), renderReport(report));
  });

  let tab: Promise<Tab> | undefined;

  /** The one tab of this file, with a page in it. */
  async function open(name: string, { width, scheme } = VIEWS[0] as (typeof VIEWS)[number]): Promise<Tab> {
    const { page, said } = await (tab ??= browser().then(async (each) => {
      const made = await each.newPage();
      return { page: made, said: watched(made) };
    }));
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: scheme, media: 'screen' });
    said.length = 0;
    await page.goto(pathToFileURL(file(name)).href);
    return { page, said };
  }

  for (const view of VIEWS) {
    test(`at ${view.width} pixels, ${view.scheme}: readable, without overflow, empty chart or message`, async () => {
      const { page, said } = await open('report.html', view);
      expect(await expectGoodPage(page, said)).toEqual([
        'Conversations by age of the first item',
        'Items by age',
        'Items by date of deletion',
        'Records by protection',
        'Data keys by key-encryption key',
        'Data keys by age',
        'Redactions over time',
        'Redactions by entity',
        'Calls over time',
        'Calls by actor',
        'Calls by operation',
        'Failed calls by reason',
      ]);
    });
  }

  test('has the numbers of the report in its tables, and bars as long as they say', async () => {
    const { page } = await open('report.html');
    const rowsOf = (caption: string): Promise<string[][]> =>
      page.evaluate(
        `[...document.querySelectorAll('table')].find((table) => table.caption?.textContent === ${JSON.stringify(caption)})
          .querySelectorAll('tbody tr').values().map((row) => [...row.querySelectorAll('.n')].map((cell) => cell.textContent)).toArray()`,
      );
    const shown = (await rowsOf('Items by age')).map((row) => row.map(Number));
    expect(shown).toEqual(
      report.itemsByAge.slice(0, shown.length).map(({ kept, due, held }) => [kept, due, held]),
    );
    expect(shown.flat().reduce((sum, each) => sum + each, 0)).toBe(report.totals.items);
    const widths = (await page.evaluate(
      `[...document.querySelectorAll('table')].find((table) => table.caption?.textContent === 'Items by age').querySelectorAll('.bar svg').values()
        .map((svg) => [...svg.querySelectorAll('rect:not(.track)')].reduce((sum, bar) => sum + bar.getBoundingClientRect().width, 0) / svg.getBoundingClientRect().width).toArray()`,
    )) as number[];
    const sums = shown.map((row) => row.reduce((sum, each) => sum + each, 0));
    widths.forEach((width, index) => expect(width).toBeCloseTo((sums[index] ?? 0) / Math.max(...sums), 2));
  });

  test('prints on paper without cutting anything off, with the numbers that the screen folds away', async () => {
    const { page } = await open('report.html', VIEWS[1]);
    await page.emulateMedia({ media: 'print' });
    await page.setViewportSize({ width: 674, height: 1000 });
    expect(await page.evaluate('document.documentElement.scrollWidth - window.innerWidth')).toBe(0);
    expect(
      await page.evaluate(`document.querySelector('details table').getBoundingClientRect().height > 20`),
    ).toBe(true);
    expect(await page.evaluate(`getComputedStyle(document.querySelector('nav')).display`)).toBe('none');
    expect((await page.pdf({ format: 'A4' })).byteLength).toBeGreaterThan(20_000);
  });

  test('of an empty store says what is missing instead of drawing empty charts', async () => {
    await using store = openSqlite(':memory:');
    writeFileSync(file('empty.html'), renderReport(await complianceReport(store)));
    for (const view of [VIEWS[0], VIEWS[3]]) {
      const { page, said } = await open('empty.html', view);
      expect(await expectGoodPage(page, said)).toEqual([]);
    }
  });

  test('keeps names of any length inside, and runs none of them', async () => {
    const long = `${'x'.repeat(400)}<script>alert(1)</script>`;
    await using store = openSqlite(':memory:');
    await store.session(long, { subject: long }).addItems([{ type: 'message', role: 'user', content: 'a' }]);
    await store
      .session('\u202Ereversed\u0007', { subject: 'a' })
      .addItems([{ type: 'message', role: 'user', content: 'a' }]);
    const line = { time: Date.now(), operation: long, actor: long, outcome: 'failure', error: long };
    const lines = [line, { type: 'redaction', time: 1, counts: { [long]: 2 } }].map((each) =>
      JSON.stringify(each),
    );
    const made = await complianceReport(store, { name: long, rule: { maxAge: 1 }, auditLog: lines });
    writeFileSync(file('long.html'), renderReport({ ...made, at: made.at + 10 }));
    for (const unseen of ['\u202E', '\u0007']) expect(renderReport(made)).not.toContain(unseen);
    for (const view of [VIEWS[1], VIEWS[2]]) {
      const { page, said } = await open('long.html', view);
      await expectGoodPage(page, said);
    }
  });
});
