import type {
  ComplianceReport,
  Counts,
  Finding,
  ReportedErasure,
  ReportedRule,
  TimeClass,
} from '../types.ts';
import { bars, columns, table, type Cell, type Series } from './charts.ts';
import { document } from './document.ts';
import { bytes, count, day, duration, number, share, time } from './format.ts';
import { markup, type Html } from './html.ts';

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

const LEVELS: Readonly<Record<Finding['level'], string>> = {
  problem: 'Problem',
  notice: 'Notice',
  good: 'In order',
};

function summary({ findings, totals, overdue, itemsByDue, holds: all }: ComplianceReport): Html {
  const due = itemsByDue.reduce((sum, each) => sum + each.due, 0);
  const open = all.filter(({ releasedAt }) => releasedAt === undefined).length;
  const figures: readonly (readonly [string, string, string])[] = [
    [
      'Conversations',
      number(totals.conversations),
      `${count(totals.sessions - totals.conversations, 'derived session')} beside them`,
    ],
    ['Items', number(totals.items), bytes(totals.bytes)],
    ['Subjects', number(totals.subjects), `${count(totals.withoutSubject, 'conversation')} without one`],
    ['Due for deletion', number(due), `${number(overdue)} for more than a day`],
    ['Open holds', number(open), `${number(all.length - open)} released`],
  ];
  return section(
    'summary',
    'Summary',
    markup`<dl class="figures">
        ${figures.map(
          ([name, value, more]) =>
            markup`<div>
              <dt>${name}</dt>
              <dd>${value}<small>${more}</small></dd>
            </div>`,
        )}
      </dl>
      ${
        totals.oldestAt !== undefined &&
        totals.newestAt !== undefined &&
        markup`<p class="note">
          The oldest item was written on ${time(totals.oldestAt)}, the newest on ${time(totals.newestAt)}.
        </p>`
      }
      <ul class="findings">
        ${findings.map(
          ({ level, text, step }) =>
            markup`<li class="${level}">
              <strong>${LEVELS[level]}</strong
              ><span>${text}${step !== undefined && markup` <span class="step">${step}</span>`}</span>
            </li>`,
        )}
      </ul>`,
  );
}

/* Ages */

const RULE_SERIES: readonly Series[] = [
  { color: 'kept', name: 'In rule' },
  { color: 'due', name: 'Due' },
  { color: 'held', name: 'Held' },
];

function ages(report: ComplianceReport): Html {
  const { rule, sessionsByAge, itemsByAge, itemsByDue, itemsWithoutEnd, dueSessions, kinds, records } =
    report;
  const after = typeof rule.expired === 'number' ? rule.expired : undefined;
  return section(
    'ages',
    'Ages and retention',
    markup`<p class="soft">
        In rule: a run of the rule now leaves it. Due: a run deletes it. Held: it is past the rule, and a
        legal hold keeps it.
      </p>
      <div class="two">
        ${bars('Conversations by age of the first item', RULE_SERIES, ageRows(sessionsByAge, rule.maxAge), 'Age', 'There are no conversations.')}
        ${bars('Items by age', RULE_SERIES, ageRows(itemsByAge, after), 'Age', 'There are no items.')}
      </div>
      ${bars('Items by date of deletion', RULE_SERIES, itemsByDue.map(dueRow), 'When', 'No item has a date of deletion.')}
      ${itemsWithoutEnd > 0 && markup`<p class="note">${count(itemsWithoutEnd, 'item')} without a date of deletion ${itemsWithoutEnd === 1 ? 'is' : 'are'} not in this chart.</p>`}
      ${dueTable(report, dueSessions)}
      <div class="two">
        <div>
          ${
            kinds.length === 0
              ? markup`<p class="empty">Nothing.</p>`
              : table(
                  'Sessions by kind',
                  [{ name: 'Kind' }, ...['Sessions', 'Items', 'Size'].map(numeric)],
                  kinds.map(({ kind, sessions, items, bytes: size }) => [
                    kind,
                    number(sessions),
                    number(items),
                    bytes(size),
                  ]),
                )
          }
        </div>
        <div>
          ${bars(
            'Records by protection',
            [{ color: 's0', name: 'Records' }],
            [
              { label: 'Sealed', values: [records.sealed] },
              { label: 'Not sealed', values: [records.unsealed], past: records.unsealed > 0 },
            ],
            'Protection',
            'There are no records.',
          )}
          <p class="note">
            ${share(records.sealed, records.sealed + records.unsealed)} of the records are sealed under a data
            key.
          </p>
        </div>
      </div>`,
  );
}

