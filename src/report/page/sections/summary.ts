import type { ComplianceReport, Finding } from '../../types.ts';
import { bytes, count, number, time } from '../format.ts';
import { markup, type Html } from '../html.ts';
import { section } from '../parts.ts';

const LEVELS: Readonly<Record<Finding['level'], string>> = {
  problem: 'Problem',
  notice: 'Notice',
  good: 'In order',
};

export function summary({ findings, totals, overdue, itemsByDue, holds: all }: ComplianceReport): Html {
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
