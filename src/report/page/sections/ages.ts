import type { ComplianceReport, Counts, TimeClass } from '../../types.ts';
import { bars, table, type Series } from '../charts.ts';
import { bytes, count, day, duration, number, share } from '../format.ts';
import { markup, type Html } from '../html.ts';
import { named, numeric, rangeOf, section, word } from '../parts.ts';

const RULE_SERIES: readonly Series[] = [
  { color: 'kept', name: 'In rule' },
  { color: 'due', name: 'Due' },
  { color: 'held', name: 'Held' },
];

export function ages(report: ComplianceReport): Html {
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