/** The youngest first; without empty classes at the old end. */
function ageRows(classes: readonly TimeClass[], end: number | undefined): ReturnType<typeof dueRow>[] {
  const last = classes.findLastIndex((each) => valuesOf(each).some((value) => value > 0));
  return classes.slice(0, last + 1).map((each) => ({
    label: each.to === undefined ? `${duration(each.from ?? 0)} or more` : rangeOf(each.from ?? 0, each.to),
    values: valuesOf(each),
    past: end !== undefined && (each.from ?? 0) >= end,
  }));
}

/** `up to 1 day`, `7 to 30 days`, `180 days to 1 year`. */
function rangeOf(from: number, to: number): string {
  if (from === 0) return `Up to ${duration(to)}`;
  const [low, high] = [duration(from), duration(to)];
  const [amount = '', unit = ''] = low.split(' ');
  return high.includes(` ${unit.replace(/s$/, '')}`) ? `${amount} to ${high}` : `${low} to ${high}`;
}

function dueRow(each: TimeClass): { label: string; values: readonly number[]; past: boolean } {
  const { from, to } = each;
  const isPast = to !== undefined && to <= 0;
  let label: string;
  if (from === undefined) label = `Over ${duration(to ?? 0)} ago`;
  else if (to === undefined) label = `After ${duration(from)}`;
  else if (isPast) label = to === 0 ? `Last ${one(from)}` : `${rangeOf(-to, -from)} ago`;
  else label = from === 0 ? `Next ${one(to)}` : `In ${rangeOf(from, to)}`;
  return { label, values: valuesOf(each), past: isPast };
}

/** `day`, `7 days`. */
function one(milliseconds: number): string {
  return duration(milliseconds).replace(/^1 /, '');
}

function valuesOf({ kept, due, held }: Counts): readonly number[] {
  return [kept, due, held];
}

function dueTable({ at }: ComplianceReport, sessions: ComplianceReport['dueSessions']): Html {
  if (sessions.length === 0) return markup`<p class="empty">No session has items past the rule.</p>`;
  return table(
    sessions.length < 50
      ? `${count(sessions.length, 'session')} with items past the rule, the longest first`
      : 'The 50 sessions that have been past the rule for the longest time',
    [
      { name: 'Session' },
      { name: 'Kind' },
      { name: 'Subject' },
      numeric('Items'),
      { name: 'Past since' },
      { name: 'State' },
    ],
    sessions.map(({ id, kind, subject, items, since, held }) => [
      named(id),
      kind,
      subject === undefined ? undefined : named(subject),
      number(items),
      markup`<span>${day(since)}, ${duration(at - since)}</span>`,
      held ? word('notice', 'Held') : word('problem', 'Due'),
    ]),
  );
}

/* Keys */

function keys({ keys: { keys: all, ages: classes, destroyed, missing }, at }: ComplianceReport): Html {
  const hasRing = all.some(({ state }) => state !== undefined);
  const last = classes.findLastIndex(({ dataKeys }) => dataKeys > 0);
  return section(
    'keys',
    'Keys',
    markup`<p class="soft">
        A key-encryption key wraps the data keys of sessions; a data key seals the records of one session.
        ${
          hasRing
            ? 'States are those of the keyring in the configuration.'
            : 'No keyring was given, so states are not known.'
        }
        No key was used for this page.
      </p>
      ${
        all.length === 0
          ? markup`<p class="empty">There are no data keys.</p>`
          : markup`<div class="two">
                ${bars(
                  'Data keys by key-encryption key',
                  [{ color: 's0', name: 'Data keys' }],
                  all.slice(0, 20).map(({ kid, dataKeys, opens }) => ({
                    label: shortened(kid),
                    values: [dataKeys],
                    past: opens === false && dataKeys > 0,
                  })),
                  'Key',
                  'No data key is wrapped by a key of the configuration.',
                )}
                ${bars(
                  'Data keys by age',
                  [{ color: 's2', name: 'Data keys' }],
                  classes.slice(0, last + 1).map(({ from = 0, to, dataKeys }) => ({
                    label: to === undefined ? `${duration(from)} or more` : rangeOf(from, to),
                    values: [dataKeys],
                  })),
                  'Age',
                  'Data keys in envelopes have no date.',
                )}
              </div>
              ${table(
                `Use of ${count(all.length, 'key')}`,
                [
                  { name: 'Key id' },
                  { name: 'State' },
                  ...['Data keys', 'Sessions', 'Records', 'Oldest', 'Newest'].map(numeric),
                ],
                all.map(({ kid, state, opens, dataKeys, sessions, records, oldestAt, newestAt }) => [
                  named(kid),
                  state === undefined ? 'not known' : stateWord(state, opens, dataKeys),
                  number(dataKeys),
                  number(sessions),
                  number(records),
                  oldestAt === undefined
                    ? undefined
                    : markup`<span>${day(oldestAt)}, ${duration(at - oldestAt)}</span>`,
                  newestAt === undefined ? undefined : day(newestAt),
                ]),
              )}`
      }
      <p class="note">
        ${count(missing.records, 'record')} whose data key is in none of the places searched;
        ${count(destroyed.records, 'record')} whose data key was destroyed on purpose.
      </p>`,
  );
}

