import type { ComplianceReport, ReportedRule } from '../types.ts';
import { document } from './document.ts';
import { count, day, duration, time } from './format.ts';
import { markup, type Html } from './html.ts';
import { summary } from './sections/summary.ts';
import { ages } from './sections/ages.ts';
import { keys } from './sections/keys.ts';
import { holds } from './sections/holds.ts';
import { erasures } from './sections/erasures.ts';
import { redactions } from './sections/redactions.ts';
import { calls } from './sections/calls.ts';

/**
 * The report as one page of HTML for a review: readable on a phone, printable, in a light and a dark scheme. The page loads nothing
 * and has no script; everything from the report is escaped. It has ids, subjects and reasons of holds: keep it like other personal
 * data.
 *
 * @returns A whole document. Write it to a file.
 *
 * @example
 * ```ts
 * import { writeFile } from 'node:fs/promises';
 * import { complianceReport, renderReport } from 'strongroom/report';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * await using store = openSqlite('conversations.db');
 * await writeFile('report.html', renderReport(await complianceReport(store)), { mode: 0o600 });
 * ```
 */
export function renderReport(report: ComplianceReport): string {
  return document({
    title: titleOf(report),
    header: markup`${headerOf(report)}${navigation()}`,
    main: mainOf(report),
    footer: footerOf(),
  });
}

export function titleOf({ name, at }: ComplianceReport): string {
  return `Compliance report${name === undefined ? '' : ` of ${name}`}, ${day(at)}`;
}

const SECTIONS = [
  ['summary', 'Summary'],
  ['ages', 'Ages and retention'],
  ['keys', 'Keys'],
  ['holds', 'Legal holds'],
  ['erasures', 'Erasures'],
  ['redactions', 'Redactions'],
  ['calls', 'Calls'],
] as const;

export function headerOf({ name, at, rule, layers }: ComplianceReport): Html {
  const stack =
    layers.length === 0
      ? markup`The store was read without its layers.`
      : markup`Layers, outermost first: <code>${layers.join(' → ')}</code>.`;
  return markup`<p class="kicker">Compliance report</p>
    <h1>${name ?? 'Conversation store'}</h1>
    <p class="soft">
      State of <time datetime="${new Date(at).toISOString()}">${time(at)}</time>. ${ruleText(rule)} ${stack}
    </p>`;
}

export function navigation(): Html {
  return markup`<nav aria-label="Sections">
    <ul>
      ${SECTIONS.map(([id, name]) => markup`<li><a href="#${id}">${name}</a></li>`)}
    </ul>
  </nav>`;
}

export function ruleText({ expired, maxAge, maxIdle, keepLast }: ReportedRule): string {
  const parts = [
    expired === true ? 'items end at the time in their stamp' : undefined,
    typeof expired === 'number' ? `items end at ${duration(expired)}, or earlier by their stamp` : undefined,
    maxAge === undefined ? undefined : `sessions end at ${duration(maxAge)}`,
    maxIdle === undefined ? undefined : `conversations end after ${duration(maxIdle)} without a message`,
    keepLast === undefined ? undefined : `the last ${count(keepLast, 'item')} of each conversation stay`,
  ].filter((part) => part !== undefined);
  return `Retention rule: ${parts.join('; ')}.`;
}

export function mainOf(report: ComplianceReport): Html {
  return markup`${summary(report)}${ages(report)}${keys(report)}${holds(report)}${erasures(report)}${redactions(report)}${calls(report)}`;
}

/* Summary */

export function footerOf(): Html {
  return markup`<h2>Where the numbers come from</h2>
    <p class="soft">
      Sessions, items, ages and keys: from the store, whose records were all read once, without opening any.
      Sizes are those of the records, without the overhead of the database. A record that a branch shares with its conversation counts in both. A date of deletion is the earliest
      of the stamp of the item and the rule. Receipts: from the files that were given. Calls and redactions:
      from the audit log that was given; everyone who can write that file can change it.
    </p>
    <p class="soft">
      Not seen: backups, replicas and logs of the database, other stores, traces, and copies at the model
      provider. Times are in UTC. What changed while the store was read may or may not be in the numbers.
    </p>
    <p class="note">
      This page has no content of conversations. It has ids, subjects and reasons, which can be personal data.
    </p>`;
}
