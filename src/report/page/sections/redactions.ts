import type { ComplianceReport } from '../../types.ts';
import { bars, columns } from '../charts.ts';
import { count, day } from '../format.ts';
import { markup, type Html } from '../html.ts';
import { section, period, shortened } from '../parts.ts';

const MOST_ENTITIES = 5;

export function redactions({ log }: ComplianceReport): Html {
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