function stateWord(state: string, opens: boolean | undefined, dataKeys: number): Html {
  if (opens === false && dataKeys > 0) return word('problem', `${state}, needed`);
  return word(state === 'current' ? 'good' : 'notice', state);
}

/* Holds */

function holds({ holds: all }: ComplianceReport): Html {
  return section(
    'holds',
    'Legal holds',
    all.length === 0
      ? markup`<p class="empty">No hold was ever placed in this store.</p>`
      : table(
          count(all.length, 'hold'),
          [
            { name: 'Hold' },
            { name: 'Session' },
            { name: 'Reason' },
            { name: 'Placed' },
            { name: 'State' },
            numeric('Sessions'),
            numeric('Items'),
          ],
          all.map(
            ({ id, sessionId, reason, placedAt, placedBy, releasedAt, releasedBy, sessions, items }) => [
              named(id),
              named(sessionId),
              reason,
              `${day(placedAt)}${placedBy === undefined ? '' : ` by ${placedBy}`}`,
              releasedAt === undefined
                ? word('notice', 'Open')
                : markup`<span
                    >Released
                    ${day(releasedAt)}${releasedBy === undefined ? undefined : ` by ${releasedBy}`}</span
                  >`,
              number(sessions),
              number(items),
            ],
          ),
        ),
  );
}

/* Erasures */

const SIGNATURES: Readonly<Record<ReportedErasure['signature'], readonly [Finding['level'], string]>> = {
  verified: ['good', 'Verified'],
  unchecked: ['notice', 'Not checked'],
  invalid: ['problem', 'Not valid'],
};

function erasures({ erasures: all, returned }: ComplianceReport): Html {
  return section(
    'erasures',
    'Erasures',
    markup`<p class="soft">
        From the receipts that were given to this report. The store has no list of erasures: it keeps a
        tombstone with each erased id.
      </p>
      ${
        all.length === 0
          ? markup`<p class="empty">No receipts were given.</p>`
          : table(
              count(all.length, 'receipt'),
              [
                { name: 'Receipt' },
                { name: 'Signature' },
                { name: 'Erased' },
                { name: 'About' },
                { name: 'Reason' },
                ...['Sessions', 'Records', 'Data keys', 'Kept by holds', 'Found now'].map(numeric),
              ],
              all.map(erasureRow),
            )
      }
      ${
        returned.length === 0
          ? markup`<p class="note">
              No session holds records from before its erasure, by the tombstones of the store.
            </p>`
          : table(
              `${count(returned.length, 'session')} with records from before the erasure`,
              [{ name: 'Session' }, { name: 'Erased' }],
              returned.map(({ id, erasedAt }) => [named(id), time(erasedAt)]),
            )
      }`,
  );
}

function erasureRow(each: ReportedErasure): readonly Cell[] {
  const {
    name,
    signature,
    at,
    subject,
    sessionId,
    reason,
    by,
    sessions,
    records,
    keys: all,
    held,
    foundAgain,
  } = each;
  const numberOf = (value: number | undefined): string | undefined =>
    value === undefined ? undefined : number(value);
  const about = subject ?? sessionId;
  const why = [reason, by === undefined ? undefined : `by ${by}`].filter((part) => part !== undefined);
  return [
    named(name),
    word(...SIGNATURES[signature]),
    at === undefined ? undefined : time(at),
    about === undefined
      ? undefined
      : markup`<span>${subject === undefined ? 'session' : 'subject'} ${named(about)}</span>`,
    why.length === 0 ? undefined : why.join(', '),
    ...[sessions, records, all, held].map(numberOf),
    foundAgain === undefined || foundAgain === 0 ? numberOf(foundAgain) : word('problem', number(foundAgain)),
  ];
}

/* Redactions */

const MOST_ENTITIES = 5;

function redactions({ log }: ComplianceReport): Html {
  return section(
    'redactions',
    'Redactions',
    log === undefined || log.redactions.reports === 0
      ? markup`<p class="empty">
          The audit log that was given has no reports of redactions, and the store cannot tell: what replaced
          a value is inside the sealed record. Log them with
          <code>redact({ onRedaction: auditFile(path).redaction })</code>.
        </p>`
      : redactionCharts(log.redactions),
  );
}

