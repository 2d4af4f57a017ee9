import type { ComplianceReport } from '../../types.ts';
import { bars, columns, type Series } from '../charts.ts';
import { count, day, number } from '../format.ts';
import { markup, type Html } from '../html.ts';
import { section, period, shortened } from '../parts.ts';

const OUTCOMES: readonly Series[] = [
  { color: 'success', name: 'Succeeded' },
  { color: 'failure', name: 'Failed' },
];

export function calls({ log }: ComplianceReport): Html {
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