function redactionCharts({
  byEntity,
  overTime,
  reports,
  unsearched,
  from,
  to,
}: NonNullable<ComplianceReport['log']>['redactions']): Html {
  const top = byEntity.slice(0, MOST_ENTITIES).map(({ entity }) => entity);
  const series = [...top, ...(byEntity.length > top.length ? ['Other entities'] : [])].map((name, index) => ({
    color: `s${index}`,
    name,
  }));
  return markup`<p class="soft">
      ${count(reports, 'report')} in the audit log, ${period(from, to)}. ${count(unsearched, 'text')}
      ${unsearched === 1 ? 'was' : 'were'} not searched.
    </p>
    ${columns(
      'Redactions over time',
      overTime.unit,
      series,
      overTime.periods.map(({ from: start, counts }) => {
        const all = Object.values(counts).reduce((sum, each) => sum + each, 0);
        const shown = top.map((entity) => counts[entity] ?? 0);
        const rest = all - shown.reduce((sum, each) => sum + each, 0);
        return { label: day(start), values: series.length > top.length ? [...shown, rest] : shown };
      }),
      'The reports found nothing.',
    )}
    ${bars(
      'Redactions by entity',
      [{ color: 's0', name: 'Redactions' }],
      byEntity.map(({ entity, count: found }) => ({ label: shortened(entity), values: [found] })),
      'Entity',
      'The reports found nothing.',
    )}`;
}

/* Calls */

const OUTCOMES: readonly Series[] = [
  { color: 'success', name: 'Succeeded' },
  { color: 'failure', name: 'Failed' },
];

function calls({ log }: ComplianceReport): Html {
  if (log === undefined || log.calls.success + log.calls.failure === 0) {
    return section(
      'calls',
      'Calls',
      markup`<p class="empty">
        ${log === undefined ? 'No audit log was given.' : 'The audit log that was given has no calls.'} Write
        one with <code>audit({ sink: auditFile(path) })</code>.
      </p>`,
    );
  }
  const { success, failure, byActor, byOperation, byError, overTime, from, to } = log.calls;
  const rows = (all: typeof byActor): { label: string; values: readonly number[] }[] =>
    all.slice(0, 20).map((each) => ({
      label: shortened(each.name === '' ? 'no actor' : each.name),
      values: [each.success, each.failure],
    }));
  return section(
    'calls',
    'Calls',
    markup`<p class="soft">
        ${count(success + failure, 'call')} in the audit log, ${period(from, to)}; ${number(failure)} failed
        or ${failure === 1 ? 'was' : 'were'} refused.
      </p>
      ${columns(
        'Calls over time',
        overTime.unit,
        OUTCOMES,
        overTime.periods.map(({ from: start, counts }) => ({
          label: day(start),
          values: [counts.success, counts.failure],
        })),
        'There are no calls.',
      )}
      <div class="two">
        ${bars('Calls by actor', OUTCOMES, rows(byActor), 'Actor', 'There are no calls.')}
        ${bars('Calls by operation', OUTCOMES, rows(byOperation), 'Operation', 'There are no calls.')}
      </div>
      ${byActor.length > 20 && markup`<p class="note">${number(byActor.length - 20)} more actors are in the JSON report.</p>`}
      ${
        byError.length > 0 &&
        bars(
          'Failed calls by reason',
          [{ color: 'failure', name: 'Calls' }],
          byError.slice(0, 20).map(({ error, calls: found }) => ({
            label: error === '' ? 'no reason' : shortened(error),
            values: [found],
          })),
          'Error',
          'No call failed.',
        )
      }`,
  );
}

/* Parts */

function section(id: string, title: string, content: Html): Html {
  return markup`<section id="${id}" aria-labelledby="${id}-title">
    <h2 id="${id}-title">${title}</h2>
    ${content}
  </section>`;
}

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

function period(from: number | undefined, to: number | undefined): string {
  if (from === undefined || to === undefined) return 'without a date';
  return day(from) === day(to) ? `on ${day(from)}` : `from ${day(from)} to ${day(to)}`;
}

function numeric(name: string): { readonly name: string; readonly isNumber: true } {
  return { name, isNumber: true };
}

function named(id: string): Html {
  return markup`<span class="id${id.length <= 20 && ' short'}">${id}</span>`;
}

function word(level: Finding['level'], text: string): Html {
  return markup`<span class="word ${level}">${text}</span>`;
}

/** Labels of charts do not wrap. */
function shortened(text: string): string {
  const characters = Array.from(text);
  return characters.length > 22 ? `${characters.slice(0, 21).join('')}…` : text;
}
